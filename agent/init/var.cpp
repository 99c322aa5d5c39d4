#include "agent/init/var.hpp"

#include <sys/mount.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string_view>
#include <vector>

#include "agent/init/mounts.hpp"
#include "agent/init/program.hpp"
#include "base/directory.hpp"

namespace agent::init {

using base::Result;

namespace {

constexpr const char* repart = "/usr/bin/systemd-repart";
constexpr const char* definitions = "/usr/lib/repart.d";
constexpr const char* check = "/usr/sbin/e2fsck";
// A new file system takes seconds whatever its size (lazy_itable_init). A check is mostly the journal's replay; a whole
// one of a large disk may take longer than this, and its result is no worse than none at all.
constexpr std::chrono::seconds repart_limit(120);
constexpr std::chrono::seconds check_limit(300);
// e2fsck(8): 1 corrected, 2 corrected and a mounted root needs a restart (ours is not mounted), 4 and above not well.
constexpr int first_bad_check_status = 4;

bool has_definitions() {
  const auto files = base::entries_of(definitions);
  return files && std::ranges::any_of(*files, [](std::string_view name) { return name.ends_with(".conf"); });
}

/// The end of a program for one line of a console.
std::string told(const std::string& program, const ProgramEnd& end) {
  std::string output = end.output;
  std::ranges::replace(output, '\n', ' ');
  return program + " ended with status " + std::to_string(end.exit_status) + ": " + output;
}

void make_partition(const disks::Disk& disk, const Console& console) {
  // The definitions of the root, not those that a host may have left in /etc; the seed is the machine's own, if any.
  const auto ended = run_program(
      {repart, "--dry-run=no", "--empty=refuse", "--no-pager", std::string("--definitions=") + definitions, disk.path},
      repart_limit);
  if (!ended) {
    console.warning(ended.error().message());
  } else if (ended->exit_status != 0) {
    console.warning(told(repart, *ended));
  } else {
    console.debug(told(repart, *ended));
  }
}

void check_file_system(const std::string& device, const Console& console) {
  if (!has_program(check)) return;
  const auto ended = run_program({check, "-p", device}, check_limit);
  if (!ended) {
    console.warning(ended.error().message());
  } else if (ended->exit_status >= first_bad_check_status) {
    console.warning(told(check, *ended));
  } else {
    console.debug(told(check, *ended));
  }
}

/// The device of /var, made if need be and possible.
Result<std::optional<std::string>> find_or_make(const disks::DeviceTree& tree, const std::string& name,
                                                const Console& console) {
  TRY(const disks::Disk disk, read_disk(tree, name));
  if (auto device = find_var(disk)) return device;
  if (!has_program(repart) || !has_definitions()) return std::nullopt;
  make_partition(disk, console);
  TRY(const disks::Disk changed, read_disk(tree, name));
  return find_var(changed);
}

}  // namespace

Result<> mount_var(const disks::DeviceTree& tree, const std::string& disk, const Console& console) {
  TRY(const auto device, find_or_make(tree, disk, console), "looking for the partition of /var");
  if (!device) {
    console.warning("the disk " + disk + " has no partition for /var: what is written there is lost at the next boot");
    return mount_file_system("tmpfs", "/var", "tmpfs", MS_NODEV, "mode=0755");
  }
  check_file_system(*device, console);
  return mount_file_system(*device, "/var", "ext4", MS_NODEV, "");
}

}  // namespace agent::init
