#include "qemu-tests/support/guest_modules.hpp"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "base/file.hpp"
#include "base/lines.hpp"

namespace guest {

using base::Result;

namespace {

constexpr std::size_t max_list = std::size_t{64} << 10;

/// False where it is loaded already.
Result<bool> load_module(const std::string& name) {
  TRY(const base::File file, base::File::open("/modules/" + name, O_RDONLY));
  if (::syscall(SYS_finit_module, file.fd(), "", 0) == 0) return true;
  const int error = errno;
  if (error == EEXIST) return false;
  return base::fail_errno(error, "loading the module " + name);
}

}  // namespace

Result<std::vector<std::string>> load_modules(std::string_view stop) {
  TRY(const std::string list, base::read_file("/modules.list", max_list));
  std::vector<std::string> loaded;
  for (const std::string_view line : base::lines_of(list)) {
    if (!stop.empty() && line == stop) break;
    std::string name(line);
    TRY(const bool fresh, load_module(name));
    if (fresh) loaded.push_back(std::move(name));
  }
  return loaded;
}

}  // namespace guest
