#include "verity/repair.hpp"

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/file.hpp"
#include "base/subprocess.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/pattern.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

using base::Bytes;
using base::Kind;
using base::MemoryDevice;
using support::FailsWith;
using support::pattern;
using support::Succeeds;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using verity::BadBlock;
using verity::FecLayout;
using verity::Geometry;
using verity::RepairMode;
using verity::RepairReport;

/// Memory that knows what was written and flushed.
class WatchedDevice final : public base::BlockDevice {
 public:
  WatchedDevice(Bytes content, std::string name) : memory_(std::move(content), std::move(name)) {}

  const std::string& name() const override { return memory_.name(); }
  std::uint64_t size_bytes() const override { return memory_.size_bytes(); }
  base::Result<> read(std::uint64_t offset, base::MutableByteView into) const override {
    return memory_.read(offset, into);
  }
  base::Result<> write(std::uint64_t offset, base::ByteView from) override {
    if (broken) return base::fail(Kind::io, "writing to " + name() + ": bad sector");
    ++writes;
    flushed = false;
    return forgetful ? base::ok() : memory_.write(offset, from);
  }
  base::Result<> flush() override {
    flushed = true;
    return base::ok();
  }
  const Bytes& content() const { return memory_.content(); }

  std::atomic<int> writes = 0;  // the tree is built by several threads
  std::atomic<bool> flushed = true;
  bool forgetful = false;
  bool broken = false;

 private:
  MemoryDevice memory_;
};

/// Data, a tree behind one block for the superblock, `extra` blocks behind the tree, and the parity of all that.
struct Image {
  explicit Image(std::uint64_t data_blocks, unsigned roots = 2, std::uint32_t block_size = 4096,
                 std::uint64_t extra = 0)
      : layout(layout_of(data_blocks, roots, block_size, extra)),
        data(pattern(data_blocks * block_size, data_blocks), "the-data"),
        hash(pattern(std::max<std::uint64_t>(layout.metadata_end(), block_size), 7), "the-tree"),
        fec(Bytes(layout.parity_bytes()), "the-parity") {
    root = verity::build_hash_tree(data, layout.geometry(), hash, block_size).value();
    EXPECT_THAT(verity::encode_fec(data, hash, layout, fec), Succeeds());
    good_data = data.content();
    good_hash = hash.content();
    hash.writes = 0;
  }

  static FecLayout layout_of(std::uint64_t data_blocks, unsigned roots, std::uint32_t block_size, std::uint64_t extra) {
    const Geometry geometry =
        Geometry::of({.data_block_size = block_size, .hash_block_size = block_size, .salt = pattern(32)}, data_blocks)
            .value();
    const std::uint64_t end = (1 + geometry.tree_blocks() + extra) * block_size;
    return FecLayout::of(geometry, block_size, end, {.roots = roots}).value();
  }

  /// Other bytes in place of `count` blocks from `first` on, counted as FEC does: data, tree, what follows.
  void lose(std::uint64_t first, std::uint64_t count = 1) {
    const std::uint64_t data_blocks = layout.geometry().data_blocks();
    for (std::uint64_t block = first; block < first + count; ++block) {
      const bool in_data = block < data_blocks;
      const std::uint64_t offset = in_data ? block * size() : layout.tree_offset() + (block - data_blocks) * size();
      spoil(in_data ? data : hash, offset, size());
    }
  }
  static void spoil(base::BlockDevice& device, std::uint64_t offset, std::size_t count) {
    Bytes bytes(count);
    EXPECT_THAT(device.read(offset, bytes), Succeeds());
    for (std::byte& byte : bytes) byte ^= std::byte{0xa5};
    EXPECT_THAT(device.write(offset, bytes), Succeeds());
  }

  RepairReport repair(RepairMode mode = RepairMode::write) {
    data.writes = 0;
    hash.writes = 0;
    return verity::repair(data, hash, layout, root, fec, mode).value();
  }
  bool whole() const { return data.content() == good_data && hash.content() == good_hash; }
  std::uint32_t size() const { return layout.block_size(); }

  FecLayout layout;
  WatchedDevice data;
  WatchedDevice hash;
  MemoryDevice fec;
  verity::RootHash root;
  Bytes good_data;
  Bytes good_hash;
};

TEST(Repair, WritesNothingWhereAllIsGood) {
  Image image(1000);
  const RepairReport report = image.repair();
  EXPECT_THAT(report.repaired, IsEmpty());
  EXPECT_TRUE(report.remaining.intact());
  EXPECT_EQ(image.data.writes + image.hash.writes, 0);
}

