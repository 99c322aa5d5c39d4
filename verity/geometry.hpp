#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace verity {

inline constexpr std::uint32_t min_block_size = 512;
/// The kernel takes block sizes up to its page size; 4096 is the page size of the machines we build for.
inline constexpr std::uint32_t max_block_size = 4096;
inline constexpr std::size_t max_salt_size = 256;

/// What, beside the data, decides a dm-verity tree (hash type 1, SHA-256: digest = SHA-256(salt || block)).
struct HashTreeParams {
  std::uint32_t data_block_size = 4096;  // bytes, a power of two from 512 to 4096
  std::uint32_t hash_block_size = 4096;  // the same
  base::Bytes salt;                      // at most 256 bytes; empty: none
};

/// Where each hash block of a tree lies. Blocks are counted from the first byte behind the superblock; the top level
/// comes first, the level above the data (level 0) last.
/// Source: Linux, Documentation/admin-guide/device-mapper/verity.rst
class Geometry {
 public:
  struct Level {
    std::uint64_t first_block;
    std::uint64_t block_count;
  };

  /// Fails: invalid_input (block sizes, salt, no data, more data than 2^62 bytes).
  static base::Result<Geometry> of(HashTreeParams params, std::uint64_t data_blocks);
  /// The same for a number of bytes, which must be whole data blocks.
  static base::Result<Geometry> of_bytes(HashTreeParams params, std::uint64_t data_bytes);

  const HashTreeParams& params() const { return params_; }
  std::uint64_t data_blocks() const { return data_blocks_; }
  std::uint64_t data_bytes() const { return data_blocks_ * params_.data_block_size; }
  /// How many digests a hash block holds (a power of two, 16 to 128).
  std::uint64_t digests_per_block() const;
  /// Level 0 is the one above the data. Empty for a single data block: its digest is the root hash.
  const std::vector<Level>& levels() const { return levels_; }
  std::uint64_t tree_blocks() const { return tree_blocks_; }
  std::uint64_t tree_bytes() const { return tree_blocks_ * params_.hash_block_size; }

 private:
  Geometry() = default;

  HashTreeParams params_;
  std::uint64_t data_blocks_ = 0;
  std::uint64_t tree_blocks_ = 0;
  std::vector<Level> levels_;
};

}  // namespace verity
