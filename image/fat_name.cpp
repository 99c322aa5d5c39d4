#include "image/fat_name.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "image/utf16.hpp"

namespace image {

using base::fail;
using base::Kind;
using base::ok;
using base::Result;

namespace {

constexpr std::size_t max_units = 255;
constexpr std::size_t stem_size = 8;
constexpr std::size_t extension_size = 3;
constexpr std::string_view forbidden = "\"*/:<>?\\|";
constexpr std::string_view short_characters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789$%'-_@~`!(){}^#&";  // fatgen103

bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}
char to_upper(char c) {
  return is_lower(c) ? static_cast<char>(c - 'a' + 'A') : c;
}
std::string upper(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(), to_upper);
  return result;
}

/// Upper case, as far as readers agree about it.
std::u16string folded(std::u16string text) {
  for (char16_t& unit : text) {
    const bool latin = (unit >= u'a' && unit <= u'z') || (unit >= 0xe0 && unit <= 0xfe && unit != 0xf7);
    const bool greek = unit >= 0x3b1 && unit <= 0x3c9 && unit != 0x3c2;
    const bool cyrillic = unit >= 0x430 && unit <= 0x44f;
    if (latin || greek || cyrillic) unit = static_cast<char16_t>(unit - 0x20);
    if (unit >= 0x450 && unit <= 0x45f) unit = static_cast<char16_t>(unit - 0x50);
  }
  return text;
}

struct Parts {
  std::string stem;
  std::string extension;

  std::string text() const { return extension.empty() ? stem : stem + "." + extension; }
};

/// Divided at the last dot; a dot in front belongs to the stem.
Parts divide(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || dot == 0) return {std::string(name), ""};
  return {std::string(name.substr(0, dot)), std::string(name.substr(dot + 1))};
}

bool all_short_characters(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return short_characters.contains(to_upper(c)); });
}

bool fits_short(const Parts& parts) {
  return !parts.stem.empty() && parts.stem.size() <= stem_size && parts.extension.size() <= extension_size &&
         all_short_characters(parts.stem) && all_short_characters(parts.extension);
}

/// Whether one bit can say the case of all letters.
bool has_one_case(std::string_view text) {
  return !(std::ranges::any_of(text, is_lower) && std::ranges::any_of(text, is_upper));
}

std::array<char, stem_size + extension_size> padded(const Parts& parts) {
  std::array<char, stem_size + extension_size> raw{};
  raw.fill(' ');
  std::ranges::copy(parts.stem, raw.begin());
  std::ranges::copy(parts.extension, raw.begin() + stem_size);
  return raw;
}

/// Only what a short name may hold: blanks and dots dropped, other characters replaced, cut to size.
std::string squeezed(std::string_view text, std::size_t size) {
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == ' ' || c == '.' || (byte & 0xc0U) == 0x80) continue;  // a character of UTF-8 becomes one underscore
    result += short_characters.contains(to_upper(c)) ? to_upper(c) : '_';
    if (result.size() == size) break;
  }
  return result;
}

/// Makes short names that nothing else in the directory is called.
class ShortNames {
 public:
  explicit ShortNames(std::set<std::u16string> taken) : taken_(std::move(taken)) {}

  /// STEM~1.EXT, or the next number that is free.
  Parts next(std::string_view name) {
    const Parts parts = divide(name);
    const Parts basis{squeezed(parts.stem, stem_size), squeezed(parts.extension, extension_size)};
    std::uint32_t& last = last_[basis.text()];
    while (true) {
      const std::string tail = "~" + std::to_string(++last);
      const Parts candidate{basis.stem.substr(0, stem_size - tail.size()) + tail, basis.extension};
      const std::string text = candidate.text();
      if (taken_.insert(std::u16string(text.begin(), text.end())).second) return candidate;
    }
  }

 private:
  std::set<std::u16string> taken_;
  std::map<std::string, std::uint32_t> last_;
};

/// The name itself as a short one, if only case stands between them.
std::optional<FatName> as_short_name(std::string_view name) {
  const Parts parts = divide(name);
  if (!fits_short(parts)) return std::nullopt;
  FatName result;
  result.short_name = padded({upper(parts.stem), upper(parts.extension)});
  if (has_one_case(parts.stem) && has_one_case(parts.extension)) {
    if (std::ranges::any_of(parts.stem, is_lower)) result.case_flags |= fat_stem_is_lower;
    if (std::ranges::any_of(parts.extension, is_lower)) result.case_flags |= fat_extension_is_lower;
  } else {
    result.long_name = *to_utf16(name);
  }
  return result;
}

