#pragma once

#include <algorithm>
#include <cstdint>

#include "verity/geometry.hpp"

namespace verity {

/// How work on a tree is cut into pieces that threads take: each chunk is the data below a few whole blocks of level 0,
/// about 1 MiB, so that whoever hashes it can hash those level 0 blocks too.
class ChunkPlan {
 public:
  explicit ChunkPlan(const Geometry& geometry)
      : data_blocks_(geometry.data_blocks()),
        leaves_per_chunk_(std::max<std::uint64_t>(
            1, target_bytes / (geometry.digests_per_block() * geometry.params().data_block_size))),
        blocks_per_chunk_(leaves_per_chunk_ * geometry.digests_per_block()) {}

  std::uint64_t leaves_per_chunk() const { return leaves_per_chunk_; }
  std::uint64_t blocks_per_chunk() const { return blocks_per_chunk_; }
  std::uint64_t chunk_count() const { return base::divide_rounding_up(data_blocks_, blocks_per_chunk_); }
  std::uint64_t first_block(std::uint64_t chunk) const { return chunk * blocks_per_chunk_; }
  std::uint64_t block_count(std::uint64_t chunk) const {
    return std::min(blocks_per_chunk_, data_blocks_ - first_block(chunk));
  }

 private:
  static constexpr std::uint64_t target_bytes = std::uint64_t{1} << 20;

  std::uint64_t data_blocks_;
  std::uint64_t leaves_per_chunk_;
  std::uint64_t blocks_per_chunk_;
};

/// Data is read this much at a time, so that it is hashed while it is still in the processor's own cache. With 256 KiB
/// the copy out of the page cache takes three times as long on a Zen 3, whose second-level cache has 512 KiB.
inline constexpr std::size_t read_piece_bytes = std::size_t{64} << 10;

}  // namespace verity
