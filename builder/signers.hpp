#pragma once

#include <optional>
#include <string>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "builder/outputs/image_files.hpp"

namespace builder {

/// The keys of a build, read from their directory.
class SignerKeys {
 public:
  static base::Result<SignerKeys> read(const std::string& directory);

  /// Which keys these are.
  std::string fingerprint() const;
  /// Views into these keys. Without Secure Boot nothing is signed but the root hash.
  outputs::Signers signers(bool secure_boot) const;

 private:
  SignerKeys(outputs::Signer root_hash, outputs::Signer secure_boot)
      : root_hash_(std::move(root_hash)), secure_boot_(std::move(secure_boot)) {}

  outputs::Signer root_hash_;
  outputs::Signer secure_boot_;
};

/// Makes new keys.
base::Result<> make_signer_keys(const std::string& directory);

}  // namespace builder
