#pragma once

#include <cstdint>
#include <string>

#include "base/advance.hpp"
#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/uuid.hpp"
#include "image/file_tree.hpp"

namespace image::erofs {

/// The version of the composer: the function from a tree to bytes. The *old* version of a host composes the *new*
/// image, so a version, once released, never changes; tests pin its bytes by golden digests.
inline constexpr unsigned composer_version = 1;

struct Options {
  base::Uuid uuid;
  std::uint64_t time = 0;   // seconds since 1970: of the image and of everything in it
  std::string volume_name;  // at most 15 bytes
};

/// Receives an image from its first byte to its last.
class ImageSink {
 public:
  virtual ~ImageSink() = default;
  /// Told once, before the first byte. A sink that cannot hold so much says so now. Fails: no_space.
  virtual base::Result<> begin(std::uint64_t size_bytes) = 0;
  /// The next bytes, at least one.
  virtual base::Result<> append(base::ByteView bytes) = 0;
};

struct Composed {
  std::uint64_t size_bytes = 0;
  std::uint64_t inodes = 0;
};

/// Composes an EROFS image, version 1: uncompressed, 4096-byte blocks. The same tree and options give the same bytes.
///
/// Blocks, in order: superblock; directories; contents of files, each once, in the order of the tree; shared extended
/// attributes; metadata (inodes with their own attributes, and the last partial block of a file or directory where it
/// fits behind its inode in one block). Each content is read once, from its beginning to its end.
///
/// Memory: the tree, the last partial block of each content, and 5 MiB of contents that are read ahead of `sink` on a
/// thread of its own.
/// Fails: invalid_input (see check(); an attribute that EROFS cannot hold, with its path's inode); io, corrupt (from
/// the source); whatever the sink says.
base::Result<Composed> compose(const FileTree& tree, const ContentSource& contents, const Options& options,
                               ImageSink& sink, const base::Advance& advance = {});

}  // namespace image::erofs