TEST(Repair, PutsADataBlockRightAndFlushes) {
  Image image(1000);
  image.lose(17);
  const RepairReport report = image.repair();
  EXPECT_THAT(report.repaired, ElementsAre(BadBlock{BadBlock::Area::data, 17, 17 * 4096, 0}));
  EXPECT_TRUE(report.remaining.intact());
  EXPECT_TRUE(image.whole());
  EXPECT_EQ(image.data.writes, 1);
  EXPECT_TRUE(image.data.flushed);
  EXPECT_EQ(image.hash.writes, 0);
}

TEST(Repair, BearsEveryLossThatTheParityCovers) {
  const struct {
    const char* label;
    std::uint64_t data_blocks;
    unsigned roots;
    std::uint64_t first;  // covered block
    std::uint64_t count;
  } losses[] = {
      {"the only block", 1, 2, 0, 1},
      {"the last data block, the tree's top and more of it", 1000, 2, 999, 5},
      {"the whole tree: 8 blocks and 1", 1000, 3, 1000, 9},
      {"as many neighbours as roots allow", 1000, 2, 300, 8},
      {"as many neighbours as 24 roots allow", 1000, 24, 300, 24 * 5},
      {"a tree of three levels and the data before it", 16500, 3, 16500 - 60, 60 + 131},
  };
  for (const auto& [label, data_blocks, roots, first, count] : losses) {
    SCOPED_TRACE(label);
    Image image(data_blocks, roots);
    image.lose(first, count);
    const RepairReport report = image.repair();
    EXPECT_THAT(report.repaired, SizeIs(count));
    EXPECT_TRUE(std::ranges::is_sorted(report.repaired));
    EXPECT_TRUE(report.remaining.intact());
    EXPECT_TRUE(image.whole());
  }
}

TEST(Repair, RepairsATreeBlockToFindTheBadDataBelowIt) {
  Image image(1000);
  image.lose(1000);  // the top: nothing below it can be judged
  image.lose(1003);  // one of the eight of level 0
  image.lose(301);   // below another
  const RepairReport report = image.repair();
  EXPECT_THAT(report.repaired,
              ElementsAre(BadBlock{BadBlock::Area::tree, 0, 4096, 1}, BadBlock{BadBlock::Area::tree, 3, 4 * 4096, 0},
                          BadBlock{BadBlock::Area::data, 301, 301 * 4096, 0}));
  EXPECT_TRUE(image.whole());
}

TEST(Repair, LeavesWhatItCannotRepairAsItWas) {
  Image image(1000);
  image.lose(100, 9);  // 4 rounds of 2 roots: 8 blocks at most; blocks 100, 104 and 108 share their codewords
  const RepairReport report = image.repair();
  EXPECT_THAT(report.repaired, SizeIs(6));
  EXPECT_THAT(report.remaining.bad_blocks, ElementsAre(BadBlock{BadBlock::Area::data, 100, 100 * 4096, 0},
                                                       BadBlock{BadBlock::Area::data, 104, 104 * 4096, 0},
                                                       BadBlock{BadBlock::Area::data, 108, 108 * 4096, 0}));
  EXPECT_EQ(image.data.writes, 6);
  Image::spoil(image.data, 100 * 4096, 4096);  // what was spoilt twice is as it was
  Image::spoil(image.data, 104 * 4096, 4096);
  Image::spoil(image.data, 108 * 4096, 4096);
  EXPECT_TRUE(image.whole());
}

TEST(Repair, FindsSmallErrorsInMoreBlocksThanItCouldDoWithout) {
  Image image(1000);
  for (unsigned i = 0; i < 6; ++i) Image::spoil(image.data, (100 + 4 * i) * 4096 + 50 * i, 50);  // different codewords
  EXPECT_THAT(image.repair().repaired, SizeIs(6));
  EXPECT_TRUE(image.whole());
}

TEST(Repair, BearsDamageThatNothingTellsItOf) {
  // There are 5 rounds, so block 1020, of those from 1009 on that follow the tree, shares its codewords with block 100.
  const auto damage_behind_the_tree = [](Image& image) { image.lose(1020); };
  const auto damaged_parity = [](Image& image) { Image::spoil(image.fec, 0, 1); };
  for (const std::function<void(Image&)>& damage : {std::function(damage_behind_the_tree), {damaged_parity}}) {
    Image image(1000, 3, 4096, 20);
    image.lose(100);
    damage(image);
    EXPECT_THAT(image.repair().repaired, SizeIs(1));
    EXPECT_EQ(image.data.content(), image.good_data);
  }
}

TEST(Repair, ReachesBlocksThatTheReportHasNoRoomFor) {
  Image image(140000, 2, 512);
  const std::uint64_t reach = 2 * image.layout.rounds();
  ASSERT_GT(reach, verity::VerifyReport::max_listed);
  image.lose(5000, reach);
  const RepairReport report = image.repair();
  EXPECT_THAT(report.repaired, SizeIs(reach));
  EXPECT_TRUE(report.remaining.intact());
  EXPECT_TRUE(image.whole());
}

