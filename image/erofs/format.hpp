#pragma once

#include <cstddef>
#include <cstdint>

/// EROFS on disk, as far as we write and read it. All integers are little-endian.
/// Source: Linux, fs/erofs/erofs_fs.h and Documentation/filesystems/erofs.rst
namespace image::erofs {

inline constexpr std::uint32_t block_bits = 12;
inline constexpr std::uint32_t block_size = 1U << block_bits;

inline constexpr std::size_t superblock_offset = 1024;
inline constexpr std::size_t superblock_size = 128;
inline constexpr std::uint32_t magic = 0xe0f5e1e2;
inline constexpr std::uint32_t compat_checksum = 1;  // the superblock carries a CRC-32C
inline constexpr std::uint32_t compat_mtime = 2;     // the time of a compact inode is its mtime

// Features without which nobody may read the image.
inline constexpr std::uint32_t incompat_zero_padding = 1;  // LZ4 data stands at the end of its blocks
inline constexpr std::uint32_t incompat_big_clusters =
    2;  // ... in more than one block; how, is said behind the superblock
inline constexpr std::uint32_t incompat_known = incompat_zero_padding | incompat_big_clusters;

inline constexpr std::size_t max_volume_name = 16;  // bytes, NUL included

inline constexpr std::size_t inode_slot = 32;  // inode number n lies n * 32 bytes behind the metadata's first block
inline constexpr std::size_t compact_inode_size = 32;
inline constexpr std::size_t extended_inode_size = 64;
inline constexpr unsigned layout_plain = 0;
inline constexpr unsigned layout_compressed_full = 1;     // 8 bytes of index for each 4096 bytes of the file
inline constexpr unsigned layout_compressed_compact = 3;  // 4 or 2
inline constexpr unsigned layout_inline = 2;              // the last, partial block lies right behind the inode

inline constexpr std::uint16_t extended_inode_bit = 1;  // of an inode's format; its layout stands above

inline constexpr std::size_t dirent_size = 12;

inline constexpr std::size_t xattr_header_size = 12;
inline constexpr std::size_t xattr_entry_size = 4;
inline constexpr std::size_t max_shared_xattrs = 255;

// Compressed files. A file is cut into clusters: bytes of the file that lie compressed in blocks of their own (up to
// max_cluster_size; at their end, behind zeros), or plainly in one block. Behind the inode stand a header and, for each
// 4096 bytes of the file, what cluster begins there, or how far away the one is to which they belong.
inline constexpr std::uint32_t min_cluster_size = block_size;
inline constexpr std::uint32_t max_cluster_size = std::uint32_t{1} << 20;
inline constexpr std::size_t compression_config_size = 14;  // of LZ4, behind a 16-bit length, behind the superblock
inline constexpr std::uint16_t lz4_max_distance = 65535;
inline constexpr std::size_t map_header_size = 8;
inline constexpr std::size_t full_index_padding = 8;
inline constexpr std::size_t full_index_size = 8;
inline constexpr std::uint16_t advise_two_byte_indexes = 1;
inline constexpr std::uint16_t advise_big_clusters = 2;
inline constexpr std::uint16_t advise_big_second_clusters = 4;  // of a second algorithm; compact indexes want both
inline constexpr std::uint16_t cluster_blocks_flag = 1U << 11;  // the distance back is 1; the rest counts blocks

enum class IndexType : std::uint8_t { plain = 0, compressed = 1, inside = 2, compressed_by_second = 3 };

/// What a directory entry calls a type.
enum class DirentType : std::uint8_t {
  regular = 1,
  directory = 2,
  character_device = 3,
  block_device = 4,
  fifo = 5,
  socket = 6,
  symlink = 7,
};

}  // namespace image::erofs
