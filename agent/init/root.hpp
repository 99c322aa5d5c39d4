#pragma once

#include <string>

#include "agent/disks/disks.hpp"
#include "agent/init/console.hpp"
#include "agent/init/options.hpp"
#include "base/result.hpp"
#include "verity/root_hash.hpp"

namespace agent::init {

/// The name by which device-mapper and /dev/mapper know the verified root.
inline constexpr const char* root_device_name = "root";

/// Puts dm-verity over the two partitions and mounts the EROFS that it lets through, read-only, at `at`. Of the hash
/// partition's superblock nothing needs to be true: with any other tree or salt the root hash does not come out, and
/// reading ends as the options say. A signature that they name must be the partition's; a kernel that is to look at it,
/// too, but knows nobody who could have made it, does not end the boot.
/// Fails: untrusted (another signature, or one that the kernel finds false); corrupt (superblock; no EROFS),
/// unsupported (no module dm-verity or erofs), not_found, busy, permission, io.
base::Result<> mount_root(const disks::RootPartitions& partitions, const verity::RootHash& root_hash,
                          const Options& options, const Console& console, const std::string& at);

}  // namespace agent::init
