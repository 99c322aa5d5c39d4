#include "builder/outputs/package_database.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <tuple>

#include "base/lines.hpp"
#include "image/file_content.hpp"
#include "image/tree_edit.hpp"

namespace builder::outputs {

using base::fail;
using base::Kind;
using base::Result;

namespace {

constexpr std::size_t max_database_bytes = std::size_t{256} << 20;
constexpr std::array places = {"/usr/lib/sysimage/dpkg", "/var/lib/dpkg", "/usr/share/factory/var/lib/dpkg"};

Result<std::optional<std::string>> text_at(const image::SourcedTree& root, const std::string& path) {
  const image::Inode* const file = image::find_file(root.tree, path);
  if (file != nullptr && file->size > max_database_bytes) return fail(Kind::corrupt, path + " is too long");
  return image::read_file(root, path, max_database_bytes);
}

/// Where a path of a package's list is in an image: what it has in /etc is in /usr/etc, and so on.
std::optional<image::InodeIndex> find_listed(const image::FileTree& tree, std::string_view path) {
  const std::size_t slash = path.find('/', 1);
  const std::string_view top = path.substr(0, slash);
  for (const auto& [from, to] : {std::pair<std::string_view, std::string_view>("/bin", "/usr/bin"),
                                 {"/sbin", "/usr/sbin"},
                                 {"/lib", "/usr/lib"},
                                 {"/lib32", "/usr/lib32"},
                                 {"/lib64", "/usr/lib64"},
                                 {"/libx32", "/usr/libx32"},
                                 {"/etc", "/usr/etc"},
                                 {"/var", "/usr/share/factory/var"}}) {
    if (top == from && slash != std::string_view::npos) {
      return image::find(tree, std::string(to) + std::string(path.substr(slash)));
    }
  }
  if (constexpr std::string_view kernel = "/boot/vmlinuz-"; path.starts_with(kernel)) {
    return image::find(tree, "/usr/lib/modules/" + std::string(path.substr(kernel.size())) + "/vmlinuz");
  }
  return image::find(tree, path);
}

/// Bytes of the files in a package's list that no package before it has.
std::uint64_t size_of(const image::FileTree& tree, std::string_view list, std::set<image::InodeIndex>& seen) {
  std::uint64_t size = 0;
  for (const std::string_view path : base::lines_of(list)) {
    const auto at = find_listed(tree, path);
    if (at && tree.inodes[*at].type == image::FileType::regular && seen.insert(*at).second)
      size += tree.inodes[*at].size;
  }
  return size;
}

InstalledPackage read_package(const packages::Paragraph& paragraph) {
  InstalledPackage package{.name = paragraph.get("Package"),
                           .version = paragraph.get("Version"),
                           .architecture = paragraph.get("Architecture"),
                           .source = paragraph.get("Source"),
                           .maintainer = paragraph.get("Maintainer"),
                           .homepage = paragraph.get("Homepage"),
                           .summary = paragraph.get("Description")};
  package.summary = package.summary.substr(0, package.summary.find('\n'));
  package.source_version = package.version;
  if (package.source.empty()) package.source = package.name;
  if (const std::size_t open = package.source.find(" ("); open != std::string::npos) {  // "glibc (2.36-9)"
    package.source_version = package.source.substr(open + 2, package.source.size() - open - 3);
    package.source.resize(open);
  }
  return package;
}

}  // namespace

Result<std::vector<InstalledPackage>> installed_packages(const image::SourcedTree& root) {
  std::vector<InstalledPackage> installed;
  for (const std::string place : places) {
    TRY(const auto status, text_at(root, place + "/status"));
    if (!status) continue;
    TRY(const std::vector<packages::Paragraph> paragraphs, packages::parse_paragraphs(*status), place + "/status");
    std::set<image::InodeIndex> seen;
    for (const packages::Paragraph& paragraph : paragraphs) {
      if (paragraph.get("Status") != "install ok installed") continue;
      InstalledPackage package = read_package(paragraph);
      TRY(auto list, text_at(root, place + "/info/" + package.name + ".list"));
      if (!list) {
        TRY(list, text_at(root, place + "/info/" + package.name + ":" + package.architecture + ".list"));
      }
      package.size_bytes = size_of(root.tree, list.value_or(""), seen);
      installed.push_back(std::move(package));
    }
    break;
  }
  std::ranges::sort(installed, {},
                    [](const InstalledPackage& each) { return std::tuple(each.name, each.architecture); });
  return installed;
}

}  // namespace builder::outputs
