#pragma once

#include <string>

#include "base/result.hpp"
#include "image/file_tree.hpp"

namespace image {

/// Reads a root from a tar stream (libarchive: ustar, pax, GNU; gzip, xz, zstd and more are seen through), as
/// mmdebstrap and `tar --xattrs` write it: types, permissions, numeric owners, extended attributes, hard links. A
/// directory that has no entry of its own is root's, 0755; of two entries for one path the later counts, as it would on
/// extraction.
///
/// The stream may be a pipe: contents go to an unlinked file in `spool_directory` (empty: $TMPDIR, or /var/tmp), equal
/// ones once. Times are not taken over.
///
/// fd      read to its end, not closed
/// name    what errors call it
/// Fails:  corrupt, unsupported (what libarchive says, a warning too: a lost attribute is another image);
///         invalid_input (a path with "..", a link to what is not there; names the entry); no_space, io
base::Result<SourcedTree> read_tar(int fd, const std::string& name, const std::string& spool_directory = {});

}  // namespace image
