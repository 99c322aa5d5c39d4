#include "image/erofs/superblock.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace image::erofs {

using base::Bytes;
using base::ByteView;
using base::fail;
using base::Kind;
using base::load_le;
using base::Result;

Result<SuperblockInfo> read_superblock(const base::BlockDevice& image) {
  const std::string& name = image.name();
  Bytes block(block_size);
  if (image.size_bytes() < block.size()) return fail(Kind::corrupt, name + " is too short for an EROFS image");
  TRY_DO(image.read(0, block));
  const std::byte* const at = &block[superblock_offset];
  if (load_le<std::uint32_t>(at) != magic) return fail(Kind::corrupt, name + " holds no EROFS image");

  SuperblockInfo info;
  info.compatible_features = load_le<std::uint32_t>(at + 8);
  if ((info.compatible_features & compat_checksum) != 0 &&
      load_le<std::uint32_t>(&block[superblock_checksum_offset]) != superblock_checksum(block)) {
    return fail(Kind::corrupt, "the checksum of the EROFS superblock of " + name + " is wrong");
  }
  if (at[12] != std::byte{block_bits}) {
    return fail(Kind::unsupported, fmt::format("{} has blocks of 2^{} bytes; only those of 4096 are read", name,
                                               std::to_integer<unsigned>(at[12])));
  }
  info.root_nid = load_le<std::uint16_t>(at + 14);
  info.inodes = load_le<std::uint64_t>(at + 16);
  info.time = load_le<std::uint64_t>(at + 24);
  info.blocks = load_le<std::uint32_t>(at + 36);
  info.metadata_block = load_le<std::uint32_t>(at + 40);
  info.shared_xattrs_block = load_le<std::uint32_t>(at + 44);
  std::ranges::copy(ByteView(at + 48, info.uuid.bytes.size()), info.uuid.bytes.begin());
  const std::string_view volume_name = base::text_of(ByteView(at + 64, max_volume_name));
  info.volume_name = volume_name.substr(0, volume_name.find('\0'));
  info.incompatible_features = load_le<std::uint32_t>(at + 80);
  if ((info.incompatible_features & ~incompat_known) != 0) {
    return fail(Kind::unsupported, fmt::format("{} needs EROFS features that are not known here: {:#x}", name,
                                               info.incompatible_features & ~incompat_known));
  }
  if (info.blocks == 0 || info.size_bytes() > image.size_bytes()) {
    return fail(Kind::corrupt, fmt::format("{} has {} bytes; its EROFS superblock says {}", name, image.size_bytes(),
                                           info.size_bytes()));
  }
  return info;
}

std::uint32_t superblock_checksum(ByteView first_block) {
  Bytes bytes(first_block.begin() + superblock_offset, first_block.end());
  base::store_le(&bytes[superblock_checksum_offset - superblock_offset], std::uint32_t{0});
  constexpr std::uint32_t polynomial = 0x82f63b78;  // reflected
  std::uint32_t crc = 0xffffffff;
  for (const std::byte byte : bytes) {
    crc ^= std::to_integer<std::uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? polynomial : 0);
  }
  return crc;
}

}  // namespace image::erofs
