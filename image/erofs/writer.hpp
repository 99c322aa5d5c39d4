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

enum class Compression { none, lz4hc };

struct Options {
  base::Uuid uuid;
  std::uint64_t time = 0;   // seconds since 1970: of the image and of everything in it
  std::string volume_name;  // at most 15 bytes
  Compression compression = Compression::none;
  std::uint32_t cluster_size =
      65536;  // bytes that one read takes off the disk, compressed; a power of two, 4 KiB to 1 MiB

  // What follows does not change the bytes. It counts only when something is compressed.
  unsigned threads = 0;  // 0: one for each available processor
  std::string
      spool_directory;  // room for the compressed contents until the image is written; empty: $TMPDIR or /var/tmp
};

/// Upon what else the bytes of a compressed image depend: the name and version of the encoder, such as "liblz4 1.9.4".
std::string compressor_version();

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

/// Composes an EROFS image, version 1, with 4096-byte blocks. The same tree and options give the same bytes.
///
/// Blocks, in order: superblock; directories; contents of files, each once, in the order of the tree; shared extended
/// attributes; metadata (inodes with their own attributes, and the last partial block of a file or directory where it
/// fits behind its inode in one block). Each content is read once, from its beginning to its end.
///
/// With Compression::lz4hc, each content that gets smaller lies compressed in its blocks, in clusters of at most
/// `cluster_size` bytes, and is indexed behind its inode. The size must be known before the first byte, so compressed
/// bytes wait in an unlinked file; a content that gets no smaller is read once more. The bytes then depend on the
/// version of liblz4 as well (compressor_version()): another one may find other matches; that image is as good, but has
/// another root hash.
///
/// Memory: the tree, the last partial block of each content, 5 MiB of contents that are read ahead of `sink` on a
/// thread of its own, and for compression at most 128 MiB. `advance` is told the bytes of the image, or when
/// compressing those of the contents. Fails: invalid_input (see check(); an attribute that EROFS cannot hold, with its
/// path's inode; cluster_size); io, corrupt (from the source); no_space, permission, io (of the spool); whatever the
/// sink says.
base::Result<Composed> compose(const FileTree& tree, const ContentSource& contents, const Options& options,
                               ImageSink& sink, const base::Advance& advance = {});

}  // namespace image::erofs
