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
inline constexpr unsigned layout_inline = 2;  // the last, partial block lies right behind the inode

inline constexpr std::uint16_t extended_inode_bit = 1;  // of an inode's format; its layout stands above

inline constexpr std::size_t dirent_size = 12;

inline constexpr std::size_t xattr_header_size = 12;
inline constexpr std::size_t xattr_entry_size = 4;
inline constexpr std::size_t max_shared_xattrs = 255;

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
