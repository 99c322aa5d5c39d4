#pragma once

#include <string>

#include "base/result.hpp"
#include "image/file_tree.hpp"

namespace image {

/// Reads a directory on this machine as it is: types, permissions, owners, extended attributes, links, hard links. The
/// order of the file system does not show: entries are sorted bytewise. Equal contents get one ContentId (files of
/// equal size are compared by SHA-256). Times are not taken over. Mount points below it are entered.
///
/// The files must not change until the contents have been read; a file that got shorter is reported, by name.
/// Fails: not_found, permission, io (names the path); invalid_input (see check()).
base::Result<SourcedTree> read_directory(const std::string& path);

}  // namespace image
