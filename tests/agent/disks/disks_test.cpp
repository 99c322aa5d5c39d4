#include "agent/disks/disks.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "base/block_device.hpp"
#include "image/discoverable_partitions.hpp"
#include "image/disk_layout.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

namespace fs = std::filesystem;
namespace disks = agent::disks;
using base::Kind;
using disks::Disk;
using support::FailsWith;
using support::Succeeds;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Optional;
using testing::SizeIs;

const verity::RootHash root_hash =
    *verity::RootHash::parse("2e534ef0107d592d1706ac38ad58596b85ef3375d360a6d669f974792df5cb5a");
const verity::RootHash other_root_hash =
    *verity::RootHash::parse("53b3a2b0107d592d1706ac38ad58596b85ef3375d360a6d669f974792df5cb5b");

/// A disk of ours with a `var` behind the slots.
image::PartitionTable table_with_var(std::uint32_t sector_size) {
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
class Disks : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(tree_.dev); }

  std::string block(const std::string& name) const { return tree_.sys + "/class/block/" + name; }

  void add_device(const std::string& name) const {
    fs::create_directories(block(name));
    directory_.write("dev/" + name, "");
    fs::resize_file(tree_.dev + "/" + name, 600 * image::mib);
  }
  void add_disk(const std::string& name, const image::PartitionTable& table, const std::string& separator = "") const {
    add_device(name);
    fs::create_directories(block(name) + "/queue");
    directory_.write("sys/class/block/" + name + "/queue/logical_block_size", std::to_string(table.sector_size) + "\n");
    auto device = base::FileDevice::open(tree_.dev + "/" + name, base::Access::read_write);
    ASSERT_THAT(device, Succeeds());
    ASSERT_THAT(image::write_partition_table(**device, table), Succeeds());
    for (const image::Partition& partition : table.partitions) {
      const std::string own = name + separator + std::to_string(partition.number);
      for (const std::string& place : {name + "/" + own, own}) {
        fs::create_directories(block(place));
        directory_.write("sys/class/block/" + place + "/partition", std::to_string(partition.number) + "\n");
      }
    }
  }
  std::string dev(const std::string& name) const { return tree_.dev + "/" + name; }
  std::vector<Disk> read() const {
    auto disks = disks::read_disks(tree_);
    EXPECT_THAT(disks, Succeeds());
    return disks ? *disks : std::vector<Disk>();
  }

  support::TemporaryDirectory directory_;
  disks::DeviceTree tree_{.sys = directory_.path("sys"), .dev = directory_.path("dev")};
};

TEST_F(Disks, ShowTheRootsPartitionsAndVarWhateverTheSizeOfTheirSectors) {
  add_disk("nvme0n1", table_with_var(4096), "p");
  const auto disks = read();
  ASSERT_EQ(disks.size(), 1U);
  const auto root = disks::find_root(disks, root_hash);
  ASSERT_TRUE(root);
  EXPECT_EQ(root->disk, "nvme0n1");
  EXPECT_EQ(root->data, dev("nvme0n1p2"));
  EXPECT_EQ(root->hash, dev("nvme0n1p3"));
  EXPECT_THAT(disks::find_var(disks[0]), Optional(dev("nvme0n1p8")));
  EXPECT_FALSE(disks::find_root(disks, other_root_hash));
}

TEST_F(Disks, ShowTheSignatureOfTheRootsOwnSlot) {
  auto table = table_with_var(512);
  add_disk("vda", table);
  table.partitions[3].label = "node_0.9.0";
  add_disk("vdb", table);
  const auto found = disks::find_root(read(), root_hash);
  ASSERT_TRUE(found);
  EXPECT_THAT(found->signature, Optional(dev("vda4")));
  fs::remove_all(block("vda"));
  const auto other = disks::find_root(read(), root_hash);
  ASSERT_TRUE(other);
  EXPECT_EQ(other->disk, "vdb");
  EXPECT_EQ(other->signature, std::nullopt);
}

