#include "image/canonical_form.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include "image/tree_edit.hpp"
#include "image/utf16.hpp"

namespace image {

namespace {

constexpr std::size_t most_violations = 100;
constexpr const char* factory_var = "/usr/share/factory/var";

struct EmptyDirectory {
  std::string_view name;
  std::uint16_t permissions;
};
constexpr std::array empty_directories = {
    EmptyDirectory{"boot", 0755}, EmptyDirectory{"dev", 0755},    EmptyDirectory{"efi", 0755},
    EmptyDirectory{"etc", 0755},  EmptyDirectory{"ostree", 0755}, EmptyDirectory{"proc", 0555},
    EmptyDirectory{"run", 0755},  EmptyDirectory{"sys", 0555},    EmptyDirectory{"tmp", 01777},
    EmptyDirectory{"var", 0755},
};

struct TopLink {
  std::string_view name;
  std::string_view target;
};
constexpr std::array links_into_var = {
    TopLink{"home", "var/home"},     TopLink{"mnt", "var/mnt"}, TopLink{"opt", "var/opt"},
    TopLink{"root", "var/roothome"}, TopLink{"srv", "var/srv"},
};
/// Where a desktop mounts what is plugged in: gone at the next boot.
constexpr std::array links_into_run = {TopLink{"media", "run/media"}};
/// Debian's links to a kernel in /boot.
constexpr std::array<std::string_view, 4> kernel_links = {"initrd.img", "initrd.img.old", "vmlinuz", "vmlinuz.old"};
constexpr std::array links_into_usr = {
    TopLink{"bin", "usr/bin"},     TopLink{"lib", "usr/lib"},       TopLink{"lib32", "usr/lib32"},
    TopLink{"lib64", "usr/lib64"}, TopLink{"libx32", "usr/libx32"}, TopLink{"sbin", "usr/sbin"},
};

template <std::size_t size>
const TopLink* link_named(const std::array<TopLink, size>& links, std::string_view name) {
  const auto found = std::ranges::find(links, name, &TopLink::name);
  return found == links.end() ? nullptr : &*found;
}

const EmptyDirectory* empty_directory_named(std::string_view name) {
  const auto found = std::ranges::find(empty_directories, name, &EmptyDirectory::name);
  return found == empty_directories.end() ? nullptr : &*found;
}

bool is_utf8(std::string_view text) {
  return to_utf16(text).has_value();
}

bool is_canonical_type(FileType type) {
  return type == FileType::regular || type == FileType::directory || type == FileType::symlink;
}

/// Moves what is in the directory `name` of the root to `path`, over what is there already.
void move_from_root(FileTree& tree, std::string_view name, const std::string& path) {
  const DirectoryEntry* const entry = find_entry(tree, 0, name);
  if (entry == nullptr) return;
  const InodeIndex directory = entry->inode;
  if (tree.inodes[directory].type != FileType::directory || tree.inodes[directory].entries.empty()) return;
  if (const auto there = find(tree, path)) {
    if (tree.inodes[*there].type == FileType::directory) lay_over(tree, *there, directory);
    return;
  }
  const std::size_t slash = path.rfind('/');
  const auto parent = make_directories(tree, path.substr(0, slash));
  if (parent.has_value()) set_entry(tree, *parent, path.substr(slash + 1), directory);
}

/// Debian installs a kernel into /boot, which is the boot loader's; what belongs to a version lies in /usr.
void move_kernels(FileTree& tree) {
  const auto boot = find(tree, "/boot");
  if (!boot) return;
  for (const std::string_view name : {"vmlinuz", "config"}) {
    const std::string prefix = std::string(name) + "-";
    for (const DirectoryEntry& entry : tree.inodes[*boot].entries) {
      if (!entry.name.starts_with(prefix)) continue;
      const auto modules = find(tree, "/usr/lib/modules/" + entry.name.substr(prefix.size()));
      if (modules && !find_entry(tree, *modules, name)) set_entry(tree, *modules, std::string(name), entry.inode);
    }
  }
}

class Check {
 public:
  Check(const FileTree& tree, const CanonicalRules& rules) : tree_(tree), rules_(rules) {}

  std::vector<std::string> violations() {
    check_root();
    walk(0, "");
    return std::move(violations_);
  }

 private:
  void say(const std::string& path, const std::string& what) {
    if (violations_.size() < most_violations) violations_.push_back(path + ": " + what);
  }

  void check_link(const DirectoryEntry& entry, const TopLink& link) {
    const Inode& inode = tree_.inodes[entry.inode];
    if (inode.type == FileType::symlink && inode.target == link.target) return;
    const std::string is = inode.type == FileType::symlink ? "a link to \"" + inode.target + "\"" : "no link";
    say("/" + entry.name, "must be a link to \"" + std::string(link.target) + "\", and is " + is);
  }

