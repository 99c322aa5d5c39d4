#include "agent/init/directory.hpp"

#include <dirent.h>
#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "base/file.hpp"
#include "base/owned.hpp"
#include "base/unique_fd.hpp"

namespace agent::init {

using base::fail_errno;
using base::Result;

Result<std::vector<std::string>> entries_of(int directory, const std::string& name) {
  base::UniqueFd own(::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const base::Owned<DIR, &::closedir> stream(own ? ::fdopendir(own.get()) : nullptr);
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
  TRY(const base::File directory, base::File::open(path, O_RDONLY | O_DIRECTORY));
  return entries_of(directory.fd(), path);
}

}  // namespace agent::init
