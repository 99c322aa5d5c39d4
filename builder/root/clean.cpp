#include "builder/root/clean.hpp"

#include <fnmatch.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/lines.hpp"
#include "image/tree_edit.hpp"

namespace builder::root {

using base::Result;

namespace {

/// Files that go, as globs; directories on the way are globs, too.
constexpr std::array gone = {
    "/etc/*-",  // passwd-, group-, shadow-, gshadow-, subuid-, subgid-
    "/etc/.pwd.lock",
    "/etc/ssh/ssh_host_*",
    "/etc/hostname",
    "/etc/ssl/certs/java",
    "/var/cache/*/*",
    "/var/lib/apt/lists/*",
    "/var/lib/apt/extended_states",
    "/var/lib/dbus/machine-id",
    "/var/lib/dpkg/*-old",
    "/var/lib/dpkg/lock",
    "/var/lib/dpkg/lock-frontend",
    "/var/lib/dpkg/available",
    "/var/lib/dpkg/triggers/Lock",
    "/var/lib/systemd/catalog/database",
    "/var/lib/systemd/random-seed",
    "/var/lib/systemd/credential.secret",
    "/var/lib/urandom/random-seed",
    "/var/log/*.log",
    "/var/log/apt/*",
    "/var/log/faillog",
    "/var/log/lastlog",
    "/var/log/btmp",
    "/var/log/wtmp",
    "/usr/share/info/dir",
    "/root/.bash_history",
    "/run/*",
    "/tmp/*",
};

constexpr std::array documentation = {
    "/usr/share/doc/*/*", "/usr/share/info/*", "/usr/share/lintian", "/usr/share/linda", "/usr/share/man/*",
};

class Walk {
 public:
  Walk(image::FileTree& tree, bool keep_documentation) : tree_(tree), keep_documentation_(keep_documentation) {}

  void directory(image::InodeIndex at, const std::string& path) {
    std::vector<std::string> removed;
    for (const image::DirectoryEntry& entry : tree_.inodes[at].entries) {
      const std::string entry_path = path + "/" + entry.name;
      if (is_gone(entry_path, entry.name, tree_.inodes[entry.inode].type)) {
        removed.push_back(entry.name);
      } else if (tree_.inodes[entry.inode].type == image::FileType::directory) {
        directory(entry.inode, entry_path);
      }
    }
    for (const std::string& name : removed) image::remove_entry(tree_, at, name);
  }

 private:
  static bool matches(const char* glob, const std::string& path) {
    return ::fnmatch(glob, path.c_str(), FNM_PATHNAME) == 0;
  }
  bool is_gone(const std::string& path, const std::string& name, image::FileType type) const {
    if (name == "__pycache__") return true;
    const auto matching = [&](const char* glob) { return matches(glob, path); };
    if (std::ranges::any_of(gone, matching)) return true;
    // A link is systemd-resolved's; a file is the build host's.
    if (path == "/etc/resolv.conf") return type == image::FileType::regular;
    if (keep_documentation_ || (path.starts_with("/usr/share/doc/") && name == "copyright")) return false;
    return std::ranges::any_of(documentation, matching);
  }

  image::FileTree& tree_;
  bool keep_documentation_;
};

/// The day of the last change of a password is the day of the build.
Result<> clear_password_dates(Draft& root) {
  TRY(const auto shadow, root.read("/etc/shadow"));
  if (!shadow) return base::ok();
  std::string text;
  for (const std::string_view line : base::lines_of(*shadow)) {
    std::vector<std::string> fields = base::split(line, ':');
    if (fields.size() > 2) fields[2].clear();
    text += fmt::format("{}\n", fmt::join(fields, ":"));
  }
  const image::Inode& was = root.tree().inodes[*root.find("/etc/shadow")];
  return root.write("/etc/shadow", std::move(text), {was.permissions, was.uid, was.gid});
}

Result<> move_package_database(Draft& root) {
  const auto database = root.find("/var/lib/dpkg");
  if (!database || root.tree().inodes[*database].type != image::FileType::directory) return base::ok();
  TRY(const image::InodeIndex parent, image::make_directories(root.tree(), "/usr/lib/sysimage"));
  image::set_entry(root.tree(), parent, "dpkg", *database);
  root.remove("/var/lib/dpkg");
  return root.link("/var/lib/dpkg", "../../usr/lib/sysimage/dpkg");
}

}  // namespace

Result<> clean(Draft& root, const CleanOptions& options) {
  Walk(root.tree(), options.documentation).directory(0, "");
  TRY_DO(clear_password_dates(root));
  // Empty: systemd makes one at the first boot, and does not take it for one on which all units are set up anew.
  TRY_DO(root.write("/etc/machine-id", "", {.permissions = 0444}));
  return move_package_database(root);
}

}  // namespace builder::root
