#include "image/partition_table.hpp"

#include <algorithm>

#include <gmock/gmock.h>

#include "image/discoverable_partitions.hpp"
#include "image/gpt_format.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/power_cut_device.hpp"

namespace {

using base::Bytes;
using base::Kind;
using base::MemoryDevice;
using base::Uuid;
using image::Partition;
using image::PartitionChange;
using image::PartitionTable;
using image::TableCopies;
using support::FailsWith;
using support::Holds;
using support::Succeeds;
using testing::AllOf;
using testing::AnyOf;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;

constexpr std::uint64_t disk_bytes = std::uint64_t{512} * 1024;

Uuid uuid(char digit) {
  std::string text = "00000000-0000-4000-8000-000000000000";
  text.front() = digit;
  return *Uuid::parse(text);
}

/// Two partitions with numbers out of order of place, a gap between, a label that is not ASCII.
PartitionTable sample(std::uint32_t sector_size = 512) {
  return {.disk_uuid = uuid('d'),
          .sector_size = sector_size,
          .partitions = {{.number = 2,
                          .type = image::partition_type::root_x86_64,
                          .uuid = uuid('2'),
                          .label = "größe 𝄞",
                          .offset_bytes = 131072,
                          .size_bytes = 65536,
                          .flags = image::partition_flag::read_only | 1},
                         {.number = 5,
                          .type = image::partition_type::esp,
                          .uuid = uuid('5'),
                          .label = "esp",
                          .offset_bytes = 65536,
                          .size_bytes = 4096}}};
}

MemoryDevice blank(std::size_t bytes = disk_bytes) {
  return MemoryDevice(Bytes(bytes), "disk");
}

Bytes written(const PartitionTable& table, std::size_t bytes = disk_bytes) {
  MemoryDevice disk = blank(bytes);
  EXPECT_THAT(image::write_partition_table(disk, table), Succeeds());
  return disk.content();
}

auto read(Bytes content, std::optional<std::uint32_t> sector_size = std::nullopt) {
  return image::read_partition_table(MemoryDevice(std::move(content), "disk"), sector_size);
}

auto copies_are(TableCopies copies) {
  return Field("copies", &image::TableOnDisk::copies, copies);
}
auto table_is(const PartitionTable& table) {
  return Field("table", &image::TableOnDisk::table, table);
}

void flip(Bytes& content, std::size_t offset) {
  content.at(offset) ^= std::byte{0x10};
}

TEST(PartitionTable, IsReadAsItWasWrittenWithEitherSectorSize) {
  for (const std::uint32_t sector_size : {512U, 4096U}) {
    const Bytes content = written(sample(sector_size));
    const auto same = Holds(AllOf(table_is(sample(sector_size)), copies_are(TableCopies::agree)));
    EXPECT_THAT(read(content), same);
    EXPECT_THAT(read(content, sector_size), same);
    EXPECT_THAT(read(content, 4608 - sector_size), FailsWith(Kind::not_found, HasSubstr("disk: there is no GPT")));
  }
}

TEST(PartitionTable, HasTheSameBytesEachTime) {
  EXPECT_EQ(written(sample()), written(sample()));
  EXPECT_EQ(written(sample(4096)), written(sample(4096)));
}

TEST(PartitionTable, LeavesNothingOfAnOlderOneWithTheOtherSectorSize) {
  for (const auto& [first, second] : {std::pair(512U, 4096U), {4096U, 512U}}) {
    MemoryDevice disk(written(sample(first)), "disk");
    EXPECT_THAT(image::write_partition_table(disk, sample(second)), Succeeds());
    EXPECT_THAT(image::read_partition_table(disk), Holds(table_is(sample(second))));
    EXPECT_THAT(image::read_partition_table(disk, first), FailsWith(Kind::not_found, HasSubstr("no GPT")));
  }
}

TEST(PartitionTable, StoresUuidsWithTheFirstThreeGroupsTurnedRound) {
  PartitionTable table = sample();
  table.disk_uuid = *Uuid::parse("00112233-4455-6677-8899-aabbccddeeff");
  const Bytes content = written(table);
  EXPECT_EQ(base::to_hex(base::ByteView(content).subspan(512 + 56, 16)), "33221100554477668899aabbccddeeff");
}

TEST(PartitionTable, SurvivesAnyFlippedByteInOneCopy) {
  const PartitionTable table = sample();
  const Bytes content = written(table);
  const std::size_t entries = std::size_t{128} * 128;
  struct {
    std::size_t header, array;
    TableCopies expected;
  } const copies[] = {{512, 1024, TableCopies::primary_damaged},
                      {disk_bytes - 512, disk_bytes - 512 - entries, TableCopies::backup_damaged}};
  for (const auto& copy : copies) {
    for (std::size_t i = 0; i < 92 + entries; i += i < 700 ? 1 : 127) {
      Bytes damaged = content;
      flip(damaged, i < 92 ? copy.header + i : copy.array + i - 92);
      EXPECT_THAT(read(damaged), Holds(AllOf(table_is(table), copies_are(copy.expected)))) << i;
    }
  }
}

TEST(PartitionTable, SaysWhatIsWrongWithTheDamagedCopy) {
  Bytes content = written(sample());
  flip(content, 1024);
  EXPECT_THAT(read(content)->damage, HasSubstr("checksum over its entries"));
  flip(content, 512 + 60);
  EXPECT_THAT(read(content)->damage, HasSubstr("header's checksum"));
  flip(content, disk_bytes - 512);
  EXPECT_THAT(read(content),
              FailsWith(Kind::corrupt, AllOf(HasSubstr("disk: with sectors of 512 bytes: primary: the "
                                                       "header's checksum is wrong; backup: no header"))));
}

TEST(PartitionTable, IsAbsentFromADiskWithoutTraces) {
  EXPECT_THAT(read(Bytes(disk_bytes)), FailsWith(Kind::not_found, HasSubstr("no GPT")));
  EXPECT_THAT(read(Bytes(100)), FailsWith(Kind::not_found, HasSubstr("no GPT")));
  EXPECT_THAT(read({}), FailsWith(Kind::not_found, HasSubstr("no GPT")));
}

TEST(PartitionTable, DoesNotCountWithoutItsProtectiveMbr) {
  Bytes content = written(sample());
  content[446 + 4] = std::byte{0x83};
  EXPECT_THAT(read(content), FailsWith(Kind::corrupt, HasSubstr("no protective MBR")));
}

TEST(PartitionTable, OfADiskThatWasCutShortIsCorrupt) {
  Bytes content = written(sample());
  content.resize(disk_bytes / 2);
  EXPECT_THAT(read(content), FailsWith(Kind::corrupt, HasSubstr("be used; the disk has 512")));
}

TEST(PartitionTable, OfADiskThatGrewIsReadWithTheBackupWhereItWas) {
  Bytes content = written(sample());
  content.resize(2 * disk_bytes);
  EXPECT_THAT(read(content), Holds(AllOf(table_is(sample()), copies_are(TableCopies::agree))));
}

/// A header with one lie and right checksums, alone on the disk.
auto read_with(void (*lie)(image::gpt::Header&), void (*entry_lie)(Bytes&) = [](Bytes&) {}) {
  Bytes content = written(sample());
  const base::MutableByteView disk(content);
  std::ranges::fill(disk.last(512), std::byte{0});
  Bytes entries(content.begin() + 1024, content.begin() + 1024 + 128 * 128);
  entry_lie(entries);
  std::ranges::copy(entries, content.begin() + 1024);
  auto header = *image::gpt::decode_header(disk.subspan(512, 512));
  header.entries_checksum = image::gpt::crc32(entries);
  lie(header);
  std::ranges::copy(image::gpt::encode_header(header), content.begin() + 512);
  return read(std::move(content));
}

TEST(PartitionTable, IsNotBelievedBecauseItsChecksumsAreRight) {
  using image::gpt::Header;
  constexpr auto no_lie = [](Header&) {};
  struct {
    const char* what;
    void (*header)(Header&);
    void (*entries)(Bytes&);
    Kind kind;
    const char* message;
  } const cases[] = {
      {"another sector's header", [](Header& h) { h.own_lba = 2; }, nullptr, Kind::corrupt, "sector 1 and claims 2"},
      {"no entries", [](Header& h) { h.entry_count = 0; }, nullptr, Kind::corrupt, "table of no entries"},
      {"too many entries", [](Header& h) { h.entry_count = 0xffffffff; }, nullptr, Kind::unsupported,
       "4294967295 entries; 1024"},
      {"more entries than room", [](Header& h) { h.entry_count = 1024; }, nullptr, Kind::corrupt, "cannot lie"},
      {"entries in the MBR", [](Header& h) { h.entries_lba = 0; }, nullptr, Kind::corrupt, "at sector 0, where they"},
      {"entries in the partitions", [](Header& h) { h.entries_lba = 200; }, nullptr, Kind::corrupt, "cannot lie"},
      {"entries behind all numbers", [](Header& h) { h.entries_lba = ~0ULL; }, nullptr, Kind::corrupt, "cannot lie"},
      {"usable sectors beyond the disk", [](Header& h) { h.last_usable_lba = 1024; }, nullptr, Kind::corrupt,
       "34 to 1024 be used; the disk has 1024"},
      {"no usable sectors", [](Header& h) { h.first_usable_lba = 1000; }, nullptr, Kind::corrupt, "be used"},
      {"a partition beyond", no_lie, [](Bytes& e) { base::store_le(&e[128 + 40], ~std::uint64_t{0}); }, Kind::corrupt,
       "partition 2 (\"gr\?\?\?\?e \?\?\?\?\") takes sectors 256 to 18446744073709551615"},
      {"a partition of no sectors", no_lie, [](Bytes& e) { base::store_le(&e[128 + 40], std::uint64_t{255}); },
       Kind::corrupt, "ends before it begins"},
      {"overlap", no_lie, [](Bytes& e) { base::store_le(&e[512 + 40], std::uint64_t{256}); }, Kind::corrupt,
       "overlaps partition 5 (\"esp\")"},
  };
  for (const auto& one : cases) {
    const auto result = one.entries != nullptr ? read_with(one.header, one.entries) : read_with(one.header);
    EXPECT_THAT(result, FailsWith(one.kind, HasSubstr(one.message))) << one.what;
  }
  EXPECT_THAT(read_with(no_lie), Holds(copies_are(TableCopies::backup_damaged)));
}

TEST(PartitionTable, RefusesToWriteWhatWouldNotRead) {
  struct {
    const char* what;
    void (*spoil)(PartitionTable&);
    Kind kind;
    const char* message;
  } const cases[] = {
      {"sector size", [](PartitionTable& t) { t.sector_size = 2048; }, Kind::invalid_input,
       "sectors of 2048 bytes; 512"},
      {"label too long", [](PartitionTable& t) { t.partitions[0].label = std::string(37, 'x'); }, Kind::invalid_input,
       "has 37 UTF-16 units; 36"},
      {"label too long in pairs",
       [](PartitionTable& t) {
         t.partitions[0].label.clear();
         for (int i = 0; i < 19; ++i) t.partitions[0].label += "𝄞";
       },
       Kind::invalid_input, "has 38 UTF-16 units"},
      {"label no UTF-8", [](PartitionTable& t) { t.partitions[0].label = "a\xc0\xaf"; }, Kind::invalid_input,
       "partition 2: the label: byte 2 of the text is no UTF-8"},
      {"label with an escape", [](PartitionTable& t) { t.partitions[0].label = "\x1b[2J"; }, Kind::invalid_input,
       "control characters"},
      {"overlap", [](PartitionTable& t) { t.partitions[1].size_bytes = 65536 + 512; }, Kind::invalid_input,
       "overlaps partition 5 (\"esp\")"},
      {"beyond the disk", [](PartitionTable& t) { t.partitions[0].size_bytes = disk_bytes; }, Kind::invalid_input,
       "takes sectors 256 to 1279; those that may be used are 34 to 990"},
      {"over the backup", [](PartitionTable& t) { t.partitions[0].size_bytes = disk_bytes - 131072; },
       Kind::invalid_input, "256 to 1023; those that may be used are 34 to 990"},
      {"over the primary", [](PartitionTable& t) { t.partitions[1].offset_bytes = 16896; }, Kind::invalid_input,
       "takes sectors 33 to 40"},
      {"between sectors", [](PartitionTable& t) { t.partitions[1].offset_bytes += 256; }, Kind::invalid_input,
       "must be whole sectors of 512 bytes"},
      {"no bytes", [](PartitionTable& t) { t.partitions[1].size_bytes = 0; }, Kind::invalid_input, "it has no bytes"},
      {"no type", [](PartitionTable& t) { t.partitions[1].type = {}; }, Kind::invalid_input, "zero UUID, which marks"},
      {"no UUID", [](PartitionTable& t) { t.partitions[1].uuid = {}; }, Kind::invalid_input, "has the zero UUID"},
      {"UUID twice", [](PartitionTable& t) { t.partitions[1].uuid = t.partitions[0].uuid; }, Kind::invalid_input,
       "have the same UUID, 20000000-0000-4000-8000-000000000000"},
      {"number 0", [](PartitionTable& t) { t.partitions[1].number = 0; }, Kind::invalid_input, "must be 1 to 128"},
      {"number 129", [](PartitionTable& t) { t.partitions[1].number = 129; }, Kind::invalid_input, "must be 1 to 128"},
      {"number twice", [](PartitionTable& t) { t.partitions[1].number = 2; }, Kind::invalid_input, "used twice"},
  };
  for (const auto& one : cases) {
    PartitionTable table = sample();
    one.spoil(table);
    MemoryDevice disk = blank();
    EXPECT_THAT(image::write_partition_table(disk, table), FailsWith(one.kind, HasSubstr(one.message))) << one.what;
    EXPECT_EQ(disk.content(), Bytes(disk_bytes)) << one.what;
  }
}

TEST(PartitionTable, NeedsRoomForBothCopies) {
  const PartitionTable empty{.disk_uuid = uuid('d')};
  MemoryDevice too_small = blank(std::size_t{67} * 512);
  EXPECT_THAT(image::write_partition_table(too_small, empty),
              FailsWith(Kind::no_space, HasSubstr("has 67 sectors of 512 bytes; a partition table needs 68")));
  EXPECT_THAT(read(written(empty, std::size_t{68} * 512)), Holds(table_is(empty)));
}

// --- Changing ---

const std::vector<PartitionChange> changes = {{.number = 2, .uuid = uuid('a'), .label = "_empty"},
                                              {.number = 5, .flags = image::partition_flag::no_auto}};

PartitionTable changed(PartitionTable table) {
  table.partitions[0].uuid = uuid('a');
  table.partitions[0].label = "_empty";
  table.partitions[1].flags = image::partition_flag::no_auto;
  return table;
}

TEST(ChangePartitions, ChangesWhatIsAskedInBothCopies) {
  for (const std::uint32_t sector_size : {512U, 4096U}) {
    MemoryDevice disk(written(sample(sector_size)));
    ASSERT_THAT(image::change_partitions(disk, changes), Succeeds());
    EXPECT_EQ(disk.content(), written(changed(sample(sector_size))));
  }
}

TEST(ChangePartitions, LeavesOldTableOrNewWhereverPowerIsLost) {
  Bytes healthy = written(sample());
  Bytes without_primary = healthy;
  flip(without_primary, 1024);
  Bytes without_backup = healthy;
  flip(without_backup, disk_bytes - 512);
  Bytes grown = healthy;
  grown.resize(2 * disk_bytes);
  for (const Bytes& before : {healthy, without_primary, without_backup, grown}) {
    support::PowerCutDevice whole(before);
    ASSERT_THAT(image::change_partitions(whole, changes), Succeeds());
    EXPECT_THAT(read(whole.after_the_cut()), Holds(AllOf(table_is(changed(sample())), copies_are(TableCopies::agree))));
    for (std::size_t cut = 0; cut < whole.writes(); ++cut) {
      for (const auto unflushed : {support::Unflushed::kept, support::Unflushed::lost}) {
        SCOPED_TRACE("power lost at write " + std::to_string(cut));
        support::PowerCutDevice disk(before, cut, unflushed);
        EXPECT_THAT(image::change_partitions(disk, changes), FailsWith(Kind::io, HasSubstr("no power")));
        EXPECT_THAT(read(disk.after_the_cut()), Holds(AnyOf(table_is(sample()), table_is(changed(sample())))));
        MemoryDevice again(disk.after_the_cut());
        EXPECT_THAT(image::change_partitions(again, changes), Succeeds());
        EXPECT_THAT(image::read_partition_table(again),
                    Holds(AllOf(table_is(changed(sample())), copies_are(TableCopies::agree))));
      }
    }
  }
}

TEST(ChangePartitions, MovesTheBackupToTheEndOfADiskThatGrew) {
  Bytes grown = written(sample());
  grown.resize(2 * disk_bytes);
  MemoryDevice disk(grown);
  ASSERT_THAT(image::change_partitions(disk, changes), Succeeds());
  Bytes content = disk.content();
  flip(content, 512);
  EXPECT_THAT(read(content), Holds(AllOf(table_is(changed(sample())), copies_are(TableCopies::primary_damaged))));
}

TEST(ChangePartitions, RefusesAndThenChangesNothing) {
  struct {
    const char* what;
    PartitionChange change;
    Kind kind;
    const char* message;
  } const cases[] = {
      {"unused number", {.number = 3, .label = "x"}, Kind::not_found, "there is no partition 3"},
      {"number 0", {.number = 0, .label = "x"}, Kind::not_found, "there is no partition 0"},
      {"number behind the table", {.number = 129, .label = "x"}, Kind::not_found, "there is no partition 129"},
      {"label", {.number = 5, .label = std::string(37, 'x')}, Kind::invalid_input, "partition 5: the label"},
      {"zero UUID", {.number = 5, .uuid = Uuid{}}, Kind::invalid_input, "has the zero UUID"},
      {"the running version once more", {.number = 5, .uuid = uuid('2')}, Kind::invalid_input, "have the same UUID"},
  };
  for (const auto& one : cases) {
    MemoryDevice disk(written(sample()), "disk");
    const std::vector<PartitionChange> both = {{.number = 2, .label = "fine"}, one.change};
    EXPECT_THAT(image::change_partitions(disk, both),
                FailsWith(one.kind, AllOf(HasSubstr("changing the partition table of disk"), HasSubstr(one.message))))
        << one.what;
    EXPECT_EQ(disk.content(), written(sample())) << one.what;
  }
}

TEST(ChangePartitions, LetsTwoPartitionsSwapTheirUuids) {
  MemoryDevice disk(written(sample()));
  const std::vector<PartitionChange> swap = {{.number = 2, .uuid = uuid('5')}, {.number = 5, .uuid = uuid('2')}};
  EXPECT_THAT(image::change_partitions(disk, swap), Succeeds());
  EXPECT_EQ(image::read_partition_table(disk)->table.partitions[0].uuid, uuid('5'));
}

}  // namespace
