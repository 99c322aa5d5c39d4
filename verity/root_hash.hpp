#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace verity {

/// Bytes in a SHA-256 digest, the only hash that Keelson's trees use.
inline constexpr std::size_t digest_size = 32;

/// The digest that stands for every byte of a device.
struct RootHash {
  std::array<std::byte, digest_size> bytes{};

  /// Reads 64 hexadecimal digits in either case. Fails: invalid_input.
  static base::Result<RootHash> parse(std::string_view hex);

  /// 64 lower-case digits: what `roothash=` carries and what a root hash signature signs.
  std::string hex() const { return base::to_hex(bytes); }

  friend auto operator<=>(const RootHash&, const RootHash&) = default;
};

}  // namespace verity
