#include "agent/disks/disks.hpp"

#include <fcntl.h>
#include <linux/blkpg.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <string_view>
#include <thread>
#include <utility>

#include "base/block_device.hpp"
#include "base/directory.hpp"
#include "base/file.hpp"
#include "base/uuid.hpp"
#include "image/discoverable_partitions.hpp"

namespace agent::disks {

using base::fail;
using base::Kind;
using base::Result;

namespace {

constexpr std::chrono::milliseconds pause_between_looks(10);

/// A number that sysfs shows in a file of its own.
std::optional<std::uint32_t> number_in(const std::string& path) {
  const auto text = base::read_file(path, 64);
  std::uint32_t number = 0;
  if (!text || std::from_chars(text->data(), text->data() + text->size(), number).ec != std::errc()) {
    return std::nullopt;
  }
  return number;
}

std::string block_directory(const DeviceTree& tree, const std::string& name) {
  return tree.sys + "/class/block/" + name;
}

bool may_be_a_disk(const DeviceTree& tree, const std::string& name) {
  constexpr std::array<std::string_view, 6> others = {"dm-", "loop", "md", "nbd", "ram", "zram"};
  if (std::ranges::any_of(others, [&](std::string_view other) { return name.starts_with(other); })) return false;
  return ::access((block_directory(tree, name) + "/partition").c_str(), F_OK) != 0;
}

Result<image::TableOnDisk> read_table(const DeviceTree& tree, const Disk& disk) {
  TRY(const auto device, base::FileDevice::open(disk.path, base::Access::read_only));
  return image::read_partition_table(*device,
                                     number_in(block_directory(tree, disk.name) + "/queue/logical_block_size"));
}

std::optional<std::string> device_of(const Disk& disk, const image::Partition& partition) {
  const auto found = disk.devices.find(partition.number);
  return found == disk.devices.end() ? std::nullopt : std::optional(found->second);
}

const image::Partition* partition_with_uuid(const Disk& disk, const base::Uuid& uuid) {
  if (!disk.table) return nullptr;
  const auto found = std::ranges::find(disk.table->partitions, uuid, &image::Partition::uuid);
  return found == disk.table->partitions.end() ? nullptr : &*found;
}

/// The signature partition of the slot whose data partition has this label.
std::optional<std::string> signature_device(const Disk& disk, const std::string& label) {
  const auto found = std::ranges::find_if(disk.table->partitions, [&](const image::Partition& partition) {
    return partition.type == image::partition_type::root_verity_signature_x86_64 && partition.label == label;
  });
  return found == disk.table->partitions.end() ? std::nullopt : device_of(disk, *found);
}

std::optional<RootPartitions> root_on(const Disk& disk, const verity::RootHash& root_hash) {
  const image::Partition* const data = partition_with_uuid(disk, image::data_partition_uuid(root_hash));
  const image::Partition* const hash = partition_with_uuid(disk, image::hash_partition_uuid(root_hash));
  if (data == nullptr || hash == nullptr) return std::nullopt;
  const auto data_device = device_of(disk, *data);
  const auto hash_device = device_of(disk, *hash);
  if (!data_device || !hash_device) return std::nullopt;
  return RootPartitions{disk.name, *data_device, *hash_device, signature_device(disk, data->label)};
}

/// "vda (no GPT), vdb (8 partitions)", for who has to find out why a root is missing.
std::string described(std::span<const Disk> disks) {
  if (disks.empty()) return "there is no disk at all (is its driver among the modules?)";
  std::string text = "seen: ";
  for (const Disk& disk : disks) {
    if (&disk != disks.data()) text += ", ";
    text += disk.name + " (";
    if (disk.table) text += std::to_string(disk.table->partitions.size()) + " partitions";
    if (disk.table && !disk.trouble.empty()) text += "; ";
    text += disk.trouble + ")";
  }
  return text;
}

}  // namespace

Result<Disk> read_disk(const DeviceTree& tree, const std::string& name) {
  Disk disk{.name = name, .path = tree.dev + "/" + name, .table = {}, .trouble = {}, .devices = {}};
  const std::string directory = block_directory(tree, name);
  TRY(const auto entries, base::entries_of(directory));
  for (const std::string& entry : entries) {
    if (!entry.starts_with(name)) continue;
    std::string number_file = directory;
    number_file += "/" + entry + "/partition";
    if (const auto number = number_in(number_file)) disk.devices[*number] = tree.dev + "/" + entry;
  }
  if (auto found = read_table(tree, disk)) {
    disk.table = std::move(found->table);
    disk.trouble = std::move(found->damage);
    disk.hidden_from_kernel = found->copies == image::TableCopies::primary_damaged;
  } else {
    disk.trouble = found.error().message();
  }
  return disk;
}

Result<std::vector<Disk>> read_disks(const DeviceTree& tree) {
  TRY(const auto names, base::entries_of(tree.sys + "/class/block"), "looking for disks");
  std::vector<Disk> disks;
  for (const std::string& name : names) {
    if (!may_be_a_disk(tree, name)) continue;
    // A disk may go between the two looks.
    if (auto disk = read_disk(tree, name)) disks.push_back(*std::move(disk));
  }
  return disks;
}

Result<> show_to_kernel(const Disk& disk) {
  if (!disk.table) return base::ok();
  TRY(const base::File device, base::File::open(disk.path, O_RDONLY));
  for (const image::Partition& partition : disk.table->partitions) {
    if (disk.devices.contains(partition.number)) continue;
    blkpg_partition place{.start = static_cast<long long>(partition.offset_bytes),
                          .length = static_cast<long long>(partition.size_bytes),
                          .pno = static_cast<int>(partition.number),
                          .devname = {},
                          .volname = {}};
    blkpg_ioctl_arg request{.op = BLKPG_ADD_PARTITION, .flags = 0, .datalen = sizeof place, .data = &place};
    if (::ioctl(device.fd(), BLKPG, &request) != 0) {
      const int error = errno;
      return base::fail_errno(
          error, "telling the kernel of partition " + std::to_string(partition.number) + " of " + disk.path);
    }
  }
  return base::ok();
}

std::optional<RootPartitions> find_root(std::span<const Disk> disks, const verity::RootHash& root_hash) {
  for (const Disk& disk : disks) {
    if (auto root = root_on(disk, root_hash)) return root;
  }
  return std::nullopt;
}

std::optional<std::string> find_var(const Disk& disk) {
  if (!disk.table) return std::nullopt;
  for (const image::Partition& partition : disk.table->partitions) {
    if (partition.type != image::partition_type::linux_generic || partition.label != "var") continue;
    if (auto device = device_of(disk, partition)) return device;
  }
  return std::nullopt;
}

const image::Partition* find_esp(const Disk& disk, const std::optional<base::Uuid>& uuid) {
  if (!disk.table) return nullptr;
  const auto found = std::ranges::find_if(disk.table->partitions, [&](const image::Partition& partition) {
    return partition.type == image::partition_type::esp && (!uuid || partition.uuid == *uuid);
  });
  return found == disk.table->partitions.end() ? nullptr : &*found;
}

Result<RootPartitions> wait_for_root(const DeviceTree& tree, const verity::RootHash& root_hash, Wanted wanted,
                                     std::chrono::nanoseconds limit, const base::Clock& clock,
                                     const std::function<void()>& before_each_look) {
  const std::chrono::nanoseconds end = clock.boot_time() + limit;
  while (true) {
    before_each_look();
    TRY(std::vector<Disk> disks, read_disks(tree));
    const auto found = find_root(disks, root_hash);
    if (found && (wanted == Wanted::root || found->signature)) return *found;
    for (Disk& disk : disks) {
      if (!disk.hidden_from_kernel) continue;
      if (const auto shown = show_to_kernel(disk); !shown) disk.trouble += "; " + shown.error().message();
    }
    if (clock.boot_time() >= end) {
      const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(limit).count();
      const std::string what = found ? "the disk " + found->disk + " has no partition with the signature of the root "
                                     : "no disk has both partitions of the root ";
      return fail(Kind::not_found,
                  what + root_hash.hex() + " after " + std::to_string(seconds) + " s; " + described(disks));
    }
    std::this_thread::sleep_for(pause_between_looks);
  }
}

}  // namespace agent::disks
