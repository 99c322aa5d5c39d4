#pragma once

#include <cstdint>
#include <string>

#include "base/block_device.hpp"
#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/uuid.hpp"
#include "image/erofs/format.hpp"

namespace image::erofs {

/// What an image says about itself, and where its parts lie.
struct SuperblockInfo {
  base::Uuid uuid;
  std::uint64_t time = 0;  // seconds since 1970
  std::string volume_name;
  std::uint64_t blocks = 0;  // of 4096 bytes
  std::uint64_t inodes = 0;  // as the image says; nobody has counted
  std::uint32_t compatible_features = 0;
  std::uint32_t incompatible_features = 0;

  std::uint64_t root_nid = 0;  // in units of inode_slot from the first metadata block
  std::uint64_t metadata_block = 0;
  std::uint64_t shared_xattrs_block = 0;

  std::uint64_t size_bytes() const { return blocks * block_size; }
};

/// Fails: corrupt (no EROFS there; a wrong checksum; the image is cut short); unsupported (another block size,
/// a feature that is needed and not known here); io.
base::Result<SuperblockInfo> read_superblock(const base::BlockDevice& image);

/// The CRC-32C (Castagnoli), without the final inversion, of a first block from its superblock on, the field of the
/// checksum taken as zero.
std::uint32_t superblock_checksum(base::ByteView first_block);
/// Where in the first block it is kept.
inline constexpr std::size_t superblock_checksum_offset = superblock_offset + 4;

}  // namespace image::erofs