TEST_F(Disks, AreTakenByNameAndOnlyWhole) {
  auto halved = table_with_var(512);
  halved.partitions.erase(halved.partitions.begin() + 2);  // without a hash tree
  add_disk("sda", halved);
  add_disk("vda", table_with_var(512));
  add_disk("vdb", table_with_var(512));
  const auto disks = read();
  ASSERT_EQ(disks.size(), 3U);
  const auto root = disks::find_root(disks, root_hash);
  ASSERT_TRUE(root);
  EXPECT_EQ(root->disk, "vda");
}

TEST_F(Disks, AreNeitherPartitionsNorLoopDevicesNorDrivesThatAreGone) {
  add_disk("vda", table_with_var(512));
  for (const char* name : {"loop0", "ram0", "dm-0", "zram0", "md0", "nbd0"}) add_device(name);
  fs::create_directories(block("sr0"));
  std::vector<std::string> names;
  for (const Disk& disk : read()) names.push_back(disk.name);
  EXPECT_THAT(names, ElementsAre("sr0", "vda"));
}

TEST_F(Disks, HaveNoRootBeforeTheKernelHasMadeItsDevices) {
  add_disk("vda", table_with_var(512));
  fs::remove_all(block("vda/vda3"));
  EXPECT_FALSE(disks::find_root(read(), root_hash));
}

TEST_F(Disks, HaveAVarOnlyByTypeAndLabelTogether) {
  auto table = table_with_var(512);
  table.partitions.back().label = "data";
  add_disk("vda", table);
  table.partitions.back().label = "var";
  table.partitions.back().type = image::partition_type::var;  // UAPI.2's own wants a UUID made from the machine id
  add_disk("vdb", table);
  for (const Disk& disk : read()) EXPECT_EQ(disks::find_var(disk), std::nullopt) << disk.name;
}

TEST_F(Disks, AreReadFromTheSecondCopyOfATableToo) {
  add_disk("vda", table_with_var(512));
  auto device = base::FileDevice::open(dev("vda"), base::Access::read_write);
  ASSERT_THAT(device, Succeeds());
  ASSERT_THAT((*device)->write(512, base::Bytes(512)), Succeeds());
  const auto disks = read();
  ASSERT_EQ(disks.size(), 1U);
  EXPECT_TRUE(disks[0].hidden_from_kernel);
  EXPECT_THAT(disks[0].table->partitions, SizeIs(8));
}

/// Time goes on by a second whenever somebody looks.
class ImpatientClock final : public base::Clock {
 public:
  std::chrono::system_clock::time_point wall_time() const override { return {}; }
  std::chrono::nanoseconds boot_time() const override { return now_ += std::chrono::seconds(1); }

 private:
  mutable std::chrono::nanoseconds now_{0};
};

TEST_F(Disks, AreAllNamedWhenTheRootIsOnNone) {
  add_disk("vda", table_with_var(512));
  add_device("vdb");
  EXPECT_THAT(
      disks::wait_for_root(tree_, other_root_hash, disks::Wanted::root, std::chrono::seconds(3), ImpatientClock()),
      FailsWith(Kind::not_found, AllOf(HasSubstr(other_root_hash.hex() + " after 3 s; seen: vda (8 partitions)"),
                                       HasSubstr("vdb (the partition table of "), HasSubstr("no GPT"))));
}

TEST_F(Disks, AreWaitedForUntilTheSignatureIsThereToo) {
  add_disk("vda", table_with_var(512));
  fs::remove_all(block("vda/vda4"));
  const auto wait = [this](disks::Wanted wanted) {
    return disks::wait_for_root(tree_, root_hash, wanted, std::chrono::seconds(3), ImpatientClock());
  };
  EXPECT_THAT(wait(disks::Wanted::root), Succeeds());
  EXPECT_THAT(wait(disks::Wanted::root_and_signature),
              FailsWith(Kind::not_found, HasSubstr("the disk vda has no partition with the signature of the root " +
                                                   root_hash.hex() + " after 3 s; seen: vda")));
}

TEST_F(Disks, AreMissedWhenThereAreNone) {
  fs::create_directories(tree_.sys + "/class/block");
  EXPECT_THAT(disks::wait_for_root(tree_, root_hash, disks::Wanted::root, std::chrono::seconds(3), ImpatientClock()),
              FailsWith(Kind::not_found, HasSubstr("there is no disk at all")));
}

}  // namespace
