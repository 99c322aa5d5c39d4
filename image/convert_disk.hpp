#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace image {

/// What disk images are called where virtual machines run.
enum class DiskFormat {
  qcow2,  // QEMU, OpenStack
  vhd,    // Azure, Hyper-V generation 1: fixed, the size exactly the disk's
  vmdk,   // VMware, OVF: streamOptimized
};

/// "qcow2", "vhd", "vmdk": the name and the file's suffix.
std::string_view to_string(DiskFormat format);

/// Writes the raw disk `raw` as `output`, through qemu-img (package qemu-utils). The file gets its name when it is
/// complete.
///
/// The same disk gives the same bytes from the same qemu-img and, for vmdk, the same zlib (it is compressed). qemu-img
/// 7.2 writes a qcow2 that depends on nothing else; neither do the holes in `raw` matter, which has been tried. What it
/// draws at random or takes from the clock is written over afterwards:
/// - vhd: the identifier in the footer is derived from the GUID of the disk's partition table, the time is `time`, and
///   the footer's checksum is computed anew.
/// - vmdk: the content ID is derived from the same GUID; the name that the extent has in the descriptor is the last
///   part of `output`, so that one disk under two names differs there.
///
/// Fails: not_found (no qemu-img; `raw`); as read_partition_table(); no_space, permission, io (qemu-img's own words);
///        corrupt (qemu-img wrote something that is not laid out as its format says)
/// Source: Microsoft, "Virtual Hard Disk Image Format Specification" (2006); VMware, "Virtual Disk Format 5.0"
base::Result<> convert_disk(const std::string& raw, DiskFormat format, const std::string& output,
                            std::chrono::sys_seconds time);

}  // namespace image
