#include "verity/geometry.hpp"

#include <bit>
#include <string>
#include <utility>

#include "verity/root_hash.hpp"

namespace verity {

using base::fail;
using base::Kind;
using base::Result;

namespace {

constexpr std::uint64_t max_data_bytes = std::uint64_t{1} << 62;

Result<> check_block_size(const char* which, std::uint32_t size) {
  if (std::has_single_bit(size) && size >= min_block_size && size <= max_block_size) return base::ok();
  return fail(Kind::invalid_input, std::string(which) + " block size " + std::to_string(size) +
                                       ": a power of two from 512 to 4096 is needed");
}

}  // namespace

Result<Geometry> Geometry::of(HashTreeParams params, std::uint64_t data_blocks) {
  TRY_DO(check_block_size("data", params.data_block_size));
  TRY_DO(check_block_size("hash", params.hash_block_size));
  if (params.salt.size() > max_salt_size) {
    return fail(Kind::invalid_input, "a salt of " + std::to_string(params.salt.size()) + " bytes; 256 is the most");
  }
  if (data_blocks == 0) return fail(Kind::invalid_input, "no data: a hash tree needs at least one block");
  if (data_blocks > max_data_bytes / params.data_block_size) {
    return fail(Kind::invalid_input, std::to_string(data_blocks) + " data blocks of " +
                                         std::to_string(params.data_block_size) + " bytes are more than 2^62 bytes");
  }

  Geometry geometry;
  geometry.params_ = std::move(params);
  geometry.data_blocks_ = data_blocks;
  for (std::uint64_t below = data_blocks; below > 1;) {
    below = base::divide_rounding_up(below, geometry.digests_per_block());
    geometry.levels_.push_back({0, below});
    geometry.tree_blocks_ += below;
  }
  std::uint64_t next = geometry.tree_blocks_;
  for (Level& level : geometry.levels_) {
    next -= level.block_count;
    level.first_block = next;
  }
  return geometry;
}

Result<Geometry> Geometry::of_bytes(HashTreeParams params, std::uint64_t data_bytes) {
  TRY_DO(check_block_size("data", params.data_block_size));
  if (data_bytes % params.data_block_size != 0) {
    return fail(Kind::invalid_input, std::to_string(data_bytes) +
                                         " bytes of data are no multiple of the data block size " +
                                         std::to_string(params.data_block_size));
  }
  const std::uint64_t data_blocks = data_bytes / params.data_block_size;
  return of(std::move(params), data_blocks);
}

std::uint64_t Geometry::digests_per_block() const {
  return params_.hash_block_size / digest_size;
}

}  // namespace verity
