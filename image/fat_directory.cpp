#include "image/fat_directory.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "image/fat_name.hpp"
#include "image/utf16.hpp"

namespace image {

using base::ByteView;
using base::fail;
using base::Kind;
using base::Result;

namespace {

// A directory entry. Source: fatgen103, "FAT Directory Structure".
constexpr std::size_t short_name_size = 11;
constexpr std::size_t stem_size = 8;
constexpr std::size_t at_attributes = 11;
constexpr std::size_t at_case_flags = 12;
constexpr std::size_t at_checksum = 13;  // of a long name's entry
constexpr std::size_t at_cluster_high = 20;
constexpr std::size_t at_cluster_low = 26;
constexpr std::size_t at_size = 28;

constexpr std::byte end_of_directory{0};
constexpr std::byte deleted{0xe5};
constexpr unsigned label_attribute = 0x08;
constexpr unsigned directory_attribute = 0x10;
constexpr unsigned long_name_attributes = 0x0f;
constexpr unsigned long_name_mask = 0x3f;

constexpr unsigned last_part = 0x40;
constexpr std::size_t max_parts = 20;

/// Takes up the parts of a long name as they stand in front of the entry that they name: the last part first.
class LongName {
 public:
  void add(ByteView entry) {
    const auto order = std::to_integer<unsigned>(entry[0]);
    const std::size_t part = order & (last_part - 1);
    const auto checksum = std::to_integer<std::uint8_t>(entry[at_checksum]);
    if ((order & last_part) != 0 && part >= 1 && part <= max_parts) {
      units_.assign(part * fat_units_per_entry, u'\0');
      checksum_ = checksum;
    } else if (part == 0 || part + 1 != next_ || checksum != checksum_) {
      forget();
      return;
    }
    next_ = part;
    for (std::size_t unit = 0; unit < fat_units_per_entry; ++unit) {
      units_[(part - 1) * fat_units_per_entry + unit] = base::load_le<std::uint16_t>(&entry[place_of_unit(unit)]);
    }
  }
  void forget() { next_ = 0; }

  /// The name, if it is whole and belongs to this short one; forgotten in any case.
  std::optional<std::u16string> take(std::span<const char> short_name) {
    const bool whole = next_ == 1 && short_name_checksum(short_name) == checksum_;
    forget();
    if (!whole) return std::nullopt;
    return units_.substr(0, units_.find(u'\0'));
  }

 private:
  std::u16string units_;
  std::size_t next_ = 0;  // the part that was seen last; 0: none
  std::uint8_t checksum_ = 0;
};

std::string part_of_short_name(std::string_view raw, bool lower) {
  std::string text(raw.substr(0, raw.find_last_not_of(' ') + 1));
  for (char& c : text) {
    if (static_cast<unsigned char>(c) >= 0x80) c = '_';
    if (lower && c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

std::string name_from_short(std::string_view raw, unsigned case_flags) {
  const std::string name = part_of_short_name(raw.substr(0, stem_size), (case_flags & fat_stem_is_lower) != 0);
  const std::string extension = part_of_short_name(raw.substr(stem_size), (case_flags & fat_extension_is_lower) != 0);
  return extension.empty() ? name : name + "." + extension;
}

bool is_safe(std::string_view name) {
  return !name.empty() && name != "." && name != ".." && std::ranges::all_of(name, [](char c) {
    return static_cast<unsigned char>(c) >= ' ' && c != '\x7f' && c != '/' && c != '\\';
  });
}

}  // namespace

Result<std::vector<FatDirectoryEntry>> read_fat_directory(ByteView raw) {
  std::vector<FatDirectoryEntry> entries;
  LongName long_name;
  for (; raw.size() >= fat_entry_size; raw = raw.subspan(fat_entry_size)) {
    const ByteView entry = raw.first(fat_entry_size);
    if (entry[0] == end_of_directory) break;
    const auto attributes = std::to_integer<unsigned>(entry[at_attributes]);
    if (entry[0] == deleted) {
      long_name.forget();
      continue;
    }
    if ((attributes & long_name_mask) == long_name_attributes) {
      long_name.add(entry);
      continue;
    }
    const std::string_view short_name = base::text_of(entry.first(short_name_size));
    const auto name = long_name.take(short_name);
    if ((attributes & label_attribute) != 0 || short_name == ".          " || short_name == "..         ") continue;
    FatDirectoryEntry found{
        .name = name ? to_utf8(*name) : name_from_short(short_name, std::to_integer<unsigned>(entry[at_case_flags])),
        .is_directory = (attributes & directory_attribute) != 0,
        .first_cluster = static_cast<std::uint32_t>(base::load_le<std::uint16_t>(&entry[at_cluster_high])) << 16 |
                         base::load_le<std::uint16_t>(&entry[at_cluster_low]),
        .size_bytes = base::load_le<std::uint32_t>(&entry[at_size])};
    if (!is_safe(found.name)) {
      return fail(Kind::corrupt, "entry " + std::to_string(entries.size() + 1) + " has a name that cannot be one");
    }
    entries.push_back(std::move(found));
  }
  return entries;
}

}  // namespace image
