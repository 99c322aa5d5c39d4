#pragma once

#include <memory>

#include "base/block_device.hpp"
#include "base/result.hpp"
#include "image/erofs/superblock.hpp"
#include "image/file_tree.hpp"

namespace image::erofs {

/// Reads the tree of an EROFS image; contents are read from the image when they are asked for. Nothing in the image is
/// believed: what passes here satisfies check(), and reading its contents stays within the image and within memory.
///
/// Inodes stand in the order of the image's own inode numbers where those are 1 to n, as in what compose() writes, so
/// that composing the tree again gives the same bytes. Files whose data lies in one place have one content.
///
/// Memory: the tree; it is bounded by the size of the image.
/// Fails: corrupt, unsupported (the message names the path and the inode); io.
base::Result<SourcedTree> read_image(std::shared_ptr<const base::BlockDevice> image);

}  // namespace image::erofs
