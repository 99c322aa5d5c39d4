#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "builder/diff/image_view.hpp"

namespace builder::diff {

/// A thing that one image has and the other has not, or has otherwise. An empty side: it is not there.
struct Change {
  std::string what;
  std::string before;
  std::string after;
};

struct FileChange {
  std::string path;
  std::string before;  // "file 0644 0:0 1234"; empty: it is not there
  std::string after;
  bool content = false;  // the bytes differ, too
  std::int64_t size_change = 0;
};

struct Differences {
  std::vector<Change> facts;  // version, root hash, sizes, command line
  std::vector<Change> packages;
  std::vector<Change> units;          // unit files and what is enabled
  std::vector<Change> kernel_config;  // by option
  std::vector<Change> initrd;
  std::vector<Change> sections;
  std::vector<Change> partitions;
  std::vector<FileChange> files;

  bool none() const;
  base::Json to_json() const;
  /// For people; at most `most_files` files.
  std::string text(std::size_t most_files) const;
};

/// Fails: as the contents' readers do.
base::Result<Differences> compare(const ImageView& before, const ImageView& after);

}  // namespace builder::diff
