#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/advance.hpp"
#include "base/bytes.hpp"
#include "base/file.hpp"
#include "base/result.hpp"
#include "image/file_tree.hpp"

namespace image::erofs {

/// Bytes of a file that lie together: compressed, as one cluster; or plainly, as clusters of one block each.
struct Stretch {
  std::uint32_t size = 0;    // bytes of the file
  std::uint32_t blocks = 0;  // on disk
  bool compressed = false;
};

/// A content that is smaller compressed.
struct CompressedContent {
  std::uint64_t size = 0;  // bytes, not compressed
  std::uint64_t blocks = 0;
  std::vector<Stretch> stretches;

  struct Piece {
    std::uint64_t offset;  // in the spool, bytes
    std::uint64_t size;
  };
  std::vector<Piece> pieces;  // what the blocks hold, in order
};

/// Bytes behind an inode and its attributes: what the index of a compressed content takes, from a multiple of 8 on.
std::size_t index_size(const CompressedContent& content);
/// The header and index of a content whose blocks begin with `first_block`.
base::Bytes index_of(const CompressedContent& content, std::uint64_t first_block);

struct CompressionOptions {
  std::uint32_t cluster_size = 0;  // a power of two from 4 KiB to 1 MiB
  unsigned threads = 0;            // 0: one for each available processor
  std::string spool_directory;     // empty: $TMPDIR or /var/tmp
};

/// The contents of a tree that are smaller compressed, with their bytes in an unlinked temporary file.
class CompressedContents {
 public:
  /// Nothing is compressed.
  CompressedContents() = default;
  /// Compresses each content once, on many threads; the outcome does not depend on their number. A content is cut into
  /// segments of fixed size, each for itself, so that one large file keeps all of them at work. `advance` is told the
  /// bytes of contents. Memory: two segments (1 MiB, or 4 clusters) for each thread, 128 MiB in all at most.
  /// Fails: invalid_input (cluster size); as the source; no_space, permission, io (of the spool).
  static base::Result<CompressedContents> make(const FileTree& tree, const ContentSource& contents,
                                               const CompressionOptions& options, const base::Advance& advance);

  bool empty() const { return compressed_.empty(); }
  /// Null where the content is to be stored as it is.
  const CompressedContent* find(ContentId content) const;
  base::Result<> read(std::uint64_t offset, base::MutableByteView into) const;

 private:
  std::vector<base::File> spool_;  // one, or none
  std::map<ContentId, CompressedContent> compressed_;
};

}  // namespace image::erofs
