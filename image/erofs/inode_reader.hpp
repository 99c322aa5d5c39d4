#pragma once

#include <cstdint>

#include "base/block_device.hpp"
#include "base/result.hpp"
#include "image/erofs/superblock.hpp"
#include "image/file_tree.hpp"

namespace image::erofs {

/// Where the bytes of a file, directory or link lie when they are not compressed: whole blocks, then a tail.
struct FlatData {
  std::uint64_t size = 0;       // bytes
  std::uint64_t blocks_at = 0;  // bytes from the beginning of the image
  std::uint64_t tail_at = 0;    // the same, of what is behind the last whole block

  std::uint64_t whole_blocks_size() const { return size / block_size * block_size; }
  /// Fills `into` from `offset`; the caller keeps within `size`. Fails: io.
  base::Result<> read(const base::BlockDevice& image, std::uint64_t offset, base::MutableByteView into) const;
};

/// An inode as it lies in an image, every number in it checked against the image's size.
struct DiskInode {
  Inode inode;  // without entries, target and content
  std::uint64_t nid = 0;
  std::uint32_t number = 0;  // what stat(2) shows
  unsigned layout = 0;
  FlatData flat;                // layouts plain and inline
  std::uint64_t body_end = 0;   // bytes from the beginning of the image: behind the inode and its attributes
  std::uint32_t data_word = 0;  // what the inode says of its data: a block, how many there are, a device
};

/// Reads the inode `nid`; `xattr_bytes_left` is what attributes may still take, and is made less. Fails: corrupt,
/// unsupported (the message says why, not which inode); io.
base::Result<DiskInode> read_inode(const base::BlockDevice& image, const SuperblockInfo& superblock, std::uint64_t nid,
                                   std::uint64_t& xattr_bytes_left);

/// Fills `into`. Fails: corrupt (the range leaves the image), io.
base::Result<> read_within(const base::BlockDevice& image, const SuperblockInfo& superblock, std::uint64_t offset,
                           base::MutableByteView into);

}  // namespace image::erofs
