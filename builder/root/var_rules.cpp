#include "builder/root/var_rules.hpp"

#include <string_view>

#include <fmt/format.h>

#include "image/tree_edit.hpp"

namespace builder::root {

namespace {

constexpr std::string_view factory = "/usr/share/factory/var";

/// A path as tmpfiles.d takes it: in quotes, "%" doubled.
std::string quoted(std::string_view path) {
  std::string text = "\"";
  for (const char c : path) {
    if (c == '%') text += '%';
    if (c == '"' || c == '\\') text += '\\';
    text += c;
  }
  return text + "\"";
}

/// The last word of a rule is the rest of its line as it stands, but for "%".
std::string unquoted(std::string_view target) {
  std::string text;
  for (const char c : target) text += c == '%' ? std::string("%%") : std::string(1, c);
  return text;
}

void add_rules(const image::FileTree& tree, image::InodeIndex directory, const std::string& path, std::string& rules) {
  for (const image::DirectoryEntry& entry : tree.inodes[directory].entries) {
    const image::Inode& inode = tree.inodes[entry.inode];
    const std::string below = path + "/" + entry.name;
    const std::string name = quoted("/var" + below);
    switch (inode.type) {
      case image::FileType::directory:
        rules += fmt::format("d {} {:04o} {} {} -\n", name, inode.permissions, inode.uid, inode.gid);
        add_rules(tree, entry.inode, below, rules);
        break;
      case image::FileType::symlink:
        rules += fmt::format("L {} - - - - {}\n", name, unquoted(inode.target));
        break;
      default:
        // Without a source it is the file of this path below /usr/share/factory.
        rules += fmt::format("C {} {:04o} {} {} -\n", name, inode.permissions, inode.uid, inode.gid);
    }
  }
}

}  // namespace

std::string var_rules(const image::FileTree& canonical) {
  std::string rules =
      "# Made by keelson: /var as this version brings it. What a host has there stays.\n"
      "d /var/home 0755 root root -\nd /var/mnt 0755 root root -\nd /var/opt 0755 root root -\n"
      "d /var/roothome 0700 root root -\nd /var/srv 0755 root root -\n";
  if (const auto var = image::find(canonical, factory)) add_rules(canonical, *var, "", rules);
  return rules;
}

}  // namespace builder::root
