#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace base {

/// 16 bytes in the order in which the text form shows them (RFC 9562).
struct Uuid {
  std::array<std::byte, 16> bytes{};

  /// Reads "8-4-4-4-12" hexadecimal digits in either case. Fails: invalid_input.
  static Result<Uuid> parse(std::string_view text);
  /// The first 16 bytes of at least 16 given ones, with version 8 (custom) and the variant of RFC 9562 set.
  static Uuid from_digest(ByteView digest);

  /// As GPT and UEFI store it: the first three groups are little-endian integers. Turning twice is turning back.
  std::array<std::byte, 16> efi_bytes() const;
  /// `stored` has at least 16 bytes; the first 16 are taken.
  static Uuid from_efi_bytes(ByteView stored);

  /// Lower case, "8-4-4-4-12".
  std::string text() const;

  friend auto operator<=>(const Uuid&, const Uuid&) = default;
};

}  // namespace base
