#include "image/cpio.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace image {

using base::Bytes;
using base::ByteView;
using base::fail;
using base::Kind;
using base::ok;
using base::Result;

namespace {

constexpr std::string_view newc_magic = "070701";
constexpr std::string_view crc_magic = "070702";
constexpr std::string_view trailer = "TRAILER!!!";
constexpr std::size_t magic_size = 6;
constexpr std::size_t field_size = 8;
constexpr std::size_t alignment = 4;
constexpr std::size_t max_name_size = 4096;  // PATH_MAX, the NUL at the end included
constexpr std::size_t max_entries = std::size_t{1} << 20;
constexpr std::uint32_t permission_bits = 07777;
constexpr std::uint32_t type_bits = 0170000;

/// The fields behind the magic, each eight hexadecimal digits.
enum Field : std::size_t {
  inode,
  mode,
  owner,
  group,
  links,
  modified,
  file_size,
  device_major,
  device_minor,
  node_major,
  node_minor,
  name_size,
  checksum,
  field_count,
};
using Fields = std::array<std::uint32_t, field_count>;
constexpr std::size_t header_size = magic_size + field_count * field_size;

struct TypeBits {
  CpioType type;
  std::uint32_t bits;
};
constexpr std::array<TypeBits, 5> types = {{
    {CpioType::directory, 0040000},
    {CpioType::regular, 0100000},
    {CpioType::symlink, 0120000},
    {CpioType::character_device, 0020000},
    {CpioType::block_device, 0060000},
}};

std::uint32_t bits_of(CpioType type) {
  return std::ranges::find(types, type, &TypeBits::type)->bits;
}
bool has_content(CpioType type) {
  return type == CpioType::regular || type == CpioType::symlink;
}
bool is_device(CpioType type) {
  return type == CpioType::character_device || type == CpioType::block_device;
}

/// A part of a path that names something: neither empty nor "." nor "..".
bool is_plain_part(std::string_view part) {
  return !part.empty() && part != "." && part != "..";
}

bool is_plain_path(std::string_view path) {
  while (true) {
    const std::size_t slash = path.find('/');
    if (!is_plain_part(path.substr(0, slash))) return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
}

// Writing.

Result<> check(const CpioEntry& entry) {
  if (!is_plain_path(entry.path) || entry.path.find('\0') != std::string::npos || entry.path == trailer) {
    return fail(Kind::invalid_input, "\"" + entry.path + "\" is no path for an archive");
  }
  if (entry.path.size() >= max_name_size) {
    return fail(Kind::invalid_input, fmt::format("a path of {} bytes; 4095 are the most", entry.path.size()));
  }
  if ((entry.permissions & ~permission_bits) != 0) {
    return fail(Kind::invalid_input, fmt::format("\"{}\": {:o} are no permissions", entry.path, entry.permissions));
  }
  if (!has_content(entry.type) && !entry.content.empty()) {
    return fail(Kind::invalid_input, "\"" + entry.path + "\" has content, but is no file");
  }
  if (!is_device(entry.type) && (entry.major != 0 || entry.minor != 0)) {
    return fail(Kind::invalid_input, "\"" + entry.path + "\" has a device number, but is no device");
  }
  if (entry.type == CpioType::symlink) {
    const std::string_view target = base::text_of(entry.content);
    if (target.empty() || target.size() >= max_name_size || target.contains('\0')) {
      return fail(Kind::invalid_input, "the target of the link \"" + entry.path + "\" is no path");
    }
  }
  if (entry.content.size() > UINT32_MAX) {
    return fail(Kind::invalid_input,
                fmt::format("\"{}\" has {} bytes; a file has less than 4 GiB", entry.path, entry.content.size()));
  }
  return ok();
}

/// Adds the directories that are needed and not given, and sorts.
void complete(std::vector<CpioEntry>& entries) {
  std::set<std::string> paths;
  for (const CpioEntry& entry : entries) paths.insert(entry.path);
  const std::size_t given = entries.size();
  for (std::size_t i = 0; i < given; ++i) {
    std::string path = entries[i].path;
    for (std::size_t slash = path.rfind('/'); slash != std::string::npos; slash = path.rfind('/')) {
      path.resize(slash);
      if (!paths.insert(path).second) break;
      entries.push_back({.path = path, .type = CpioType::directory, .permissions = 0755});
    }
  }
  std::ranges::sort(entries, {}, &CpioEntry::path);
}

/// Each path once, and nothing below anything but a directory. The entries are sorted and complete.
Result<> check_tree(const std::vector<CpioEntry>& entries) {
  const auto same = std::ranges::adjacent_find(entries, {}, &CpioEntry::path);
  if (same != entries.end()) return fail(Kind::invalid_input, "\"" + same->path + "\" is given twice");
  for (const CpioEntry& entry : entries) {
    const std::size_t slash = entry.path.rfind('/');
    if (slash == std::string::npos) continue;
    const auto parent = std::ranges::lower_bound(entries, entry.path.substr(0, slash), {}, &CpioEntry::path);
    if (parent->type != CpioType::directory) {
      return fail(Kind::invalid_input, "\"" + parent->path + "\" is no directory, but \"" + entry.path + "\" is in it");
    }
  }
  return ok();
}

void pad(Bytes& archive) {
  archive.resize(base::divide_rounding_up(archive.size(), alignment) * alignment);
}

void append(Bytes& archive, const Fields& fields, std::string_view name, ByteView content) {
  std::string header(newc_magic);
  for (const std::uint32_t field : fields) header += fmt::format("{:08X}", field);
  header.append(name).push_back('\0');
  std::ranges::copy(base::bytes_of(header), std::back_inserter(archive));
  pad(archive);
  archive.insert(archive.end(), content.begin(), content.end());
  pad(archive);
}

Fields fields_of(const CpioEntry& entry, std::uint32_t number) {
  Fields fields{};
  fields[inode] = number;
  fields[mode] = bits_of(entry.type) | entry.permissions;
  fields[links] = entry.type == CpioType::directory ? 2 : 1;
  fields[file_size] = static_cast<std::uint32_t>(entry.content.size());
  fields[node_major] = entry.major;
  fields[node_minor] = entry.minor;
  fields[name_size] = static_cast<std::uint32_t>(entry.path.size() + 1);
  return fields;
}

// Reading.

class Reader {
 public:
  explicit Reader(ByteView archive) : archive_(archive) {}

  Result<std::vector<CpioEntry>> read() {
    std::vector<CpioEntry> entries;
    while (true) {
      entry_at_ = at_;
      TRY(std::optional<CpioEntry> entry, next(), fmt::format("the cpio entry at offset {}", entry_at_));
      if (!entry) break;
      if (entries.size() == max_entries) return fail(Kind::corrupt, fmt::format("more than {} entries", max_entries));
      entries.push_back(*std::move(entry));
    }
    if (!only_zeros(archive_.subspan(at_))) {
      return fail(Kind::corrupt, fmt::format("something follows the cpio archive at offset {}", at_));
    }
    return entries;
  }

 private:
  static bool only_zeros(ByteView bytes) {
    return std::ranges::all_of(bytes, [](std::byte byte) { return byte == std::byte{0}; });
  }

  Result<ByteView> take(std::size_t size) {
    if (archive_.size() - at_ < size) return fail(Kind::corrupt, "the archive ends too early");
    const ByteView bytes = archive_.subspan(at_, size);
    at_ += size;
    return bytes;
  }

  Result<> skip_padding() {
    const std::size_t end = base::divide_rounding_up(at_, alignment) * alignment;
    TRY(const ByteView padding, take(end - at_));
    if (!only_zeros(padding)) return fail(Kind::corrupt, "its padding is not zero");
    return ok();
  }

  static Result<std::uint32_t> read_field(std::string_view digits) {
    std::uint32_t value = 0;
    for (const char c : digits) {
      const int digit = base::hex_digit(c);
      if (digit < 0) return fail(Kind::corrupt, "a field is no hexadecimal number");
      value = value << 4U | static_cast<std::uint32_t>(digit);
    }
    return value;
  }

  Result<Fields> read_header() {
    TRY(const ByteView raw, take(header_size));
    std::string_view text = base::text_of(raw);
    if (text.starts_with(crc_magic)) return fail(Kind::unsupported, "cpio archives with checksums are not read");
    if (!text.starts_with(newc_magic)) return fail(Kind::corrupt, "it does not begin with 070701");
    text.remove_prefix(magic_size);
    Fields fields{};
    for (std::size_t i = 0; i < fields.size(); ++i) {
      TRY(fields[i], read_field(text.substr(i * field_size, field_size)));
    }
    return fields;
  }

  Result<std::string> read_name(std::size_t size) {
    if (size < 2 || size > max_name_size) return fail(Kind::corrupt, fmt::format("a name of {} bytes", size));
    TRY(const ByteView raw, take(size));
    const std::string_view name = base::text_of(raw);
    if (name.find('\0') != size - 1) return fail(Kind::corrupt, "its name does not end where it should");
    TRY_DO(skip_padding());
    return std::string(name.substr(0, size - 1));
  }

  static Result<CpioType> type_of(std::uint32_t mode_bits) {
    const auto found = std::ranges::find(types, mode_bits & type_bits, &TypeBits::bits);
    if (found == types.end()) return fail(Kind::unsupported, fmt::format("a file of mode {:o}", mode_bits));
    return found->type;
  }

  static Result<> check_path(std::string_view path) {
    if (path.starts_with("./")) path.remove_prefix(2);
    if (path != "." && !is_plain_path(path)) return fail(Kind::corrupt, "its path leads out or has empty parts");
    return ok();
  }

  /// Nothing: the trailer.
  Result<std::optional<CpioEntry>> next() {
    TRY(const Fields fields, read_header());
    CpioEntry entry;
    TRY(entry.path, read_name(fields[name_size]));
    TRY(entry.content, take(fields[file_size]));
    TRY_DO(skip_padding());
    if (entry.path == trailer) {
      if (!entry.content.empty()) return fail(Kind::corrupt, "the trailer has content");
      return std::nullopt;
    }
    TRY_DO(check_path(entry.path));
    TRY(entry.type, type_of(fields[mode]));
    if ((fields[mode] & ~(type_bits | permission_bits)) != 0) return fail(Kind::corrupt, "its mode is impossible");
    if (!has_content(entry.type) && !entry.content.empty())
      return fail(Kind::corrupt, "it has content, but is no file");
    entry.permissions = fields[mode] & permission_bits;
    if (is_device(entry.type)) {
      entry.major = fields[node_major];
      entry.minor = fields[node_minor];
    }
    return entry;
  }

  ByteView archive_;
  std::size_t at_ = 0;
  std::size_t entry_at_ = 0;
};

}  // namespace

Result<Bytes> write_cpio(std::vector<CpioEntry> entries) {
  for (const CpioEntry& entry : entries) TRY_DO(check(entry));
  complete(entries);
  TRY_DO(check_tree(entries));
  Bytes archive;
  std::uint32_t number = 0;
  for (const CpioEntry& entry : entries) append(archive, fields_of(entry, ++number), entry.path, entry.content);
  Fields last{};
  last[links] = 1;
  last[name_size] = trailer.size() + 1;
  append(archive, last, trailer, {});
  return archive;
}

Result<std::vector<CpioEntry>> read_cpio(ByteView archive) {
  return Reader(archive).read();
}

}  // namespace image
