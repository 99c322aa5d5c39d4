#pragma once

#include <string>

#include "base/result.hpp"

namespace agent::init {

/// Copies the directory `from` with all that is below it to `to`, which must not be there yet: types, owners,
/// permissions, extended attributes, times of change, bytes, targets of links. Not durable on return.
///
/// Names that share an inode become files of their own. In an EROFS of ours equal files share one (image/README.md), so
/// it says nothing there; kept, an edit of one empty file in /etc would be an edit of them all.
///
/// Fails: permission, no_space, io; unsupported (an attribute that the other file system does not take). What was
/// copied by then stays.
base::Result<> copy_tree(const std::string& from, const std::string& to);

}  // namespace agent::init
