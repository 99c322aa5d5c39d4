#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "image/file_tree.hpp"

namespace image::erofs {

struct EntryOnDisk {
  std::string_view name;  // in the block that was read
  std::uint64_t nid = 0;
  FileType type = FileType::regular;
};

/// Takes one block of a directory apart, or the part of the last one that is in use. Whether names can be names and
/// stand in order is check()'s to say. Fails: corrupt.
base::Result<std::vector<EntryOnDisk>> read_directory_block(base::ByteView block);

}  // namespace image::erofs
