#pragma once

#include <string>

#include "agent/disks/disks.hpp"
#include "base/result.hpp"
#include "verity/device_table.hpp"
#include "verity/root_hash.hpp"

namespace agent::init {

/// The name by which device-mapper and /dev/mapper know the verified root.
inline constexpr const char* root_device_name = "root";

/// Puts dm-verity over the two partitions and mounts the EROFS that it lets through, read-only, at `at`. Of the hash
/// partition's superblock nothing needs to be true: with any other tree or salt the root hash does not come out, and
/// reading ends as `on_corruption` says.
/// Fails: corrupt (superblock; no EROFS), unsupported (no module dm-verity or erofs), not_found, busy, permission, io.
base::Result<> mount_root(const disks::RootPartitions& partitions, const verity::RootHash& root_hash,
                          verity::OnCorruption on_corruption, const std::string& at);

}  // namespace agent::init