std::size_t long_entries(const std::u16string& name) {
  return base::divide_rounding_up(name.size(), fat_units_per_entry);
}

}  // namespace

std::size_t FatName::entries() const {
  return long_entries(long_name) + 1;
}

Result<> check_fat_name(std::string_view name) {
  if (name.empty()) return fail(Kind::invalid_input, "a name is empty");
  TRY(const std::u16string units, to_utf16(name), "a name");
  for (const char c : name) {
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') {
      return fail(Kind::invalid_input, "a name holds a control character, which FAT cannot hold");
    }
    if (forbidden.contains(c)) {
      return fail(Kind::invalid_input,
                  "the name \"" + std::string(name) + "\" holds '" + c + "', which FAT cannot hold");
    }
  }
  if (name.front() == ' ' || name.back() == ' ' || name.back() == '.') {
    return fail(Kind::invalid_input, "the name \"" + std::string(name) +
                                         "\" has a blank at an end or a dot at its end, which FAT does not keep");
  }
  if (units.size() > max_units) {
    return fail(Kind::invalid_input, "the name \"" + std::string(name.substr(0, 32)) + "...\" has " +
                                         std::to_string(units.size()) + " UTF-16 units; FAT holds 255");
  }
  return ok();
}

Result<std::vector<FatName>> name_fat_directory(std::span<const std::string_view> names) {
  std::map<std::u16string, std::string_view> seen;
  std::set<std::u16string> taken;
  for (const std::string_view name : names) {
    TRY_DO(check_fat_name(name));
    std::u16string key = folded(*to_utf16(name));
    if (const auto [other, is_new] = seen.emplace(key, name); !is_new) {
      return fail(Kind::invalid_input, "\"" + std::string(other->second) + "\" and \"" + std::string(name) +
                                           "\" are one name to FAT, which does not tell upper from lower case");
    }
    taken.insert(std::move(key));
  }

  ShortNames short_names(std::move(taken));
  std::vector<FatName> result;
  for (const std::string_view name : names) {
    if (auto itself = as_short_name(name)) {
      result.push_back(*std::move(itself));
    } else {
      result.push_back({.short_name = padded(short_names.next(name)), .long_name = *to_utf16(name)});
    }
  }
  return result;
}

std::uint8_t short_name_checksum(std::span<const char> short_name) {
  std::uint8_t sum = 0;
  for (const char c : short_name) {
    sum = static_cast<std::uint8_t>(((sum & 1U) << 7U) + (sum >> 1U) + static_cast<unsigned char>(c));
  }
  return sum;
}

std::size_t place_of_unit(std::size_t unit) {
  if (unit < 5) return 1 + 2 * unit;
  if (unit < 11) return 14 + 2 * (unit - 5);
  return 28 + 2 * (unit - 11);
}

void append_long_name(base::Bytes& to, const FatName& name) {
  constexpr std::byte last_part{0x40};
  constexpr std::byte long_name_attribute{0x0f};
  const std::uint8_t sum = short_name_checksum(name.short_name);
  const std::size_t count = long_entries(name.long_name);
  for (std::size_t part = count; part-- > 0;) {
    std::array<std::byte, fat_entry_size> entry{};
    entry[0] = static_cast<std::byte>(part + 1) | (part + 1 == count ? last_part : std::byte{0});
    entry[11] = long_name_attribute;
    entry[13] = static_cast<std::byte>(sum);
    for (std::size_t unit = 0; unit < fat_units_per_entry; ++unit) {
      const std::size_t at = part * fat_units_per_entry + unit;
      const char16_t past_end = at == name.long_name.size() ? u'\0' : u'\xffff';
      const char16_t value = at < name.long_name.size() ? name.long_name[at] : past_end;
      base::store_le(&entry[place_of_unit(unit)], static_cast<std::uint16_t>(value));
    }
    to.insert(to.end(), entry.begin(), entry.end());
  }
}

}  // namespace image
