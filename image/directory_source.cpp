#include "image/directory_source.hpp"

#include <dirent.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <map>
#include <utility>

#include "base/digest.hpp"
#include "base/file.hpp"
#include "base/owned.hpp"

namespace image {

using base::Bytes;
using base::fail_errno;
using base::Result;

namespace {

constexpr std::size_t max_xattr_list = XATTR_LIST_MAX;
constexpr std::size_t max_xattr_value = XATTR_SIZE_MAX;

using OpenDirectory = base::Owned<DIR, &::closedir>;

class DirectoryContents final : public ContentSource {
 public:
  explicit DirectoryContents(std::vector<std::string> paths) : paths_(std::move(paths)) {}
  Result<std::unique_ptr<ContentReader>> open(ContentId content) const override {
    TRY(base::File file, base::File::open(paths_.at(content), O_RDONLY | O_NOFOLLOW));
    return content_of(std::move(file));
  }

 private:
  std::vector<std::string> paths_;  // by ContentId
};

FileType type_of(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFDIR:
      return FileType::directory;
    case S_IFLNK:
      return FileType::symlink;
    case S_IFCHR:
      return FileType::character_device;
    case S_IFBLK:
      return FileType::block_device;
    case S_IFIFO:
      return FileType::fifo;
    case S_IFSOCK:
      return FileType::socket;
    default:
      return FileType::regular;
  }
}

Result<std::map<std::string, Bytes>> read_xattrs(const std::string& path) {
  std::map<std::string, Bytes> xattrs;
  std::string names(max_xattr_list, '\0');
  const ssize_t length = ::llistxattr(path.c_str(), names.data(), names.size());
  if (length < 0) {
    const int error = errno;
    if (error == EOPNOTSUPP) return xattrs;
    return fail_errno(error, "listing the extended attributes of " + path);
  }
  names.resize(static_cast<std::size_t>(length));
  for (std::size_t at = 0; at < names.size();) {
    const std::string name = names.c_str() + at;
    at += name.size() + 1;
    Bytes value(max_xattr_value);
    const ssize_t size = ::lgetxattr(path.c_str(), name.c_str(), value.data(), value.size());
    if (size < 0) {
      const int error = errno;
      return fail_errno(error, "reading an extended attribute of " + path);
    }
    value.resize(static_cast<std::size_t>(size));
    value.shrink_to_fit();
    xattrs.emplace(name, std::move(value));
  }
  return xattrs;
}

Result<std::string> read_link(const std::string& path) {
  std::string target(PATH_MAX, '\0');
  const ssize_t size = ::readlink(path.c_str(), target.data(), target.size());
  if (size < 0) {
    const int error = errno;
    return fail_errno(error, "reading the link " + path);
  }
  target.resize(static_cast<std::size_t>(size));
  return target;
}

Result<std::vector<std::string>> names_in(const std::string& path) {
  const OpenDirectory directory(::opendir(path.c_str()));
  if (!directory) {
    const int error = errno;
    return fail_errno(error, "opening the directory " + path);
  }
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(directory.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
    errno = 0;
  }
  if (const int error = errno; error != 0) return fail_errno(error, "reading the directory " + path);
  std::ranges::sort(names);
  return names;
}

std::string path_below(std::string directory, const std::string& name) {
  directory += '/';
  directory += name;
  return directory;
}

Result<base::Sha256Digest> sha256_of(const std::string& path) {
  TRY(const base::File file, base::File::open(path, O_RDONLY | O_NOFOLLOW));
  return base::sha256_of(file);
}

class Scan {
 public:
  Result<InodeIndex> take(const std::string& path) {
    struct stat status{};
    if (::lstat(path.c_str(), &status) != 0) {
      const int error = errno;
      return fail_errno(error, "examining " + path);
    }
    const bool linked = !S_ISDIR(status.st_mode) && status.st_nlink > 1;
    const auto identity = std::pair(status.st_dev, status.st_ino);
    if (const auto known = linked_.find(identity); linked && known != linked_.end()) return known->second;

    const auto index = static_cast<InodeIndex>(tree_.inodes.size());
    if (linked) linked_.emplace(identity, index);
    Inode inode;
    inode.type = type_of(status.st_mode);
    inode.permissions = static_cast<std::uint16_t>(status.st_mode & 07777);
    inode.uid = status.st_uid;
    inode.gid = status.st_gid;
    TRY(inode.xattrs, read_xattrs(path));
    if (inode.type == FileType::symlink) {
      TRY(inode.target, read_link(path));
    }
    if (inode.type == FileType::character_device || inode.type == FileType::block_device) {
      inode.device_major = major(status.st_rdev);
      inode.device_minor = minor(status.st_rdev);
    }
    if (inode.type == FileType::regular && status.st_size > 0) {
      inode.size = static_cast<std::uint64_t>(status.st_size);
      files_.push_back({inode.size, index, path});
    }
    tree_.inodes.push_back(std::move(inode));
    if (tree_.inodes[index].type != FileType::directory) return index;

    TRY(const std::vector<std::string> names, names_in(path));
    std::vector<DirectoryEntry> entries;
    entries.reserve(names.size());
    for (const std::string& name : names) {
      TRY(const InodeIndex child, take(path_below(path, name)));
      entries.push_back({name, child});
    }
    tree_.inodes[index].entries = std::move(entries);
    return index;
  }

  /// Gives every content its number, in the order in which the files stand in the tree.
  Result<SourcedTree> finish() {
    std::map<std::uint64_t, std::size_t> files_of_size;
    for (const File& file : files_) ++files_of_size[file.size];
    std::map<std::pair<std::uint64_t, base::Sha256Digest>, ContentId> known;
    std::vector<std::string> paths;
    for (const File& file : files_) {
      ContentId content = paths.size();
      if (files_of_size[file.size] > 1) {
        TRY(const base::Sha256Digest digest, sha256_of(file.path));
        content = known.emplace(std::pair(file.size, digest), content).first->second;
      }
      if (content == paths.size()) paths.push_back(file.path);
      tree_.inodes[file.inode].content = content;
    }
    TRY_DO(check(tree_));
    return SourcedTree{std::move(tree_), std::make_unique<DirectoryContents>(std::move(paths))};
  }

 private:
  struct File {
    std::uint64_t size;
    InodeIndex inode;
    std::string path;
  };

  FileTree tree_;
  std::vector<File> files_;
  std::map<std::pair<dev_t, ino_t>, InodeIndex> linked_;
};

}  // namespace

Result<SourcedTree> read_directory(const std::string& path) {
  Scan scan;
  TRY_DO(scan.take(path));
  return scan.finish();
}

}  // namespace image
