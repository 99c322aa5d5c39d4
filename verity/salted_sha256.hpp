#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "base/bytes.hpp"

namespace verity {

/// How SHA-256 is computed. All give the same digests; the fastest that this processor has is chosen at run time.
enum class Sha256Engine {
  openssl,  // one message at a time, everywhere
  sha_ni,   // four messages at once, interleaved, so that the SHA extensions' latency is hidden
  avx512,   // sixteen messages at once, one to a 32-bit lane
};

const char* to_string(Sha256Engine engine);
bool is_supported(Sha256Engine engine);
Sha256Engine fastest_engine();

/// SHA-256(salt || message) for many messages of equal length: what dm-verity (hash type 1) asks for.
/// Const members may be called from several threads.
class SaltedSha256 {
 public:
  /// `engine` must be supported here.
  explicit SaltedSha256(base::ByteView salt, Sha256Engine engine = fastest_engine());
  SaltedSha256(const SaltedSha256&) = delete;
  SaltedSha256& operator=(const SaltedSha256&) = delete;
  ~SaltedSha256();

  /// messages      back to back, each of `message_size` bytes (at least 64)
  /// digests       receives 32 bytes for each message
  void digest(base::ByteView messages, std::size_t message_size, base::MutableByteView digests) const;

 private:
  class Engine;
  class OpenSslEngine;
  class LaneEngine;
  std::unique_ptr<const Engine> wide_;
  std::unique_ptr<const Engine> narrow_;  // for the few messages that would leave most of a wide engine's lanes empty
};

}  // namespace verity
