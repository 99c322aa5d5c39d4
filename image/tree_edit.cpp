#include "image/tree_edit.hpp"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

namespace image {

using base::fail;
using base::Kind;
using base::Result;

namespace {

/// The parts of "/a/b//c" one after another, then nothing.
class PathParts {
 public:
  explicit PathParts(std::string_view path) : rest_(path) {}
  std::optional<std::string_view> next() {
    while (!rest_.empty() && rest_.front() == '/') rest_.remove_prefix(1);
    if (rest_.empty()) return std::nullopt;
    const std::string_view part = rest_.substr(0, rest_.find('/'));
    rest_.remove_prefix(part.size());
    return part;
  }

 private:
  std::string_view rest_;
};

auto position_of(auto& entries, std::string_view name) {
  return std::ranges::lower_bound(entries, name, {},
                                  [](const DirectoryEntry& e) -> std::string_view { return e.name; });
}

}  // namespace

DirectoryEntry* find_entry(FileTree& tree, InodeIndex directory, std::string_view name) {
  std::vector<DirectoryEntry>& entries = tree.inodes[directory].entries;
  const auto at = position_of(entries, name);
  return at != entries.end() && at->name == name ? &*at : nullptr;
}

std::optional<InodeIndex> find(const FileTree& tree, std::string_view path) {
  InodeIndex at = 0;
  PathParts parts(path);
  while (const auto part = parts.next()) {
    const std::vector<DirectoryEntry>& entries = tree.inodes[at].entries;
    const auto entry = position_of(entries, *part);
    if (entry == entries.end() || entry->name != *part) return std::nullopt;
    at = entry->inode;
  }
  return at;
}

InodeIndex add_inode(FileTree& tree, Inode inode) {
  tree.inodes.push_back(std::move(inode));
  return static_cast<InodeIndex>(tree.inodes.size() - 1);
}

void set_entry(FileTree& tree, InodeIndex directory, std::string name, InodeIndex inode) {
  std::vector<DirectoryEntry>& entries = tree.inodes[directory].entries;
  const auto at = position_of(entries, name);
  if (at != entries.end() && at->name == name) {
    at->inode = inode;
  } else {
    entries.insert(at, {std::move(name), inode});
  }
}

std::optional<InodeIndex> remove_entry(FileTree& tree, InodeIndex directory, std::string_view name) {
  std::vector<DirectoryEntry>& entries = tree.inodes[directory].entries;
  const auto at = position_of(entries, name);
  if (at == entries.end() || at->name != name) return std::nullopt;
  const InodeIndex was = at->inode;
  entries.erase(at);
  return was;
}

Inode directory_inode(std::uint16_t permissions) {
  Inode inode;
  inode.type = FileType::directory;
  inode.permissions = permissions;
  return inode;
}

Inode symlink_inode(std::string target) {
  Inode inode;
  inode.type = FileType::symlink;
  inode.permissions = 0777;
  inode.target = std::move(target);
  return inode;
}

Result<InodeIndex> make_directories(FileTree& tree, std::string_view path, std::uint16_t permissions) {
  InodeIndex at = 0;
  PathParts parts(path);
  while (const auto part = parts.next()) {
    if (*part == "." || *part == "..") {
      return fail(Kind::invalid_input, "\"" + std::string(*part) + "\" in the path " + std::string(path));
    }
    if (const DirectoryEntry* entry = find_entry(tree, at, *part)) {
      at = entry->inode;
      if (tree.inodes[at].type == FileType::directory) continue;
      return fail(Kind::invalid_input,
                  "\"" + std::string(*part) + "\" in the path " + std::string(path) + " is no directory");
    }
    const InodeIndex made = add_inode(tree, directory_inode(permissions));
    set_entry(tree, at, std::string(*part), made);
    at = made;
  }
  return at;
}

void lay_over(FileTree& tree, InodeIndex lower, InodeIndex upper) {
  struct Pair {
    InodeIndex lower;
    InodeIndex upper;
  };
  std::vector<Pair> to_do = {{lower, upper}};
  while (!to_do.empty()) {
    const Pair pair = to_do.back();
    to_do.pop_back();
    // A copy: `lower` may be below `upper`.
    const std::vector<DirectoryEntry> entries = tree.inodes[pair.upper].entries;
    for (const DirectoryEntry& entry : entries) {
      const DirectoryEntry* const below = find_entry(tree, pair.lower, entry.name);
      const bool both = below != nullptr && tree.inodes[below->inode].type == FileType::directory &&
                        tree.inodes[entry.inode].type == FileType::directory;
      if (!both) {
        set_entry(tree, pair.lower, entry.name, entry.inode);
        continue;
      }
      Inode& kept = tree.inodes[below->inode];
      const Inode& over = tree.inodes[entry.inode];
      kept.permissions = over.permissions;
      kept.uid = over.uid;
      kept.gid = over.gid;
      kept.xattrs = over.xattrs;
      to_do.push_back({below->inode, entry.inode});
    }
  }
}

FileTree tidied(const FileTree& tree) {
  constexpr InodeIndex nowhere = std::numeric_limits<InodeIndex>::max();
  FileTree result;
  std::vector<InodeIndex> moved_to(tree.inodes.size(), nowhere);
  const auto take = [&](InodeIndex from) {
    if (moved_to[from] == nowhere) moved_to[from] = add_inode(result, tree.inodes[from]);
    return moved_to[from];
  };
  // The directories on the way to where the walk is, with the next entry of each.
  struct Level {
    InodeIndex directory;
    std::size_t next;
  };
  std::vector<Level> way = {{take(0), 0}};
  while (!way.empty()) {
    Level& level = way.back();
    if (level.next == result.inodes[level.directory].entries.size()) {
      way.pop_back();
      continue;
    }
    const std::size_t position = level.next++;
    const InodeIndex directory = level.directory;
    const InodeIndex from = result.inodes[directory].entries[position].inode;
    const bool fresh = moved_to[from] == nowhere;
    const InodeIndex to = take(from);
    result.inodes[directory].entries[position].inode = to;
    if (fresh && result.inodes[to].type == FileType::directory) way.push_back({to, 0});
  }
  return result;
}

}  // namespace image
