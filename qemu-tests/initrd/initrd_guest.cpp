// PID 1 of a machine that was started with an initrd of image/initrd: loads the modules of /modules.list in their
// order, mounts the ESP on vda, and says on the console what it finds there. initrd_test.cpp judges that.

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.hpp"
#include "base/result.hpp"
#include "qemu-tests/support/guest_modules.hpp"

namespace {

namespace fs = std::filesystem;
using base::Result;

constexpr std::size_t max_file = std::size_t{4} << 20;

void say(const std::string& what) {
  const std::string line = "STORY " + what + "\n";
  for (std::string_view rest = line; !rest.empty();) {
    const ssize_t put = ::write(STDOUT_FILENO, rest.data(), rest.size());
    if (put <= 0) return;
    rest.remove_prefix(static_cast<std::size_t>(put));
  }
}

Result<> mount_at(const char* what, const char* at, const char* type, const char* options) {
  if (::mount(what, at, type, MS_RDONLY, options) != 0) {
    const int error = errno;
    return base::fail_errno(error, std::string("mounting ") + at);
  }
  return base::ok();
}

Result<> set_up_console() {
  if (::mount("devtmpfs", "/dev", "devtmpfs", 0, nullptr) != 0) {
    const int error = errno;
    return base::fail_errno(error, "mounting /dev");
  }
  TRY(const base::File console, base::File::open("/dev/console", O_RDWR | O_NOCTTY));
  for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) (void)::dup2(console.fd(), standard);
  return base::ok();
}

Result<> tell_file(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) {
    const int error = errno;
    return base::fail_errno(error, path);
  }
  std::string line = path + " " + std::to_string(status.st_mtime);
  if (S_ISREG(status.st_mode)) {
    TRY(const std::string content, base::read_file(path, max_file));
    const bool all_x = content.size() > 100 && content.find_first_not_of('x') == std::string::npos;
    line += " " + (all_x ? std::to_string(content.size()) + " times x" : content);
  }
  say(line);
  return base::ok();
}

Result<> tell_story() {
  TRY(const std::vector<std::string> modules, guest::load_modules());
  for (const std::string& name : modules) say("loaded " + name);
  TRY_DO(mount_at("/dev/vda", "/sysroot", "vfat", "codepage=437,iocharset=ascii,utf8,tz=UTC"));
  std::vector<std::string> paths;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator("/sysroot")) paths.push_back(entry.path());
  std::ranges::sort(paths);
  for (const std::string& path : paths) TRY_DO(tell_file(path));
  return base::ok();
}

}  // namespace

int main() {
  auto result = set_up_console();
  if (result) result = tell_story();
  say(result ? "ends well" : "ends badly: " + result.error().message());
  ::reboot(RB_POWER_OFF);
  return 1;
}
