#include "agent/init/modules.hpp"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <utility>

#include "base/file.hpp"
#include "base/lines.hpp"

namespace agent::init {

using base::Result;

namespace {

constexpr std::size_t max_list = std::size_t{64} << 10;

Result<> load_module(const std::string& path) {
  TRY(const base::File file, base::File::open(path, O_RDONLY));
  if (::syscall(SYS_finit_module, file.fd(), "", 0) != 0 && errno != EEXIST && errno != ENODEV) {
    const int error = errno;
    return base::fail_errno(error, "loading the module " + path);
  }
  return base::ok();
}

}  // namespace

std::vector<base::Error> load_modules(const std::string& directory) {
  std::vector<base::Error> failures;
  auto list = base::read_file(directory + ".list", max_list);
  if (!list) {
    // An initrd without modules, for a kernel that has built in what it needs.
    if (list.error().kind() != base::Kind::not_found) failures.push_back(std::move(list).error());
    return failures;
  }
  for (const std::string_view name : base::lines_of(*list)) {
    if (name.empty()) continue;
    if (auto loaded = load_module(directory + "/" + std::string(name)); !loaded) {
      failures.push_back(std::move(loaded).error());
    }
  }
  return failures;
}

}  // namespace agent::init
