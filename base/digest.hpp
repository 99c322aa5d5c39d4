#pragma once

#include <array>
#include <memory>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace base {

class File;

using Sha256Digest = std::array<std::byte, 32>;

/// SHA-256 of bytes that come in pieces (OpenSSL). It cannot fail: a process without SHA-256 or memory ends.
class Sha256 {
 public:
  Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  ~Sha256();

  void update(ByteView bytes);
  /// Reads a whole file, a block at a time, whatever was read of it before. Fails: as File::size() and read_exactly().
  Result<> update(const File& file);
  /// The digest of all; afterwards the object begins anew.
  Sha256Digest finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

Sha256Digest sha256(ByteView bytes);
/// Of all that is in the file. Fails: as Sha256::update().
Result<Sha256Digest> sha256_of(const File& file);

}  // namespace base
