#include "agent/init/var.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/vfs.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>
#include <vector>

#include "agent/init/mounts.hpp"
#include "agent/init/program.hpp"
#include "base/block_device.hpp"
#include "base/directory.hpp"
#include "base/file.hpp"

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

// A disk has grown when more than what alignment leaves lies behind its last partition.
constexpr std::uint64_t worth_growing = std::uint64_t{64} << 20;
// Source: Linux, fs/ext4/ext4.h, EXT4_IOC_RESIZE_FS
constexpr unsigned long ext4_resize = _IOW('f', 16, std::uint64_t);

/// Bytes of the disk behind its last partition.
std::uint64_t room_at_end(const disks::Disk& disk) {
  const auto device = base::FileDevice::open(disk.path, base::Access::read_only);
  if (!device || !disk.table) return 0;
  std::uint64_t end = 0;
  for (const image::Partition& each : disk.table->partitions) end = std::max(end, each.offset_bytes + each.size_bytes);
  return (*device)->size_bytes() - std::min(end, (*device)->size_bytes());
}

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

/// Whether an ext4 says that it is in a bad way. One that was cut off is not: mounting replays its journal.
/// Source: Linux, Documentation/filesystems/ext4/super.rst, s_magic and s_state
bool wants_check(const std::string& path) {
  constexpr std::uint64_t superblock = 1024;
  constexpr std::size_t magic_at = 0x38;
  constexpr std::size_t state_at = 0x3a;
  constexpr unsigned magic = 0xef53;
  constexpr unsigned cleanly_unmounted = 1;
  constexpr unsigned errors_seen = 2;
  std::array<std::byte, 64> bytes{};
  const auto device = base::FileDevice::open(path, base::Access::read_only);
  if (!device || !(*device)->read(superblock, bytes)) return false;
  const auto number = [&](std::size_t at) {
    return std::to_integer<unsigned>(bytes.at(at)) | std::to_integer<unsigned>(bytes.at(at + 1)) << 8U;
  };
  const unsigned state = number(state_at);
  return number(magic_at) == magic && ((state & cleanly_unmounted) == 0 || (state & errors_seen) != 0);
}

void check_file_system(const std::string& device, const Console& console) {
  if (!wants_check(device) || !has_program(check)) return;
  const auto ended = run_program({check, "-p", device}, check_limit);
  if (!ended) {
    console.warning(ended.error().message());
  } else if (ended->exit_status >= first_bad_check_status) {
    console.warning(told(check, *ended));
  } else {
    console.debug(told(check, *ended));
  }
}

/// The device of /var, made or grown if need be and possible.
Result<std::optional<std::string>> find_or_make(const disks::DeviceTree& tree, const std::string& name,
                                                const Console& console) {
  TRY(const disks::Disk disk, read_disk(tree, name));
  auto device = find_var(disk);
  if (device && room_at_end(disk) < worth_growing) return device;
  if (!has_program(repart) || !has_definitions()) return device;
  make_partition(disk, console);
  TRY(const disks::Disk changed, read_disk(tree, name));
  return find_var(changed);
}

/// A file system that is smaller than its device becomes as large; otherwise nothing happens.
void grow_file_system(const std::string& device, const std::string& at, const Console& console) {
  const auto block_device = base::FileDevice::open(device, base::Access::read_only);
  const auto directory = base::File::open(at, O_RDONLY | O_DIRECTORY);
  struct statfs facts{};
  if (!block_device || !directory || ::fstatfs(directory->fd(), &facts) != 0 || facts.f_bsize <= 0) return;
  const std::uint64_t blocks = (*block_device)->size_bytes() / static_cast<std::uint64_t>(facts.f_bsize);
  if (::ioctl(directory->fd(), ext4_resize, &blocks) == 0) return;
  const int error = errno;
  console.warning("growing the file system on " + device + ": " + std::strerror(error));
}

}  // namespace

Result<> mount_var(const disks::DeviceTree& tree, const std::string& disk, const Console& console) {
  TRY(const auto device, find_or_make(tree, disk, console), "looking for the partition of /var");
  if (!device) {
    console.warning("the disk " + disk + " has no partition for /var: what is written there is lost at the next boot");
    return mount_file_system("tmpfs", "/var", "tmpfs", MS_NODEV, "mode=0755");
  }
  check_file_system(*device, console);
  TRY_DO(mount_file_system(*device, "/var", "ext4", MS_NODEV, ""));
  grow_file_system(*device, "/var", console);
  return base::ok();
}

}  // namespace agent::init
