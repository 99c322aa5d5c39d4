#pragma once

#include <cstdint>
#include <memory>

#include "base/block_device.hpp"
#include "base/result.hpp"
#include "image/erofs/superblock.hpp"
#include "image/file_tree.hpp"

namespace image::erofs {

/// Where a compressed file says how it is cut into clusters.
struct CompressedData {
  std::uint64_t size = 0;      // bytes, not compressed
  std::uint64_t index_at = 0;  // bytes from the beginning of the image
  bool compact = false;        // entries of 4 or 2 bytes, not of 8
  bool two_bytes = false;      // compact: of 2, where 16 of them fit
  bool big_clusters = false;   // a cluster may have more than one block

  /// Bytes of the index.
  std::uint64_t index_size() const;
};

/// Reads the header of the index of a file of `size` bytes that begins behind `body_end`. Fails: unsupported (other
/// than LZ4, other sizes, tails or fragments elsewhere); corrupt (the index leaves the image); io.
base::Result<CompressedData> read_index_header(const base::BlockDevice& image, const SuperblockInfo& superblock,
                                               unsigned layout, std::uint64_t size, std::uint64_t body_end);

/// Reads the file from its beginning to its end, cluster by cluster. What the index says is checked on the way.
/// Memory: a cluster, at most 1 MiB compressed and 8 MiB not. Its reads fail: corrupt, unsupported, io.
std::unique_ptr<ContentReader> open_compressed(std::shared_ptr<const base::BlockDevice> image,
                                               const SuperblockInfo& superblock, const CompressedData& data);

}  // namespace image::erofs