TEST(Repair, DryRunSaysTheSameAndWritesNothing) {
  Image image(1000);
  image.lose(1000);                                                   // the top
  for (const unsigned block : {102U, 103U}) image.lose(block);        // a round each
  for (const unsigned block : {101U, 105U, 109U}) image.lose(block);  // too many for theirs
  const Bytes data = image.data.content();
  const Bytes hash = image.hash.content();
  const RepairReport dry = image.repair(RepairMode::dry_run);
  EXPECT_EQ(image.data.writes + image.hash.writes, 0);
  EXPECT_EQ(image.data.content(), data);
  EXPECT_EQ(image.hash.content(), hash);

  const RepairReport real = image.repair();
  EXPECT_THAT(real.repaired, SizeIs(3));
  EXPECT_THAT(real.remaining.bad_blocks, SizeIs(3));
  EXPECT_EQ(dry.repaired, real.repaired);
  EXPECT_EQ(dry.remaining.bad_blocks, real.remaining.bad_blocks);
}

TEST(Repair, EndsOnADeviceThatForgetsWhatIsWritten) {
  Image image(1000);
  image.lose(17);
  image.data.forgetful = true;
  const RepairReport report = image.repair();
  EXPECT_THAT(report.repaired, SizeIs(1));
  EXPECT_THAT(report.remaining.bad_blocks, SizeIs(1));
}

TEST(Repair, EndsWithTheFailureToWriteAndNamesTheBlock) {
  Image image(1000);
  image.lose(15, 8);  // every round has something to write
  image.data.broken = true;
  for (const unsigned threads : {1U, 4U}) {
    EXPECT_THAT(verity::repair(image.data, image.hash, image.layout, image.root, image.fec, RepairMode::write,
                               {.threads = threads, .advance = {}}),
                FailsWith(Kind::io, AllOf(HasSubstr("repairing data block"), HasSubstr("bad sector"))));
  }
}

TEST(Repair, NeverBelievesParityAgainstTheRootHash) {
  Image image(1000);
  image.lose(17);
  const Bytes data = image.data.content();
  Image::spoil(image.fec, 0, image.fec.size_bytes());
  const RepairReport report = image.repair();
  EXPECT_THAT(report.repaired, IsEmpty());
  EXPECT_EQ(report.remaining.bad_block_count, 1U);
  EXPECT_EQ(image.data.content(), data);
}

TEST(Repair, NamesTheDeviceThatIsTooSmall) {
  Image image(1000);
  MemoryDevice small(Bytes(4096), "small");
  const auto with = [&](base::BlockDevice& data, base::BlockDevice& hash, const base::BlockDevice& fec) {
    return verity::repair(data, hash, image.layout, image.root, fec, RepairMode::write);
  };
  const auto too_small = FailsWith(Kind::corrupt, AllOf(HasSubstr("small has 4096 bytes"), HasSubstr("needs ")));
  EXPECT_THAT(with(small, image.hash, image.fec), too_small);
  EXPECT_THAT(with(image.data, small, image.fec), too_small);
  EXPECT_THAT(with(image.data, image.hash, small), too_small);
}

TEST(Repair, RepairsAnImageOfVeritysetupsOwn) {
  const support::TemporaryDirectory directory;
  const std::string content(base::text_of(pattern(1000 * 4096)));
  const std::string data = directory.write("data", content);
  const std::vector<std::string> files = {data, directory.path("hash")};
  const std::string fec_option = "--fec-device=" + directory.path("fec");
  base::Command format;
  format.argv = {"veritysetup", "format", files[0], files[1], fec_option, "--fec-roots=8", "--salt=0badcafe"};
  const std::string report = base::run_checked(format).value();
  const std::string root = report.substr(report.find_first_of("0123456789abcdef", report.find("Root hash:") + 10), 64);

  const auto data_device = base::FileDevice::open(data, base::Access::read_write).value();
  const auto hash_device = base::FileDevice::open(files[1], base::Access::read_write).value();
  const auto fec_device = base::FileDevice::open(directory.path("fec"), base::Access::read_only).value();
  Image::spoil(*data_device, 500 * 4096, 10 * 4096);
  Image::spoil(*hash_device, 4096, 9 * 4096);
  const Geometry geometry = Geometry::of({.salt = base::from_hex("0badcafe").value()}, 1000).value();
  const FecLayout layout = FecLayout::of(geometry, 4096, hash_device->size_bytes(), {.roots = 8}).value();
  ASSERT_THAT(verity::repair(*data_device, *hash_device, layout, verity::RootHash::parse(root).value(), *fec_device,
                             RepairMode::write),
              Succeeds());

  base::Command verify;
  verify.argv = {"veritysetup", "verify", files[0], files[1], root};
  EXPECT_THAT(base::run_checked(verify), Succeeds());
  EXPECT_TRUE(base::read_file(data, content.size()).value() == content);
}

}  // namespace