  void check_empty(const DirectoryEntry& entry, const EmptyDirectory& expected) {
    const Inode& inode = tree_.inodes[entry.inode];
    if (inode.type != FileType::directory) {
      say("/" + entry.name, "must be an empty directory");
    } else if (!inode.entries.empty()) {
      say("/" + entry.name, "must be empty, and has \"" + inode.entries.front().name + "\" in it");
    } else if (inode.permissions != expected.permissions || inode.uid != 0 || inode.gid != 0) {
      say("/" + entry.name, "must be of root's, with the permissions that in_canonical_form() gives it");
    }
  }

  void check_root() {
    for (const EmptyDirectory& expected : empty_directories) {
      if (!find(tree_, expected.name)) say("/" + std::string(expected.name), "is missing");
    }
    if (!find(tree_, "usr")) say("/usr", "is missing");
    for (const DirectoryEntry& entry : tree_.inodes[0].entries) {
      if (const EmptyDirectory* expected = empty_directory_named(entry.name)) {
        check_empty(entry, *expected);
      } else if (const TopLink* into_var = link_named(links_into_var, entry.name)) {
        check_link(entry, *into_var);
      } else if (const TopLink* into_run = link_named(links_into_run, entry.name)) {
        check_link(entry, *into_run);
      } else if (const TopLink* into_usr = link_named(links_into_usr, entry.name)) {
        check_link(entry, *into_usr);
      } else if (entry.name != "usr") {
        say("/" + entry.name,
            "has no place in the root; programs and their data belong into /usr, a host's own into /var");
      }
    }
  }

  void walk(InodeIndex directory, const std::string& path) {
    for (const DirectoryEntry& entry : tree_.inodes[directory].entries) {
      const std::string entry_path = path + "/" + entry.name;
      const Inode& inode = tree_.inodes[entry.inode];
      if (!is_utf8(entry.name)) say(entry_path, "its name is not UTF-8");
      if (!is_canonical_type(inode.type)) say(entry_path, "is a device, a pipe or a socket");
      if (inode.type == FileType::symlink && !is_utf8(inode.target)) say(entry_path, "its target is not UTF-8");
      if (inode.type == FileType::regular && (inode.permissions & 06000) != 0 && !rules_.any_set_id_file &&
          !rules_.set_id_files.contains(entry_path)) {
        say(entry_path, "is set-user-ID or set-group-ID, and is not on the list of those that may be");
      }
      for (const auto& [name, value] : inode.xattrs) {
        if (name == "security.capability" || name.starts_with("user.") || name.starts_with("system.posix_acl_"))
          continue;
        say(entry_path,
            "has the extended attribute " + name + "; security.capability, system.posix_acl_* and user.* may be there");
      }
      if (inode.type == FileType::directory) walk(entry.inode, entry_path);
    }
  }

  const FileTree& tree_;
  const CanonicalRules& rules_;
  std::vector<std::string> violations_;
};

}  // namespace

FileTree in_canonical_form(const FileTree& from) {
  FileTree tree = from;
  for (Inode& inode : tree.inodes) {
    std::erase_if(inode.entries,
                  [&](const DirectoryEntry& entry) { return !is_canonical_type(tree.inodes[entry.inode].type); });
  }
  move_kernels(tree);
  move_from_root(tree, "etc", "/usr/etc");
  move_from_root(tree, "var", factory_var);
  for (const TopLink& link : links_into_var) {
    move_from_root(tree, link.name, factory_var + std::string(link.target.substr(std::string_view("var").size())));
    set_entry(tree, 0, std::string(link.name), add_inode(tree, symlink_inode(std::string(link.target))));
  }
  for (const TopLink& link : links_into_run) {
    set_entry(tree, 0, std::string(link.name), add_inode(tree, symlink_inode(std::string(link.target))));
  }
  for (const std::string_view link : kernel_links) {
    const DirectoryEntry* const entry = find_entry(tree, 0, link);
    if (entry != nullptr && tree.inodes[entry->inode].type == FileType::symlink) remove_entry(tree, 0, link);
  }
  for (const EmptyDirectory& directory : empty_directories) {
    set_entry(tree, 0, std::string(directory.name), add_inode(tree, directory_inode(directory.permissions)));
  }
  return tidied(tree);
}

std::vector<std::string> canonical_form_violations(const FileTree& tree, const CanonicalRules& rules) {
  return Check(tree, rules).violations();
}

}  // namespace image
