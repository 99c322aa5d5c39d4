#include "builder/diff/differences.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <set>

#include <fmt/format.h>

#include "base/human.hpp"
#include "base/lines.hpp"
#include "image/cpio.hpp"
#include "image/file_content.hpp"
#include "image/tree_edit.hpp"

namespace builder::diff {

using base::Json;
using base::Result;

namespace {

constexpr std::size_t max_text_bytes = std::size_t{64} << 20;

/// What only one of two maps has, or each has otherwise.
std::vector<Change> changes_of(const std::map<std::string, std::string>& before,
                               const std::map<std::string, std::string>& after) {
  std::map<std::string, Change> both;
  for (const auto& [what, value] : before) both[what].before = value;
  for (const auto& [what, value] : after) both[what].after = value;
  std::vector<Change> changes;
  for (auto& [what, change] : both) {
    change.what = what;
    if (change.before != change.after) changes.push_back(std::move(change));
  }
  return changes;
}

const char* name_of(image::FileType type) {
  switch (type) {
    case image::FileType::regular:
      return "file";
    case image::FileType::directory:
      return "directory";
    case image::FileType::symlink:
      return "link";
    default:
      return "device";
  }
}

std::string described(const image::Inode& inode) {
  std::string text = fmt::format("{} {:04o} {}:{}", name_of(inode.type), inode.permissions, inode.uid, inode.gid);
  if (inode.type == image::FileType::regular) text += fmt::format(" {}", inode.size);
  if (inode.type == image::FileType::symlink) text += " -> " + inode.target;
  for (const auto& [name, value] : inode.xattrs) text += fmt::format(" {}={}", name, base::to_hex(value));
  return text;
}

/// Every path of a tree but the repository's.
std::map<std::string, image::InodeIndex> paths_of(const image::FileTree& tree) {
  std::map<std::string, image::InodeIndex> paths;
  std::vector<std::pair<std::string, image::InodeIndex>> open = {{"", 0}};
  while (!open.empty()) {
    const auto [path, at] = std::move(open.back());
    open.pop_back();
    for (const image::DirectoryEntry& entry : tree.inodes[at].entries) {
      std::string below = path + "/" + entry.name;
      if (below == "/ostree/repo") continue;
      paths.emplace(below, entry.inode);
      if (tree.inodes[entry.inode].type == image::FileType::directory) open.emplace_back(std::move(below), entry.inode);
    }
  }
  return paths;
}

Result<bool> same_content(const image::SourcedTree& a, const image::Inode& x, const image::SourcedTree& b,
                          const image::Inode& y) {
  if (x.size != y.size) return false;
  if (x.size == 0) return true;
  TRY(const auto left, a.contents->open(x.content));
  TRY(const auto right, b.contents->open(y.content));
  base::Bytes first(std::size_t{64} << 10);
  base::Bytes second(first.size());
  for (std::uint64_t at = 0; at < x.size; at += first.size()) {
    const std::size_t now = std::min<std::uint64_t>(first.size(), x.size - at);
    TRY_DO(left->read(base::MutableByteView(first).first(now)));
    TRY_DO(right->read(base::MutableByteView(second).first(now)));
    if (std::memcmp(first.data(), second.data(), now) != 0) return false;
  }
  return true;
}

std::int64_t size_of(const image::Inode* inode) {
  return inode != nullptr && inode->type == image::FileType::regular ? static_cast<std::int64_t>(inode->size) : 0;
}

Result<std::vector<FileChange>> file_changes(const image::SourcedTree& before, const image::SourcedTree& after) {
  std::map<std::string, std::pair<const image::Inode*, const image::Inode*>> both;
  for (const auto& [path, inode] : paths_of(before.tree)) both[path].first = &before.tree.inodes[inode];
  for (const auto& [path, inode] : paths_of(after.tree)) both[path].second = &after.tree.inodes[inode];
  std::vector<FileChange> changes;
  for (const auto& [path, pair] : both) {
    const auto& [old, now] = pair;
    FileChange change{.path = path, .size_change = size_of(now) - size_of(old)};
    if (old != nullptr) change.before = described(*old);
    if (now != nullptr) change.after = described(*now);
    if (old != nullptr && now != nullptr && old->type == image::FileType::regular &&
        now->type == image::FileType::regular) {
      TRY(const bool same, same_content(before, *old, after, *now), path);
      change.content = !same;
    }
    if (change.before != change.after || change.content) changes.push_back(std::move(change));
  }
  return changes;
}

/// Empty as well where the file is too long to be looked into: that it is another one is told all the same.
Result<std::string> text_at(const image::SourcedTree& root, const std::string& path) {
  const image::Inode* const file = image::find_file(root.tree, path);
  if (file == nullptr || file->size > max_text_bytes) return std::string();
  return image::read_content(*root.contents, *file, path, max_text_bytes);
}

/// CONFIG_... to its value.
Result<std::map<std::string, std::string>> kernel_config(const image::SourcedTree& root) {
  std::map<std::string, std::string> options;
  const auto modules = image::find(root.tree, "/usr/lib/modules");
  if (!modules) return options;
  for (const image::DirectoryEntry& entry : root.tree.inodes[*modules].entries) {
    TRY(const std::string text, text_at(root, "/usr/lib/modules/" + entry.name + "/config"));
    for (const std::string_view line : base::lines_of(text)) {
      const std::size_t equals = line.find('=');
      if (line.starts_with("CONFIG_") && equals != std::string_view::npos)
        options[std::string(line.substr(0, equals))] = line.substr(equals + 1);
    }
  }
  return options;
}

Result<std::map<std::string, std::string>> initrd_files(const image::SourcedTree& root) {
  std::map<std::string, std::string> files;
  TRY(const std::string archive, text_at(root, "/usr/lib/keelson/boot/initrd"));
  if (archive.empty()) return files;
  const auto entries = image::read_cpio(base::bytes_of(archive));
  if (!entries) return files;  // compressed: its size tells
  for (const image::CpioEntry& entry : *entries) {
    files[entry.path] =
        fmt::format("{} bytes, {}", entry.content.size(), base::to_hex(base::sha256(entry.content)).substr(0, 16));
  }
  return files;
}

/// Unit files by name, and what starts what.
std::map<std::string, std::string> units_of(const image::FileTree& tree) {
  std::map<std::string, std::string> units;
  for (const char* directory : {"/usr/lib/systemd/system", "/usr/etc/systemd/system"}) {
    const auto at = image::find(tree, directory);
    if (!at) continue;
    for (const image::DirectoryEntry& entry : tree.inodes[*at].entries) {
      const image::Inode& inode = tree.inodes[entry.inode];
      if (inode.type == image::FileType::regular) units[entry.name] = "there";
      if (inode.type == image::FileType::symlink)
        units[entry.name] =
            inode.target == "/dev/null" ? "masked" : "alias of " + inode.target.substr(inode.target.rfind('/') + 1);
      if (inode.type != image::FileType::directory) continue;
      for (const image::DirectoryEntry& below : inode.entries)
        units[fmt::format("{}/{}", entry.name, below.name)] = "there";
    }
  }
  return units;
}

std::map<std::string, std::string> versions_of(const std::vector<outputs::InstalledPackage>& packages) {
  std::map<std::string, std::string> versions;
  for (const outputs::InstalledPackage& package : packages) versions[package.name] = package.version;
  return versions;
}

Json to_json(const std::vector<Change>& changes) {
  Json json = Json::array();
  for (const Change& change : changes) {
    Json each = {{"what", change.what}};
    if (!change.before.empty()) each["before"] = change.before;
    if (!change.after.empty()) each["after"] = change.after;
    json.push_back(std::move(each));
  }
  return json;
}

void append(std::string& text, const char* title, const std::vector<Change>& changes) {
  if (changes.empty()) return;
  text += fmt::format("{} ({})\n", title, changes.size());
  std::size_t width = 0;
  for (const Change& change : changes) width = std::max(width, std::min<std::size_t>(change.what.size(), 40));
  for (const Change& change : changes) {
    const char sign = change.before.empty() ? '+' : change.after.empty() ? '-' : '~';
    const std::string values = change.before.empty()  ? change.after
                               : change.after.empty() ? change.before
                                                      : change.before + " -> " + change.after;
    text += fmt::format("  {} {:<{}}  {}\n", sign, change.what, width, values);
  }
  text += '\n';
}

std::string signed_bytes(std::int64_t bytes) {
  return (bytes < 0 ? "-" : "+") + base::human_bytes(static_cast<std::uint64_t>(bytes < 0 ? -bytes : bytes));
}

}  // namespace

bool Differences::none() const {
  return facts.empty() && packages.empty() && units.empty() && kernel_config.empty() && initrd.empty() &&
         sections.empty() && partitions.empty() && files.empty();
}

Json Differences::to_json() const {
  Json files_json = Json::array();
  for (const FileChange& file : files) {
    Json each = {{"path", file.path}};
    if (!file.before.empty()) each["before"] = file.before;
    if (!file.after.empty()) each["after"] = file.after;
    each["content"] = file.content;
    each["size_change"] = file.size_change;
    files_json.push_back(std::move(each));
  }
  return {{"facts", diff::to_json(facts)},           {"packages", diff::to_json(packages)},
          {"units", diff::to_json(units)},           {"kernel_config", diff::to_json(kernel_config)},
          {"initrd", diff::to_json(initrd)},         {"uki_sections", diff::to_json(sections)},
          {"partitions", diff::to_json(partitions)}, {"files", files_json}};
}

std::string Differences::text(std::size_t most_files) const {
  if (none()) return "no difference\n";
  std::string text;
  append(text, "facts", facts);
  append(text, "packages", packages);
  append(text, "units", units);
  append(text, "kernel configuration", kernel_config);
  append(text, "initrd", initrd);
  append(text, "UKI sections", sections);
  append(text, "partitions", partitions);
  if (files.empty()) return text;
  std::int64_t sum = 0;
  for (const FileChange& file : files) sum += file.size_change;
  text += fmt::format("files ({}, {})\n", files.size(), signed_bytes(sum));
  for (std::size_t i = 0; i < std::min(most_files, files.size()); ++i) {
    const FileChange& file = files[i];
    const char sign = file.before.empty() ? '+' : file.after.empty() ? '-' : '~';
    std::string what = file.before.empty()  ? file.after
                       : file.after.empty() ? file.before
                                            : file.before + " -> " + file.after;
    if (file.before == file.after) what = fmt::format("{}, other bytes", file.before);
    text += fmt::format("  {} {}  {}\n", sign, file.path, what);
  }
  if (files.size() > most_files) text += fmt::format("  and {} more; see --files\n", files.size() - most_files);
  return text;
}

Result<Differences> compare(const ImageView& before, const ImageView& after) {
  Differences differences;
  std::map<std::string, std::string> old_facts = before.facts;
  std::map<std::string, std::string> new_facts = after.facts;
  old_facts["command line"] = before.cmdline;
  new_facts["command line"] = after.cmdline;
  differences.facts = changes_of(old_facts, new_facts);
  differences.sections = changes_of(before.sections, after.sections);
  differences.partitions = changes_of(before.partitions, after.partitions);
  if (!before.root || !after.root) return differences;
  differences.packages = changes_of(versions_of(before.packages), versions_of(after.packages));
  differences.units = changes_of(units_of(before.root->tree), units_of(after.root->tree));
  TRY(const auto old_config, kernel_config(*before.root));
  TRY(const auto new_config, kernel_config(*after.root));
  differences.kernel_config = changes_of(old_config, new_config);
  TRY(const auto old_initrd, initrd_files(*before.root));
  TRY(const auto new_initrd, initrd_files(*after.root));
  differences.initrd = changes_of(old_initrd, new_initrd);
  TRY(differences.files, file_changes(*before.root, *after.root));
  return differences;
}

}  // namespace builder::diff
