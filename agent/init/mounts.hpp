#pragma once

#include <string>

#include "base/result.hpp"

namespace agent::init {

/// mount(2) with the words of its manual page. Fails: not_found, busy, permission, io; the frame names both ends.
base::Result<> mount_file_system(const std::string& source, const std::string& target, const char* type,
                                 unsigned long flags, const std::string& options);

/// What the kernel offers: /proc, /sys, /dev (devtmpfs), and /run (tmpfs); with the flags that systemd would give them,
/// for it takes them over as they are.
base::Result<> mount_kernel_file_systems();

/// Makes the root mounted at `new_root` the root of everything: moves what mount_kernel_file_systems has mounted into
/// it, itself to /, and frees the memory of the initramfs by removing its files. From then on nothing of the initramfs
/// is left but this running program.
/// Fails: not_found (the new root lacks one of the directories), permission, io; unsupported (the old root is no
/// initramfs; nothing of it is removed).
base::Result<> switch_root(const std::string& new_root);

}  // namespace agent::init
