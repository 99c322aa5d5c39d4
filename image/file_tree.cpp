#include "image/file_tree.hpp"

#include <optional>
#include <string_view>
#include <utility>

namespace image {

using base::fail;
using base::Kind;
using base::Result;

namespace {

constexpr std::size_t max_name = 255;  // NAME_MAX
constexpr std::size_t max_path = 4095;

Result<> check_name(const std::string& name, const std::string& directory) {
  const std::string frame = "the name \"" + name.substr(0, max_name) + "\" in " + directory;
  if (name.empty() || name.size() > max_name) {
    return fail(Kind::invalid_input, frame + " has " + std::to_string(name.size()) + " bytes; 1 to 255 are allowed");
  }
  if (name == "." || name == ".." || name.find('/') != std::string::npos || name.find('\0') != std::string::npos) {
    return fail(Kind::invalid_input, frame + " cannot be a file's name");
  }
  return base::ok();
}

class FileContent final : public ContentReader {
 public:
  explicit FileContent(base::File file) : file_(std::move(file)) {}
  Result<> read(base::MutableByteView into) override {
    TRY_DO(file_.read_exactly(offset_, into));
    offset_ += into.size();
    return base::ok();
  }

 private:
  base::File file_;
  std::uint64_t offset_ = 0;
};

}  // namespace

std::unique_ptr<ContentReader> content_of(base::File file) {
  return std::make_unique<FileContent>(std::move(file));
}

Result<> check(const FileTree& tree) {
  if (tree.inodes.empty() || tree.inodes[0].type != FileType::directory) {
    return fail(Kind::invalid_input, "a file tree needs a root directory");
  }
  struct Visit {
    InodeIndex inode;
    std::string path;
  };
  std::vector<bool> reached(tree.inodes.size());
  std::vector<Visit> to_visit = {{0, "/"}};
  reached[0] = true;
  while (!to_visit.empty()) {
    const Visit visit = std::move(to_visit.back());
    to_visit.pop_back();
    if (visit.path.size() > max_path)
      return fail(Kind::invalid_input, "a path is longer than 4095 bytes: " + visit.path);
    const std::string* before = nullptr;
    for (const DirectoryEntry& entry : tree.inodes[visit.inode].entries) {
      TRY_DO(check_name(entry.name, visit.path));
      const std::string path = (visit.path == "/" ? "" : visit.path) + "/" + entry.name;
      if (before != nullptr && !(*before < entry.name)) {
        return fail(Kind::invalid_input, path + " is not behind \"" + *before + "\" in bytewise order");
      }
      before = &entry.name;
      if (entry.inode >= tree.inodes.size())
        return fail(Kind::invalid_input, path + " names an inode that is not there");
      const bool again = reached[entry.inode];
      reached[entry.inode] = true;
      if (tree.inodes[entry.inode].type != FileType::directory) continue;
      if (again) return fail(Kind::invalid_input, path + " is a directory that stands in two places");
      to_visit.push_back({entry.inode, path});
    }
  }
  for (std::size_t i = 0; i < reached.size(); ++i) {
    if (!reached[i]) return fail(Kind::invalid_input, "inode " + std::to_string(i) + " stands in no directory");
  }
  return base::ok();
}

}  // namespace image
