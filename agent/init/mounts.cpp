#include "agent/init/mounts.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>

#include "agent/init/remove_tree.hpp"
#include "base/file.hpp"

namespace agent::init {

using base::fail;
using base::fail_errno;
using base::Kind;
using base::ok;
using base::Result;

namespace {

struct KernelFileSystem {
  const char* type;
  const char* target;
  unsigned long flags;
  const char* options;
};

// Source: systemd, src/shared/mount-setup.c; /dev has no noexec, for that breaks those who map /dev/zero executable.
constexpr KernelFileSystem kernel_file_systems[] = {
    {"proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, ""},
    {"sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, ""},
    {"devtmpfs", "/dev", MS_NOSUID | MS_STRICTATIME, "mode=0755"},
    {"tmpfs", "/run", MS_NOSUID | MS_NODEV | MS_STRICTATIME, "mode=0755,size=20%,nr_inodes=800k"},
};

Result<> move_mount(const std::string& from, const std::string& to) {
  if (::mount(from.c_str(), to.c_str(), nullptr, MS_MOVE, nullptr) != 0) {
    const int error = errno;
    return fail_errno(error, "moving the mount " + from + " to " + to);
  }
  return ok();
}

/// The directory / of an initramfs. Fails: unsupported: it is something whose files may be dear to somebody.
Result<base::File> open_initramfs() {
  TRY(base::File root, base::File::open("/", O_RDONLY | O_DIRECTORY));
  struct statfs status{};
  if (::fstatfs(root.fd(), &status) != 0) {
    const int error = errno;
    return fail_errno(error, "examining /");
  }
  if (status.f_type != RAMFS_MAGIC && status.f_type != TMPFS_MAGIC) {
    return fail(Kind::unsupported, "/ is no initramfs: its files stay");
  }
  return root;
}

}  // namespace

Result<> mount_file_system(const std::string& source, const std::string& target, const char* type, unsigned long flags,
                           const std::string& options) {
  if (::mount(source.c_str(), target.c_str(), type, flags, options.empty() ? nullptr : options.c_str()) != 0) {
    const int error = errno;
    return fail_errno(error, "mounting " + source + " on " + target);
  }
  return ok();
}

Result<> mount_kernel_file_systems() {
  for (const KernelFileSystem& each : kernel_file_systems) {
    (void)::mkdir(each.target, 0755);  // is there in our initrd; what fails here, fails at the mount
    TRY_DO(mount_file_system(each.type, each.target, each.type, each.flags, each.options));
  }
  return ok();
}

Result<> switch_root(const std::string& new_root) {
  TRY(const base::File old_root, open_initramfs());
  for (const KernelFileSystem& each : kernel_file_systems) TRY_DO(move_mount(each.target, new_root + each.target));
  if (::chdir(new_root.c_str()) != 0) {
    const int error = errno;
    return fail_errno(error, "entering " + new_root);
  }
  TRY_DO(move_mount(".", "/"));
  if (::chroot(".") != 0 || ::chdir("/") != 0) {
    const int error = errno;
    return fail_errno(error, "making " + new_root + " the root");
  }
  return remove_content(old_root.fd(), "the initramfs");
}

}  // namespace agent::init
