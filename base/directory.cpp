#include "base/directory.hpp"

#include <dirent.h>
#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "base/file.hpp"
#include "base/owned.hpp"
#include "base/unique_fd.hpp"

namespace base {

Result<std::vector<std::string>> entries_of(int directory, const std::string& name) {
  UniqueFd own(::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const Owned<DIR, &::closedir> stream(own ? ::fdopendir(own.get()) : nullptr);
  if (!stream) {
    const int error = errno;
    return fail_errno(error, "listing " + name);
  }
  (void)own.release();  // the stream's now
  std::vector<std::string> names;
  while (true) {
    errno = 0;
    const dirent* const entry = ::readdir(stream.get());
    if (entry == nullptr) break;
    if (const std::string_view text = entry->d_name; text != "." && text != "..") names.emplace_back(text);
  }
  if (errno != 0) {
    const int error = errno;
    return fail_errno(error, "listing " + name);
  }
  std::ranges::sort(names);
  return names;
}

Result<std::vector<std::string>> entries_of(const std::string& path) {
  TRY(const File directory, File::open(path, O_RDONLY | O_DIRECTORY));
  return entries_of(directory.fd(), path);
}

}  // namespace base
