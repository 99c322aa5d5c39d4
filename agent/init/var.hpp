#pragma once

#include <string>

#include "agent/disks/disks.hpp"
#include "agent/init/console.hpp"
#include "base/result.hpp"

namespace agent::init {

/// Mounts what belongs to the host on /var. Called with the verified root as /, for its programs do part of the work:
///
/// - The partition is the one of `disk` that find_var() finds. If there is none and the root brings definitions in
///   /usr/lib/repart.d, systemd-repart makes it.
/// - If there is room on the disk behind it, which then has become larger, systemd-repart grows it, and the file system
///   grows with it.
/// - e2fsck -p first, where the file system says that it has errors and the root has the program. Errors that it leaves
/// are told, and the mount is tried all the same: a
///   host that comes up and says so beats one that restarts for ever, in every version, over a file system they share.
/// - Without a partition /var is a tmpfs, with a warning: a first look at an image needs no disk of its own size.
///   But a partition that is there and cannot be mounted fails the boot: a host that has silently forgotten what it
///   kept would start its containers on empty volumes.
///
/// Devices do not work there (nodev): container runtimes make their /dev on a tmpfs, overlayfs has mount flags of its
/// own, so nothing loses by it. Set-user-ID programs do (no nosuid): containers whose root is a plain directory on /var
/// (containerd's native snapshotter, systemd-nspawn) would lose su and ping.
///
/// Fails: as mount_file_system.
base::Result<> mount_var(const disks::DeviceTree& tree, const std::string& disk, const Console& console);

}  // namespace agent::init
