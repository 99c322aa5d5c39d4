#include "verity/fit.hpp"

#include <string>

namespace verity {

base::Result<> check_tree_fits(const Geometry& geometry, const base::BlockDevice& device, std::uint64_t tree_offset,
                               base::Kind kind) {
  const std::uint64_t size = device.size_bytes();
  if (geometry.tree_bytes() == 0) return base::ok();
  if (tree_offset <= size && geometry.tree_bytes() <= size - tree_offset) return base::ok();
  return base::fail(kind, "the hash tree takes " + std::to_string(geometry.tree_bytes()) + " bytes from offset " +
                              std::to_string(tree_offset) + " on, but " + device.name() + " has only " +
                              std::to_string(size) + " bytes");
}

base::Result<> check_data_fits(const Geometry& geometry, const base::BlockDevice& device) {
  if (device.size_bytes() >= geometry.data_bytes()) return base::ok();
  return base::fail(base::Kind::corrupt, device.name() + " has only " + std::to_string(device.size_bytes()) +
                                             " of the " + std::to_string(geometry.data_bytes()) +
                                             " bytes of data that the hash tree covers");
}

}  // namespace verity
