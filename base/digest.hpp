#pragma once

#include <array>
#include <memory>

#include "base/bytes.hpp"

namespace base {

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
  /// The digest of all; afterwards the object begins anew.
  Sha256Digest finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

Sha256Digest sha256(ByteView bytes);

}  // namespace base
