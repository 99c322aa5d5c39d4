#pragma once

#include <cstdint>

#include "base/block_device.hpp"
#include "base/result.hpp"
#include "verity/geometry.hpp"

namespace verity {

/// Whether a device is long enough for the tree from `tree_offset` on. Fails: `kind`, with both sizes.
base::Result<> check_tree_fits(const Geometry& geometry, const base::BlockDevice& device, std::uint64_t tree_offset,
                               base::Kind kind);
/// Whether a device holds all data that the tree covers. Fails: corrupt, with both sizes.
base::Result<> check_data_fits(const Geometry& geometry, const base::BlockDevice& device);

}  // namespace verity
