#include "agent/disks/disks.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "base/block_device.hpp"
#include "image/discoverable_partitions.hpp"
#include "tests/agent/disks/fake_disks.hpp"
#include "tests/support/matchers.hpp"

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

image::PartitionTable table_with_var(std::uint32_t sector_size) {
  return support::table_with_var(root_hash, sector_size);
}

class Disks : public testing::Test, protected support::FakeDisks {
 protected:
  std::vector<Disk> read() const {
    auto disks = disks::read_disks(tree());
    EXPECT_THAT(disks, Succeeds());
    return disks ? *disks : std::vector<Disk>();
  }
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

TEST_F(Disks, ShowTheEsp) {
  const auto table = table_with_var(512);
  add_disk("vda", table);
  add_device("vdb");
  const auto found = read();
  ASSERT_EQ(found.size(), 2U);
  const image::Partition* const esp = disks::find_esp(found[0]);
  ASSERT_NE(esp, nullptr);
  EXPECT_EQ(*esp, table.partitions[0]);
  EXPECT_EQ(disks::find_esp(found[0], table.partitions[0].uuid), esp);
  EXPECT_EQ(disks::find_esp(found[0], table.partitions[1].uuid), nullptr);
  EXPECT_EQ(disks::find_esp(found[1]), nullptr);
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
      disks::wait_for_root(tree(), other_root_hash, disks::Wanted::root, std::chrono::seconds(3), ImpatientClock()),
      FailsWith(Kind::not_found, AllOf(HasSubstr(other_root_hash.hex() + " after 3 s; seen: vda (8 partitions)"),
                                       HasSubstr("vdb (the partition table of "), HasSubstr("no GPT"))));
}

TEST_F(Disks, AreWaitedForUntilTheSignatureIsThereToo) {
  add_disk("vda", table_with_var(512));
  fs::remove_all(block("vda/vda4"));
  const auto wait = [this](disks::Wanted wanted) {
    return disks::wait_for_root(tree(), root_hash, wanted, std::chrono::seconds(3), ImpatientClock());
  };
  EXPECT_THAT(wait(disks::Wanted::root), Succeeds());
  EXPECT_THAT(wait(disks::Wanted::root_and_signature),
              FailsWith(Kind::not_found, HasSubstr("the disk vda has no partition with the signature of the root " +
                                                   root_hash.hex() + " after 3 s; seen: vda")));
}

TEST_F(Disks, AreMissedWhenThereAreNone) {
  fs::create_directories(tree().sys + "/class/block");
  EXPECT_THAT(disks::wait_for_root(tree(), root_hash, disks::Wanted::root, std::chrono::seconds(3), ImpatientClock()),
              FailsWith(Kind::not_found, HasSubstr("there is no disk at all")));
}

}  // namespace
