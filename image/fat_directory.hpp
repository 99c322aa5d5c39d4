#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace image {

/// One name in a directory of a FAT32 volume.
struct FatDirectoryEntry {
  std::string name;  // UTF-8: the long name, or else the short one
  bool is_directory = false;
  std::uint32_t first_cluster = 0;  // 0: nothing is stored
  std::uint32_t size_bytes = 0;     // of a file

  friend bool operator==(const FatDirectoryEntry&, const FatDirectoryEntry&) = default;
};

/// The names in the bytes of a directory, in their order; ".", "..", the volume's label and what was deleted are left
/// out. A long name counts only when it is whole and belongs to the short one behind it, as for every reader; what is
/// not ASCII in a short name becomes an underscore. Fails: corrupt (a name that could lead out of its directory or
/// upset a terminal: empty, dots, with a slash, a backslash or control characters).
base::Result<std::vector<FatDirectoryEntry>> read_fat_directory(base::ByteView raw);

}  // namespace image
