#pragma once

#include <cstddef>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace image {

/// The content of one .xz file. Fails: corrupt (damaged, cut short, something behind it), no_space (more than
/// `max_bytes`, or a dictionary of more than 128 MiB).
base::Result<base::Bytes> decompress_xz(base::ByteView file, std::size_t max_bytes);

/// The content of one .zst file. Fails: as above.
base::Result<base::Bytes> decompress_zstd(base::ByteView file, std::size_t max_bytes);

/// One zstd frame with checksum and content size, level 19, on one thread: the same bytes each time from the same
/// libzstd. The kernel reads it: its window has 8 MiB. Fails: io.
base::Result<base::Bytes> compress_zstd(base::ByteView content);

}  // namespace image
