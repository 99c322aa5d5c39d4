#include "agent/init/remove_tree.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/directory.hpp"
#include "base/file.hpp"
#include "base/unique_fd.hpp"

namespace agent::init {

using base::fail_errno;
using base::ok;
using base::Result;

namespace {

Result<> remove_content_on(dev_t file_system, int directory, const std::string& name);

Result<> remove_entry(dev_t file_system, int directory, const std::string& entry, const std::string& path) {
  struct stat status{};
  if (::fstatat(directory, entry.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    const int error = errno;
    return fail_errno(error, "examining " + path);
  }
  if (status.st_dev != file_system) return ok();
  const bool is_directory = S_ISDIR(status.st_mode);
  if (is_directory) {
    const base::UniqueFd below(::openat(directory, entry.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!below) {
      const int error = errno;
      return fail_errno(error, "opening " + path);
    }
    TRY_DO(remove_content_on(file_system, below.get(), path));
  }
  // A directory that another file system is mounted below stays, and so do those above it.
  if (::unlinkat(directory, entry.c_str(), is_directory ? AT_REMOVEDIR : 0) != 0 && errno != EBUSY &&
      errno != ENOTEMPTY) {
    const int error = errno;
    return fail_errno(error, "removing " + path);
  }
  return ok();
}

Result<> remove_content_on(dev_t file_system, int directory, const std::string& name) {
  TRY(const auto entries, base::entries_of(directory, name));
  for (const std::string& entry : entries) {
    std::string path = name;
    TRY_DO(remove_entry(file_system, directory, entry, path.append("/").append(entry)));
  }
  return ok();
}

}  // namespace

Result<> remove_content(int directory, const std::string& name) {
  struct stat status{};
  if (::fstat(directory, &status) != 0) {
    const int error = errno;
    return fail_errno(error, "examining " + name);
  }
  return remove_content_on(status.st_dev, directory, name);
}

Result<> remove_tree(const std::string& path) {
  auto opened = base::File::open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!opened) {
    if (opened.error().kind() == base::Kind::not_found) return ok();
    return std::unexpected(std::move(opened).error());
  }
  TRY_DO(remove_content(opened->fd(), path));
  if (::rmdir(path.c_str()) != 0) {
    const int error = errno;
    return fail_errno(error, "removing " + path);
  }
  return ok();
}

}  // namespace agent::init
