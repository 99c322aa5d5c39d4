#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "image/file_tree.hpp"

namespace image {

// Files that somebody wants whole, in memory. Paths are as in tree_edit.hpp.

/// The regular file at `path`; nullptr where there is none, or something else. Invalidated by any change of the tree.
const Inode* find_file(const FileTree& tree, std::string_view path);

/// All bytes of a regular file; `name` is what errors call it.
/// Fails: invalid_input (longer than `max_bytes`); as ContentSource::open() and ContentReader::read().
base::Result<std::string> read_content(const ContentSource& contents, const Inode& file, std::string_view name,
                                       std::size_t max_bytes);

/// The same by its path; nothing where find_file() finds nothing.
base::Result<std::optional<std::string>> read_file(const SourcedTree& root, std::string_view path,
                                                   std::size_t max_bytes);

}  // namespace image
