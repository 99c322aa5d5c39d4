#pragma once

#include <string>
#include <utility>

#include "base/result.hpp"
#include "builder/keys/keys.hpp"
#include "builder/outputs/image_files.hpp"

namespace builder {

/// The keys of a build, read from their directory.
class SignerKeys {
 public:
  /// Fails: as keys::read_keys().
  static base::Result<SignerKeys> read(const std::string& directory);

  /// Which keys these are.
  std::string fingerprint() const;
  /// Views into these keys. Without Secure Boot nothing is signed but the root hash.
  outputs::Signers signers(bool secure_boot) const;

 private:
  explicit SignerKeys(keys::BuildKeys keys) : keys_(std::move(keys)) {}

  keys::BuildKeys keys_;
};

}  // namespace builder
