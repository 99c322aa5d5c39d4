#include "agent/boot_loader/load_option.hpp"

#include <concepts>
#include <cstddef>
#include <limits>

#include "agent/boot_loader/efi_text.hpp"

namespace agent::boot_loader {

using base::Bytes;
using base::ByteView;
using base::fail;
using base::Kind;
using base::Result;

namespace {

// EFI_LOAD_OPTION
constexpr std::size_t paths_length_offset = 4;
constexpr std::size_t description_offset = 6;

// EFI_DEVICE_PATH_PROTOCOL: type, subtype, length of the node with these four bytes
constexpr std::size_t node_header_size = 4;
constexpr std::uint8_t type_media = 0x04;
constexpr std::uint8_t subtype_hard_drive = 0x01;
constexpr std::uint8_t subtype_file = 0x04;
constexpr std::uint8_t type_end = 0x7f;  // of a device path, whichever its subtype
constexpr std::uint8_t subtype_end_of_all = 0xff;

// HARDDRIVE_DEVICE_PATH
constexpr std::size_t hard_drive_size = 42;
constexpr std::size_t number_offset = 4;
constexpr std::size_t start_offset = 8;
constexpr std::size_t size_offset = 16;
constexpr std::size_t signature_offset = 24;
constexpr std::size_t format_offset = 40;
constexpr std::size_t signature_type_offset = 41;
constexpr std::byte format_gpt{0x02};
constexpr std::byte signature_guid{0x02};

template <std::unsigned_integral T>
void append_le(Bytes& to, T value) {
  to.resize(to.size() + sizeof value);
  base::store_le(&to[to.size() - sizeof value], value);
}
void append(Bytes& to, ByteView more) {
  to.insert(to.end(), more.begin(), more.end());
}

struct Node {
  std::uint8_t type = 0;
  std::uint8_t subtype = 0;
  ByteView whole;
};

/// The node at the begin of `path`. Fails: corrupt.
Result<Node> first_node(ByteView path) {
  if (path.size() < node_header_size) return fail(Kind::corrupt, "its device path has no end");
  const std::size_t size = base::load_le<std::uint16_t>(&path[2]);
  if (size < node_header_size || size > path.size()) {
    return fail(Kind::corrupt, "a node of its device path has a wrong length");
  }
  return Node{std::to_integer<std::uint8_t>(path[0]), std::to_integer<std::uint8_t>(path[1]), path.first(size)};
}

/// Nothing for a partition of a disk without a GPT.
Result<std::optional<HardDrive>> hard_drive_of(ByteView node) {
  if (node.size() != hard_drive_size) return fail(Kind::corrupt, "its partition has a wrong length");
  if (node[format_offset] != format_gpt || node[signature_type_offset] != signature_guid) return std::nullopt;
  return HardDrive{.number = base::load_le<std::uint32_t>(&node[number_offset]),
                   .start_sector = base::load_le<std::uint64_t>(&node[start_offset]),
                   .sectors = base::load_le<std::uint64_t>(&node[size_offset]),
                   .uuid = base::Uuid::from_efi_bytes(node.subspan(signature_offset))};
}

/// A path may be cut into several nodes.
void append_file(std::string& file, const std::string& part) {
  if (!file.empty() && !file.ends_with('\\') && !part.starts_with('\\')) file += '\\';
  file += part;
}

Result<> decode_path(ByteView path, LoadOption& option) {
  while (true) {
    TRY(const Node node, first_node(path));
    if (node.type == type_end) return base::ok();
    if (node.type == type_media && node.subtype == subtype_hard_drive) {
      TRY(option.partition, hard_drive_of(node.whole));
    } else if (node.type == type_media && node.subtype == subtype_file) {
      TRY(const std::string part, decode_string(node.whole.subspan(node_header_size)), "its file");
      append_file(option.file, part);
    }
    path = path.subspan(node.whole.size());
  }
}

void append_node_header(Bytes& to, std::uint8_t type, std::uint8_t subtype, std::size_t size) {
  append_le(to, type);
  append_le(to, subtype);
  append_le(to, static_cast<std::uint16_t>(size));
}

Bytes encode_path(const HardDrive& partition, ByteView file) {
  Bytes path;
  append_node_header(path, type_media, subtype_hard_drive, hard_drive_size);
  append_le(path, partition.number);
  append_le(path, partition.start_sector);
  append_le(path, partition.sectors);
  append(path, partition.uuid.efi_bytes());
  path.push_back(format_gpt);
  path.push_back(signature_guid);
  append_node_header(path, type_media, subtype_file, node_header_size + file.size());
  append(path, file);
  append_node_header(path, type_end, subtype_end_of_all, node_header_size);
  return path;
}

}  // namespace

Result<LoadOption> decode_load_option(ByteView value) {
  if (value.size() < description_offset) return fail(Kind::corrupt, "it ends inside its header");
  LoadOption option{
      .attributes = base::load_le<std::uint32_t>(value.data()), .description = {}, .partition = {}, .file = {}};
  const std::size_t paths_size = base::load_le<std::uint16_t>(&value[paths_length_offset]);
  std::size_t end = description_offset;
  while (end + 1 < value.size() && base::load_le<std::uint16_t>(&value[end]) != 0) end += 2;
  if (end + 1 >= value.size()) return fail(Kind::corrupt, "its description has no end");
  TRY(option.description, decode_string(value.subspan(description_offset, end - description_offset)));
  const ByteView rest = value.subspan(end + 2);
  if (paths_size > rest.size()) return fail(Kind::corrupt, "its device path is longer than it is itself");
  TRY_DO(decode_path(rest.first(paths_size), option));
  return option;
}

Result<Bytes> encode_load_option(const LoadOption& option) {
  if (!option.partition || option.file.empty()) {
    return fail(Kind::invalid_input, "a boot option needs a partition and a file");
  }
  TRY(const Bytes description, encode_string(option.description), "the description of a boot option");
  TRY(const Bytes file, encode_string(option.file), "the file of a boot option");
  constexpr std::size_t most = std::numeric_limits<std::uint16_t>::max();
  if (hard_drive_size + 2 * node_header_size + file.size() > most) {
    return fail(Kind::invalid_input, "the path of a boot option's file is too long");
  }
  const Bytes path = encode_path(*option.partition, file);
  Bytes value;
  append_le(value, option.attributes);
  append_le(value, static_cast<std::uint16_t>(path.size()));
  append(value, description);
  append(value, path);
  return value;
}

}  // namespace agent::boot_loader
