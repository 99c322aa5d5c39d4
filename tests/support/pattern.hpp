#pragma once

#include <cstdint>

#include "base/bytes.hpp"

namespace support {

/// Bytes that look random, differ everywhere and are the same in every run (xorshift64*; Vigna, 2016).
inline base::Bytes pattern(std::size_t count, std::uint64_t seed = 1) {
  base::Bytes bytes(count);
  std::uint64_t state = seed * 0x9e3779b97f4a7c15U + 1;
  for (std::byte& byte : bytes) {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    byte = static_cast<std::byte>((state * 0x2545f4914f6cdd1dU) >> 56);
  }
  return bytes;
}

}  // namespace support
