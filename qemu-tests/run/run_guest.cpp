// PID 1 of a disk that "keelson run" boots: says which credentials it was given and how large its disk is, writes over
// the beginning of the disk, and waits. run_test.cpp judges that.

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <string_view>

#include "base/file.hpp"
#include "base/result.hpp"
#include "qemu-tests/support/guest_modules.hpp"

namespace {

using base::Result;

void say(const std::string& what) {
  const std::string line = "STORY " + what + "\n";
  (void)!::write(STDOUT_FILENO, line.data(), line.size());
}

Result<> mount_at(const char* at, const char* type) {
  if (::mount(type, at, type, 0, nullptr) != 0) {
    const int error = errno;
    return base::fail_errno(error, std::string("mounting ") + at);
  }
  return base::ok();
}

/// The strings of SMBIOS type 11: they begin behind the 5 bytes of the structure, each ended by a NUL.
Result<> tell_credentials() {
  const char* const path = "/sys/firmware/dmi/entries/11-0/raw";
  if (::access(path, F_OK) != 0) return base::ok();
  TRY(const std::string raw, base::read_file(path, 65536));
  std::string_view rest = std::string_view(raw).substr(5);
  while (!rest.empty() && rest.front() != '\0') {
    const std::size_t end = std::min(rest.find('\0'), rest.size());
    say("was given " + std::string(rest.substr(0, end)));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return base::ok();
}

Result<> spoil_disk() {
  TRY(base::File disk, base::File::open("/dev/vda", O_RDWR));
  TRY(const std::uint64_t size, disk.size());
  const std::string spoiled(1U << 20, 'x');
  TRY_DO(disk.write_all(0, base::bytes_of(spoiled)));
  TRY_DO(disk.sync());
  say("spoiled a disk of " + std::to_string(size) + " bytes");
  return base::ok();
}

Result<> tell_story() {
  TRY_DO(mount_at("/dev", "devtmpfs"));
  TRY_DO(mount_at("/sys", "sysfs"));
  TRY(const base::File console, base::File::open("/dev/console", O_RDWR | O_NOCTTY));
  for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) (void)::dup2(console.fd(), standard);
  TRY_DO(guest::load_modules());
  TRY_DO(tell_credentials());
  return spoil_disk();
}

}  // namespace

int main() {
  const auto result = tell_story();
  say(result ? "ends well" : "ends badly: " + result.error().message());
  if (!result) ::reboot(RB_POWER_OFF);
  while (true) ::pause();
}
