#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/block_device.hpp"
#include "base/result.hpp"
#include "verity/geometry.hpp"
#include "verity/hash_tree.hpp"
#include "verity/root_hash.hpp"
#include "verity/superblock.hpp"

namespace builder {

/// What the command line says about data and tree; the same words as veritysetup's.
struct TreeOptions {
  std::string data;
  std::string hash;
  std::uint64_t hash_offset = 0;
  bool no_superblock = false;
  // A superblock holds these; without one they come from the command line.
  std::optional<std::uint64_t> data_blocks;
  std::uint32_t data_block_size = 4096;
  std::uint32_t hash_block_size = 4096;
  std::string salt;  // hexadecimal; "" or "-": none

  verity::HasSuperblock has_superblock() const {
    return no_superblock ? verity::HasSuperblock::no : verity::HasSuperblock::yes;
  }
};

/// Data and its tree, opened.
struct TreeFiles {
  std::unique_ptr<base::FileDevice> data;
  std::unique_ptr<base::FileDevice> hash;
  verity::Geometry geometry;
  std::uint64_t tree_offset = 0;  // bytes on `hash`
};

/// Opens what is there; parameters from the superblock unless the options say that there is none.
base::Result<TreeFiles> open_tree(const TreeOptions& options, base::Access access);
/// Opens the data and makes room for a tree: an empty hash file, or space in the one given by --hash-offset.
/// Fails also: invalid_input when tree and data would overlap in one file.
base::Result<TreeFiles> create_tree(const TreeOptions& options);

/// What to do with a regular file that is there already: write into it, or start it anew.
enum class Existing { keep, replace };
/// A file or block device to write `size_bytes` to. Fails: permission, io, no_space.
base::Result<std::unique_ptr<base::FileDevice>> open_output(const std::string& path, std::uint64_t size_bytes,
                                                            Existing existing);

/// Removes a file that this run created, unless the work on it was finished.
class UnfinishedFile {
 public:
  /// Remembers whether `path` exists now; only a file that did not is ever removed.
  explicit UnfinishedFile(std::string path);
  UnfinishedFile(const UnfinishedFile&) = delete;
  UnfinishedFile& operator=(const UnfinishedFile&) = delete;
  ~UnfinishedFile();
  void finished() { ours_ = false; }

 private:
  std::string path_;
  bool ours_;
};

bool same_file(const std::string& a, const std::string& b);

/// A root hash given as text or in a file; exactly one of the two. Fails: invalid_input, not_found.
base::Result<verity::RootHash> root_hash_from(const std::string& text, const std::string& file);

}  // namespace builder
