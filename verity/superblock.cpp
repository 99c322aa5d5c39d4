#include "verity/superblock.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "verity/fit.hpp"

namespace verity {

using base::ByteView;
using base::fail;
using base::Kind;
using base::load_le;
using base::Result;
using base::store_le;

namespace {

// Offsets in bytes; all integers are little-endian.
constexpr std::size_t at_signature = 0;         // 8
constexpr std::size_t at_version = 8;           // u32
constexpr std::size_t at_hash_type = 12;        // u32
constexpr std::size_t at_uuid = 16;             // 16
constexpr std::size_t at_algorithm = 32;        // 32, NUL-padded
constexpr std::size_t at_data_block_size = 64;  // u32
constexpr std::size_t at_hash_block_size = 68;  // u32
constexpr std::size_t at_data_blocks = 72;      // u64
constexpr std::size_t at_salt_size = 80;        // u16, then 6 unused
constexpr std::size_t at_padding_1 = 82;
constexpr std::size_t at_salt = 88;  // 256, then 168 unused
constexpr std::size_t at_padding_2 = 344;

constexpr std::string_view signature("verity\0\0", 8);
constexpr std::string_view sha256 = "sha256";
constexpr std::size_t algorithm_size = 32;
constexpr std::uint32_t supported_version = 1;
constexpr std::uint32_t supported_hash_type = 1;

bool all_zero(ByteView bytes) {
  return std::ranges::all_of(bytes, [](std::byte byte) { return byte == std::byte{0}; });
}

/// The algorithm's name, without control characters that a hostile superblock might put on a terminal.
std::string printable(ByteView bytes) {
  std::string text;
  for (const std::byte byte : bytes) {
    const char c = static_cast<char>(byte);
    if (c == '\0') break;
    text += c > ' ' && c < '\x7f' ? c : '?';
  }
  return text;
}

}  // namespace

Result<Superblock> Superblock::decode(ByteView raw) {
  if (raw.size() < superblock_size) {
    return fail(Kind::corrupt, std::to_string(raw.size()) + " bytes are too few for a verity superblock (512)");
  }
  if (base::text_of(raw.subspan(at_signature, signature.size())) != signature) {
    return fail(Kind::corrupt, "no verity superblock: it would begin with \"verity\"");
  }
  if (const auto version = load_le<std::uint32_t>(&raw[at_version]); version != supported_version) {
    return fail(Kind::unsupported, "verity superblock version " + std::to_string(version) + "; 1 is known");
  }
  if (const auto type = load_le<std::uint32_t>(&raw[at_hash_type]); type != supported_hash_type) {
    return fail(Kind::unsupported, "verity hash type " + std::to_string(type) + "; 1 is supported");
  }
  const ByteView algorithm = raw.subspan(at_algorithm, algorithm_size);
  if (base::text_of(algorithm.first(sha256.size())) != sha256 || !all_zero(algorithm.subspan(sha256.size()))) {
    return fail(Kind::unsupported, "hash algorithm \"" + printable(algorithm) + "\"; sha256 is supported");
  }
  const auto salt_size = load_le<std::uint16_t>(&raw[at_salt_size]);
  if (salt_size > max_salt_size) {
    return fail(Kind::corrupt,
                "the verity superblock gives a salt of " + std::to_string(salt_size) + " bytes; 256 is the most");
  }
  if (!all_zero(raw.subspan(at_padding_1, at_salt - at_padding_1)) ||
      !all_zero(raw.subspan(at_salt + salt_size, at_padding_2 - at_salt - salt_size)) ||
      !all_zero(raw.subspan(at_padding_2, superblock_size - at_padding_2))) {
    return fail(Kind::corrupt, "the verity superblock has bytes set in unused places");
  }

  Superblock superblock;
  std::ranges::copy(raw.subspan(at_uuid, 16), superblock.uuid.bytes.begin());
  superblock.params.data_block_size = load_le<std::uint32_t>(&raw[at_data_block_size]);
  superblock.params.hash_block_size = load_le<std::uint32_t>(&raw[at_hash_block_size]);
  const ByteView salt = raw.subspan(at_salt, salt_size);
  superblock.params.salt.assign(salt.begin(), salt.end());
  superblock.data_blocks = load_le<std::uint64_t>(&raw[at_data_blocks]);
  if (auto geometry = Geometry::of(superblock.params, superblock.data_blocks); !geometry) {
    return fail(Kind::corrupt, "the verity superblock is impossible: " + geometry.error().message());
  }
  return superblock;
}

base::Bytes Superblock::encode() const {
  base::Bytes raw(superblock_size);
  std::ranges::copy(base::bytes_of(signature), raw.begin() + at_signature);
  store_le(&raw[at_version], supported_version);
  store_le(&raw[at_hash_type], supported_hash_type);
  std::ranges::copy(uuid.bytes, raw.begin() + at_uuid);
  std::ranges::copy(base::bytes_of(sha256), raw.begin() + at_algorithm);
  store_le(&raw[at_data_block_size], params.data_block_size);
  store_le(&raw[at_hash_block_size], params.hash_block_size);
  store_le(&raw[at_data_blocks], data_blocks);
  store_le(&raw[at_salt_size], static_cast<std::uint16_t>(params.salt.size()));
  std::ranges::copy(params.salt, raw.begin() + at_salt);
  return raw;
}

Result<Superblock> read_superblock(const base::BlockDevice& hash_device, std::uint64_t hash_offset) {
  TRY_DO(tree_offset(hash_offset, HasSuperblock::yes, min_block_size));
  const std::string frame =
      "the verity superblock at offset " + std::to_string(hash_offset) + " of " + hash_device.name();
  std::array<std::byte, superblock_size> raw{};
  TRY_DO(hash_device.read(hash_offset, raw), "reading " + frame);
  TRY(Superblock superblock, Superblock::decode(raw), frame);
  TRY(const Geometry geometry, Geometry::of(superblock.params, superblock.data_blocks));
  TRY(const std::uint64_t start, tree_offset(hash_offset, HasSuperblock::yes, superblock.params.hash_block_size));
  TRY_DO(check_tree_fits(geometry, hash_device, start, Kind::corrupt), frame);
  return superblock;
}

Result<> write_superblock(base::BlockDevice& hash_device, std::uint64_t hash_offset, const Superblock& superblock) {
  TRY_DO(tree_offset(hash_offset, HasSuperblock::yes, superblock.params.hash_block_size));
  return hash_device.write(hash_offset, superblock.encode());
}

Result<std::uint64_t> tree_offset(std::uint64_t hash_offset, HasSuperblock has, std::uint32_t hash_block_size) {
  const std::uint64_t alignment = has == HasSuperblock::yes ? hash_offset_alignment : hash_block_size;
  if (hash_offset % alignment != 0) {
    return fail(Kind::invalid_input,
                "hash offset " + std::to_string(hash_offset) + " is no multiple of " + std::to_string(alignment));
  }
  if (has == HasSuperblock::no) return hash_offset;
  if (hash_offset > (std::uint64_t{1} << 62)) {
    return fail(Kind::invalid_input, "hash offset " + std::to_string(hash_offset) + " is beyond 2^62 bytes");
  }
  return base::divide_rounding_up(hash_offset + superblock_size, hash_block_size) * hash_block_size;
}

}  // namespace verity
