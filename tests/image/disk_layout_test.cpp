#include "image/disk_layout.hpp"

#include <gmock/gmock.h>

#include "image/discoverable_partitions.hpp"
#include "tests/support/matchers.hpp"

namespace {

using base::Kind;
using image::ImageIdentity;
using image::LayoutSizes;
using image::mib;
using image::Partition;
using image::Slot;
using support::FailsWith;
using support::Holds;
using testing::HasSubstr;

const verity::RootHash root_hash =
    *verity::RootHash::parse("2e534ef0107d592d1706ac38ad58596b85ef3375d360a6d669f974792df5cb5a");

ImageIdentity node() {
  return *ImageIdentity::of("node", "1.0.0");
}

TEST(DiskLayout, HasTheEspAndTwoSlotsInARow) {
  const auto layout = image::design_layout(node(), root_hash, 100 * mib);
  ASSERT_THAT(layout, support::Succeeds());
  struct {
    const char* label;
    base::Uuid type;
    std::uint64_t offset_mib;
    std::uint64_t size_mib;
    std::uint64_t flags;
  } const expected[] = {
      {"esp", image::partition_type::esp, 1, 512, 0},
      {"node_1.0.0", image::partition_type::root_x86_64, 513, 2048, 0x1000000000000000},
      {"node_1.0.0", image::partition_type::root_verity_x86_64, 2561, 17, 0x1000000000000000},
      {"node_1.0.0", image::partition_type::root_verity_signature_x86_64, 2578, 1, 0x1000000000000000},
      {"_empty", image::partition_type::root_x86_64, 2579, 2048, 0x9000000000000000},
      {"_empty", image::partition_type::root_verity_x86_64, 4627, 17, 0x9000000000000000},
      {"_empty", image::partition_type::root_verity_signature_x86_64, 4644, 1, 0x9000000000000000},
  };
  ASSERT_EQ(layout->table.partitions.size(), std::size(expected));
  for (std::size_t i = 0; i < std::size(expected); ++i) {
    const Partition& partition = layout->table.partitions[i];
    EXPECT_EQ(partition.number, i + 1);
    EXPECT_EQ(partition.label, expected[i].label);
    EXPECT_EQ(partition.type, expected[i].type);
    EXPECT_EQ(partition.offset_bytes, expected[i].offset_mib * mib);
    EXPECT_EQ(partition.size_bytes, expected[i].size_mib * mib);
    EXPECT_EQ(partition.flags, expected[i].flags);
  }
  EXPECT_EQ(layout->size_bytes, 4646 * mib);
}

TEST(DiskLayout, FindsItsSlotsAgain) {
  const auto layout = image::design_layout(node(), root_hash, 100 * mib);
  const auto slots = image::slots_of(layout->table);
  ASSERT_EQ(slots.size(), 2);
  EXPECT_EQ(slots[0].slot, Slot::a);
  EXPECT_FALSE(slots[0].is_empty());
  EXPECT_EQ(slots[0].root_hash(), root_hash);
  EXPECT_EQ(slots[1].slot, Slot::b);
  EXPECT_TRUE(slots[1].is_empty());

  image::PartitionTable changed = layout->table;
  changed.partitions[2].type = image::partition_type::linux_generic;
  changed.partitions.pop_back();
  EXPECT_THAT(image::slots_of(changed), testing::IsEmpty());
}

TEST(DiskLayout, NamesTheFilledSlotByTheRootHashAndDerivesTheRest) {
  const auto layout = image::design_layout(node(), root_hash, 100 * mib);
  // printf '%s\0' keelson-identifier-1 node 1.0.0 ROLE | sha256sum, the version and variant bits set: see
  // identifiers_test
  EXPECT_EQ(layout->table.disk_uuid.text(), "db29bf47-9848-8609-b149-dc27605b2f42");
  std::vector<std::string> uuids;
  for (const Partition& partition : layout->table.partitions) uuids.push_back(partition.uuid.text());
  EXPECT_THAT(uuids, testing::ElementsAre("019f57d4-dc99-8c32-b999-86f28b925b56",    // esp-partition
                                          "2e534ef0-107d-592d-1706-ac38ad58596b",    // root hash, first half
                                          "85ef3375-d360-a6d6-69f9-74792df5cb5a",    // and last
                                          "81ac9975-2038-8691-ba45-93656de27340",    // signature-partition
                                          "c74d0f78-3cde-8602-a2c2-b4ad88473baa",    // empty-root-partition
                                          "7152b5f5-df52-8460-af13-337583f71c51",    // empty-verity-partition
                                          "89114acb-9e1f-8509-ae2c-7cc34ce55168"));  // empty-signature-partition
}

TEST(DiskLayout, IsTheSameForTheSameImageAndFitsADiskOfItsSize) {
  for (const std::uint32_t sector_size : {512U, 4096U}) {
    const LayoutSizes sizes{.esp_bytes = 2 * mib, .root_bytes = 3 * mib, .sector_size = sector_size};
    const auto layout = image::design_layout(node(), root_hash, 3 * mib, sizes);
    ASSERT_THAT(layout, support::Succeeds());
    EXPECT_EQ(layout->table, image::design_layout(node(), root_hash, 3 * mib, sizes)->table);
    base::MemoryDevice disk(base::Bytes(layout->size_bytes));
    EXPECT_THAT(image::write_partition_table(disk, layout->table), support::Succeeds());
    EXPECT_EQ(image::read_partition_table(disk)->table, layout->table);
  }
}

TEST(DiskLayout, KeepsRoomForTheTreeOfTheWholeSlot) {
  // veritysetup format over a file of that size: superblock block + level blocks (4129 for 2 GiB), rounded up to a MiB.
  EXPECT_THAT(image::verity_partition_bytes(2048 * mib), Holds(17 * mib));
  EXPECT_THAT(image::verity_partition_bytes(mib), Holds(mib));
  EXPECT_THAT(image::verity_partition_bytes(8192 * mib), Holds(65 * mib));
}

TEST(DiskLayout, RefusesSizesThatDoNotFit) {
  struct {
    const char* what;
    std::uint64_t image_bytes;
    LayoutSizes sizes;
    const char* message;
  } const cases[] = {
      {"image larger than its slot",
       2048 * mib + 4096,
       {},
       "root image takes 2147487744 bytes, its slot has 2147483648"},
      {"no ESP", mib, {.esp_bytes = 0}, "an ESP of 0 bytes"},
      {"odd root",
       mib,
       {.root_bytes = 3 * mib + 4096},
       "a root partition of 3149824 bytes: a partition takes whole MiB"},
      {"endless root", mib, {.root_bytes = mib << 60}, "a root partition of"},
      {"root above 1 PiB", mib, {.root_bytes = (std::uint64_t{1} << 50) + mib}, "1 PiB at most"},
      {"odd signature", mib, {.signature_bytes = 4096}, "a signature partition of 4096 bytes"},
      {"sector size", mib, {.sector_size = 1024}, "sectors of 1024 bytes; 512 and 4096"},
  };
  for (const auto& one : cases) {
    EXPECT_THAT(image::design_layout(node(), root_hash, one.image_bytes, one.sizes),
                FailsWith(Kind::invalid_input, HasSubstr(one.message)))
        << one.what;
  }
}

TEST(Slot, IsEmptiedAndFilledOnDisk) {
  const LayoutSizes sizes{.esp_bytes = mib, .root_bytes = mib};
  const auto layout = image::design_layout(node(), root_hash, mib, sizes);
  base::MemoryDevice disk(base::Bytes(layout->size_bytes));
  ASSERT_THAT(image::write_partition_table(disk, layout->table), support::Succeeds());

  const auto next = *ImageIdentity::of("node", "1.0.1");
  const auto next_hash = *verity::RootHash::parse(std::string(32, 'a') + std::string(32, 'b'));
  ASSERT_THAT(image::change_partitions(disk, image::mark_filled(Slot::b, next, next_hash)), support::Succeeds());
  const auto partitions = image::read_partition_table(disk)->table.partitions;
  EXPECT_EQ(partitions[4].label, "node_1.0.1");
  EXPECT_EQ(partitions[4].uuid.text(), "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa");
  EXPECT_EQ(partitions[5].uuid.text(), "bbbbbbbb-bbbb-bbbb-bbbb-bbbbbbbbbbbb");
  EXPECT_EQ(partitions[4].flags, image::partition_flag::read_only);
  EXPECT_EQ(partitions[1].label, "node_1.0.0");

  ASSERT_THAT(image::change_partitions(disk, image::mark_empty(Slot::b, image::empty_slot_uuids(node()))),
              support::Succeeds());
  EXPECT_EQ(image::read_partition_table(disk)->table, layout->table);
}

TEST(Slot, CannotHoldTheVersionOfTheOtherOneToo) {
  const LayoutSizes sizes{.esp_bytes = mib, .root_bytes = mib};
  const auto layout = image::design_layout(node(), root_hash, mib, sizes);
  base::MemoryDevice disk(base::Bytes(layout->size_bytes));
  ASSERT_THAT(image::write_partition_table(disk, layout->table), support::Succeeds());
  EXPECT_THAT(image::change_partitions(disk, image::mark_filled(Slot::b, node(), root_hash)),
              FailsWith(Kind::invalid_input, HasSubstr("have the same UUID, 2e534ef0-107d-592d-1706-ac38ad58596b")));
}

}  // namespace
