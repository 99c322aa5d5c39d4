#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "image/partition_table.hpp"
#include "verity/root_hash.hpp"

namespace agent::disks {

/// Where the kernel shows its devices; a test has its own.
struct DeviceTree {
  std::string sys = "/sys";
  std::string dev = "/dev";
};

/// A disk as it tells of itself. There is no udev yet, and the kernel says no UUIDs (6.1).
struct Disk {
  std::string name;  // the kernel's: "vda"
  std::string path;  // "/dev/vda"
  /// What stands in its GPT, in either copy; nothing: it has none that could be read.
  std::optional<image::PartitionTable> table;
  /// What is wrong with the table, or why there is none.
  std::string trouble;
  /// Only the second copy is sound. The kernel does not look at that one, and shows no partitions.
  bool hidden_from_kernel = false;
  /// The partitions that the kernel has made devices for, by number: "/dev/vda2".
  std::map<std::uint32_t, std::string> devices;
};

/// All disks, by name. What is no disk (partitions, loop, RAM, device-mapper) is left out, as is a drive without a
/// medium. Fails: io, permission (the kernel's list).
base::Result<std::vector<Disk>> read_disks(const DeviceTree& tree);
/// The same of one disk.
base::Result<Disk> read_disk(const DeviceTree& tree, const std::string& name);

/// Tells the kernel of a disk's partitions (BLKPG) where it has not found them itself: an update that was cut while it
/// wrote the first copy of the table must not cost the boot. Needs CAP_SYS_ADMIN. Fails: io, permission.
base::Result<> show_to_kernel(const Disk& disk);

/// The partitions that the root hash names, and the disk that they are on.
struct RootPartitions {
  std::string disk;  // "vda"
  std::string data;  // "/dev/vda2"
  std::string hash;
  /// Where the root hash's signature is: the partition of that type that has the data partition's label.
  std::optional<std::string> signature;
};

/// Both must be on one disk: a slot is. Of several disks that have them (copies of each other) the first by name
/// counts; which one is taken makes no difference to what runs, for the root hash vouches for that.
std::optional<RootPartitions> find_root(std::span<const Disk> disks, const verity::RootHash& root_hash);

/// The device of the host's own partition on this disk: type Linux generic, label `var`.
std::optional<std::string> find_var(const Disk& disk);

/// The ESP of this disk: the one of that UUID if there is one given, else the first. It lives as long as `disk` does.
const image::Partition* find_esp(const Disk& disk, const std::optional<base::Uuid>& uuid = std::nullopt);

enum class Wanted { root, root_and_signature };

/// Looks at all disks again and again until the root's partitions are there: drivers find disks in their own time.
/// `before_each_look` is for who has drivers to load. Fails: not_found (after `limit`, with what each disk was seen to
/// be); as read_disks.
base::Result<RootPartitions> wait_for_root(
    const DeviceTree& tree, const verity::RootHash& root_hash, Wanted wanted, std::chrono::nanoseconds limit,
    const base::Clock& clock, const std::function<void()>& before_each_look = [] {});

}  // namespace agent::disks
