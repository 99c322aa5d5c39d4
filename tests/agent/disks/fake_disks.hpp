#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include <gmock/gmock.h>

#include "agent/disks/disks.hpp"
#include "base/block_device.hpp"
#include "image/discoverable_partitions.hpp"
#include "image/disk_layout.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/temporary_directory.hpp"

namespace support {

/// A disk of ours (node 1.0.0) with a `var` behind the slots.
inline image::PartitionTable table_with_var(const verity::RootHash& root_hash, std::uint32_t sector_size = 512) {
  auto layout = image::design_layout(*image::ImageIdentity::of("node", "1.0.0"), root_hash, image::mib,
                                     {.root_bytes = 8 * image::mib, .sector_size = sector_size});
  EXPECT_THAT(layout, Succeeds());
  const image::Partition& last = layout->table.partitions.back();
  layout->table.partitions.push_back({.number = 8,
                                      .type = image::partition_type::linux_generic,
                                      .uuid = *base::Uuid::parse("6d3b8c11-2f50-4d62-9a58-0f3a9d6b1c2e"),
                                      .label = "var",
                                      .offset_bytes = last.offset_bytes + last.size_bytes,
                                      .size_bytes = image::mib});
  return std::move(layout->table);
}

/// What the kernel would show of some disks.
class FakeDisks {
 public:
  FakeDisks() { std::filesystem::create_directories(tree_.dev); }

  const agent::disks::DeviceTree& tree() const { return tree_; }
  std::string block(const std::string& name) const { return tree_.sys + "/class/block/" + name; }
  std::string dev(const std::string& name) const { return tree_.dev + "/" + name; }

  void add_device(const std::string& name) const {
    std::filesystem::create_directories(block(name));
    directory_.write("dev/" + name, "");
    std::filesystem::resize_file(dev(name), 600 * image::mib);
  }
  void add_disk(const std::string& name, const image::PartitionTable& table, const std::string& separator = "") const {
    add_device(name);
    std::filesystem::create_directories(block(name) + "/queue");
    directory_.write("sys/class/block/" + name + "/queue/logical_block_size", std::to_string(table.sector_size) + "\n");
    auto device = base::FileDevice::open(dev(name), base::Access::read_write);
    ASSERT_THAT(device, Succeeds());
    ASSERT_THAT(image::write_partition_table(**device, table), Succeeds());
    for (const image::Partition& partition : table.partitions) {
      const std::string own = name + separator + std::to_string(partition.number);
      for (const std::string& place : {name + "/" + own, own}) {
        std::filesystem::create_directories(block(place));
        directory_.write("sys/class/block/" + place + "/partition", std::to_string(partition.number) + "\n");
      }
    }
  }

 private:
  TemporaryDirectory directory_;
  agent::disks::DeviceTree tree_{.sys = directory_.path("sys"), .dev = directory_.path("dev")};
};

}  // namespace support
