#include "agent/init/boot.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "agent/disks/disks.hpp"
#include "agent/init/arm_fallback.hpp"
#include "agent/init/etc.hpp"
#include "agent/init/modules.hpp"
#include "agent/init/mounts.hpp"
#include "agent/init/root.hpp"
#include "agent/init/var.hpp"
#include "base/clock.hpp"
#include "base/file.hpp"
#include "image/kernel_cmdline.hpp"

namespace agent::init {

using base::fail_errno;
using base::Result;

namespace {

constexpr const char* modules_directory = "/modules";
constexpr const char* new_root = "/sysroot";
constexpr std::chrono::seconds disk_limit(30);
constexpr std::size_t max_cmdline = 65536;

/// Without one (no console= that works) the kernel's log has to do.
void use_console() {
  const auto console = base::File::open("/dev/console", O_RDWR | O_NOCTTY);
  if (!console) return;
  for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) (void)::dup2(console->fd(), standard);
}

/// The command line is systemd's to read, from /proc; what the kernel did not know of it is no environment of ours.
Result<> become_systemd() {
  char program[] = "/usr/lib/systemd/systemd";
  char home[] = "HOME=/";
  char terminal[] = "TERM=linux";
  char* const argv[] = {program, nullptr};
  char* const environment[] = {home, terminal, nullptr};
  (void)::execve(program, argv, environment);
  const int error = errno;
  return fail_errno(error, std::string("starting ") + program);
}

Result<> go(const Options& options, const Console& console, std::vector<base::Error>& missing) {
  missing = load_modules(modules_directory);
  console.debug("modules are loaded");
  arm_fallback(console);

  TRY(const std::string cmdline, base::read_file("/proc/cmdline", max_cmdline));
  TRY(const verity::RootHash root_hash, image::root_hash_in(cmdline));
  const disks::DeviceTree devices;
  const auto wanted = options.signature_digest ? disks::Wanted::root_and_signature : disks::Wanted::root;
  Drivers drivers(modules_directory);
  const auto load_drivers = [&] {
    for (base::Error& failure : drivers.load_wanted(devices.sys)) missing.push_back(std::move(failure));
  };
  TRY(const disks::RootPartitions partitions,
      wait_for_root(devices, root_hash, wanted, disk_limit, base::system_clock(), load_drivers));
  for (const base::Error& failure : missing) console.debug(failure.message());
  console.debug("data on " + partitions.data + ", hash tree on " + partitions.hash);
  TRY_DO(mount_root(partitions, root_hash, options, console, new_root));

  // Early, so that the programs of the verified root find themselves at home, and nothing of ours needs a chroot.
  TRY_DO(switch_root(new_root));
  console.debug("the root is verified and mounted");
  TRY_DO(mount_var(devices, partitions.disk, console));
  console.debug("/var is mounted");
  TRY(const std::string etc, prepare_etc({}, root_hash));
  TRY_DO(mount_file_system(etc, "/etc", nullptr, MS_BIND, ""));
  console.debug("/etc is mounted; systemd takes over");
  return become_systemd();
}

}  // namespace

Result<Options> begin() {
  TRY_DO(mount_kernel_file_systems());
  use_console();
  TRY(const std::string cmdline, base::read_file("/proc/cmdline", max_cmdline));
  return parse_options(cmdline);
}

base::Error boot(const Options& options, const Console& console) {
  std::vector<base::Error> missing;
  base::Error why = std::move(go(options, console, missing)).error();
  // Only now: a machine can do without many a module, and those that need one that has found nothing do not load
  // either.
  for (const base::Error& failure : missing) console.warning(failure.message());
  return why;
}

void give_up(const base::Error& why, const Options& options, const Console& console) {
  console.error(why.message());
  ::sync();
  std::this_thread::sleep_for(options.failure_wait);
  (void)::reboot(RB_AUTOBOOT);
  std::_Exit(EXIT_FAILURE);  // the kernel panics at the loss of its first program
}

}  // namespace agent::init
