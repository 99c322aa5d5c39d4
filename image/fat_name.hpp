#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace image {

/// How a directory stores one name: a short one of 8 and 3 characters, and where that is not enough a long one too.
struct FatName {
  std::array<char, 11> short_name{};  // upper case, padded with blanks, without the dot
  std::uint8_t case_flags = 0;        // 0x08: the first 8 are shown in lower case; 0x10: the last 3 (Windows NT)
  std::u16string long_name;           // empty: the short name says it all

  /// Directory entries of 32 bytes that it takes, the one for the file itself among them.
  std::size_t entries() const;
};

/// Whether FAT can hold the name at all: UTF-8 of at most 255 UTF-16 units, no control characters, none of "*/:<>?\|,
/// no blank at either end, no dot at the end (Windows drops them). Fails: invalid_input.
base::Result<> check_fat_name(std::string_view name);

/// What stands in a directory for each of these names, in their order. Short names are unique, look like no other long
/// name, and depend on nothing but the set of names and its order. Upper and lower case count as equal in ASCII,
/// Latin-1, Greek and Cyrillic. Fails: invalid_input (check_fat_name, two names that differ in case only).
base::Result<std::vector<FatName>> name_fat_directory(std::span<const std::string_view> names);

inline constexpr std::size_t fat_entry_size = 32;       // of a directory
inline constexpr std::size_t fat_units_per_entry = 13;  // of a long name
inline constexpr std::uint8_t fat_stem_is_lower = 0x08;
inline constexpr std::uint8_t fat_extension_is_lower = 0x10;

/// What ties the entries of a long name to the short name behind them. `short_name` has 11 characters.
std::uint8_t short_name_checksum(std::span<const char> short_name);
/// Where in an entry of a long name a UTF-16 unit of it lies.
std::size_t place_of_unit(std::size_t unit);

/// Appends the entries of a long name, last part first, as they precede the entry of the short name.
void append_long_name(base::Bytes& to, const FatName& name);

}  // namespace image
