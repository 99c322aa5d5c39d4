#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "image/file_tree.hpp"

namespace image {

// Changes to a FileTree. Paths are absolute, "/usr/bin", and links in them are not followed. An inode that no entry
// names any more stays in `inodes` until tidied() drops it.

/// The inode at `path`; nothing when the path, or a directory on the way, is not there.
std::optional<InodeIndex> find(const FileTree& tree, std::string_view path);

/// The entry `name` of a directory, or nullptr. Invalidated by any change of that directory.
DirectoryEntry* find_entry(FileTree& tree, InodeIndex directory, std::string_view name);

InodeIndex add_inode(FileTree& tree, Inode inode);
/// Makes `name` stand for `inode`, instead of what it stood for.
void set_entry(FileTree& tree, InodeIndex directory, std::string name, InodeIndex inode);
/// Takes the name away and returns what it stood for.
std::optional<InodeIndex> remove_entry(FileTree& tree, InodeIndex directory, std::string_view name);

/// A directory of root's, empty.
Inode directory_inode(std::uint16_t permissions = 0755);
Inode symlink_inode(std::string target);

/// The directory at `path`; what is missing of it is made, of root's and with `permissions`.
/// Fails: invalid_input (something on the way is no directory; a "." or ".." in the path).
base::Result<InodeIndex> make_directories(FileTree& tree, std::string_view path, std::uint16_t permissions = 0755);

/// Lays what is in the directory `upper` over `lower`: directories of one name become one, with the upper's owner,
/// permissions and attributes; of everything else the upper's counts. `upper` itself is left as it is.
void lay_over(FileTree& tree, InodeIndex lower, InodeIndex upper);

/// The same tree without unreachable inodes, in the order in which a walk meets them: each directory's entries by name,
/// each before what is below it. Trees that show the same have the same order then, however they were made.
FileTree tidied(const FileTree& tree);

}  // namespace image
