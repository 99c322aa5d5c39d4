#include "verity/hash_tree.hpp"

#include <atomic>

#include <gmock/gmock.h>

#include "tests/support/matchers.hpp"
#include "tests/support/pattern.hpp"

namespace {

using base::Bytes;
using base::ByteView;
using base::Kind;
using base::MemoryDevice;
using support::FailsWith;
using support::Holds;
using support::Succeeds;
using testing::ElementsAre;
using testing::HasSubstr;
using verity::BadBlock;
using verity::Effort;
using verity::Geometry;
using verity::HashTreeBuilder;
using verity::HashTreeVerifier;
using verity::RootHash;

Geometry geometry_of(std::uint32_t block_size, std::uint64_t data_blocks, Bytes salt = {}) {
  return *Geometry::of({block_size, block_size, std::move(salt)}, data_blocks);
}

/// Data, its tree, and the root hash, in memory.
struct Image {
  Image(const Geometry& shape, Bytes content)
      : geometry(shape), data(std::move(content), "data"), tree(Bytes(shape.tree_bytes()), "tree") {
    root = *verity::build_hash_tree(data, geometry, tree, 0, {.threads = 1});
  }
  explicit Image(const Geometry& shape) : Image(shape, support::pattern(shape.data_bytes())) {}

  HashTreeVerifier verifier() const { return *HashTreeVerifier::create(data, tree, 0, geometry, root); }

  Geometry geometry;
  MemoryDevice data;
  MemoryDevice tree;
  RootHash root;
};

void flip(MemoryDevice& device, std::uint64_t offset) {
  const std::byte flipped = device.content()[offset] ^ std::byte{0x01};
  ASSERT_THAT(device.write(offset, ByteView(&flipped, 1)), Succeeds());
}

TEST(HashTree, OfASingleBlockIsTheDigestOfSaltAndBlock) {
  // head -c 4128 /dev/zero | sha256sum        (32 zero bytes of salt, one 4096-byte block)
  const Image image(geometry_of(4096, 1, Bytes(32)), Bytes(4096));
  EXPECT_EQ(image.root.hex(), "2e534ef0107d592d1706ac38ad58596b85ef3375d360a6d669f974792df5cb5a");
  EXPECT_EQ(image.tree.size_bytes(), 0);
}

TEST(HashTree, OfTwoBlocksIsTheDigestOfABlockWithTwoDigests) {
  // z=$(head -c 4096 /dev/zero | sha256sum | cut -c-64); { echo $z$z | xxd -r -p; head -c 4032 /dev/zero; } | sha256sum
  const Image image(geometry_of(4096, 2), Bytes(8192));
  EXPECT_EQ(image.root.hex(), "90b10db56173e2e7c847f6ff3ed85a3aebb140bc0064ec9a156ae5b2e71db988");
}

TEST(HashTree, DoesNotDependOnTheNumberOfThreads) {
  const Geometry geometry = geometry_of(4096, 5000, support::pattern(32));
  const Image one(geometry);
  for (const unsigned threads : {2U, 3U, 8U}) {
    MemoryDevice tree(Bytes(geometry.tree_bytes()));
    EXPECT_THAT(verity::build_hash_tree(one.data, geometry, tree, 0, {.threads = threads}), Holds(one.root));
    EXPECT_EQ(tree.content(), one.tree.content()) << threads << " threads";
  }
}

TEST(HashTree, FromAStreamIsTheSameHoweverTheStreamIsCut) {
  const Geometry geometry = geometry_of(1024, 5000, support::pattern(8));
  const Image whole(geometry);
  for (const std::size_t piece : {1000UL, 1024UL, 123457UL, 1UL << 20, 5000UL * 1024}) {
    MemoryDevice tree(Bytes(geometry.tree_bytes()));
    auto builder = HashTreeBuilder::create(geometry, tree, 0, {.threads = 3});
    ASSERT_THAT(builder, Succeeds());
    for (ByteView rest = whole.data.content(); !rest.empty();) {
      const ByteView part = rest.first(std::min(piece, rest.size()));
      ASSERT_THAT(builder->append(part), Succeeds());
      rest = rest.subspan(part.size());
    }
    EXPECT_THAT(builder->finish(), Holds(whole.root)) << "pieces of " << piece;
    EXPECT_EQ(tree.content(), whole.tree.content()) << "pieces of " << piece;
  }
}

TEST(HashTree, RefusesAStreamOfAnotherLength) {
  const Geometry geometry = geometry_of(512, 10);
  MemoryDevice tree(Bytes(geometry.tree_bytes()));
  auto builder = HashTreeBuilder::create(geometry, tree, 0);
  ASSERT_THAT(builder, Succeeds());
  EXPECT_THAT(builder->append(Bytes(5121)), FailsWith(Kind::invalid_input, HasSubstr("more data than the 5120")));
  EXPECT_THAT(builder->append(Bytes(5119)), Succeeds());
  EXPECT_THAT(builder->finish(), FailsWith(Kind::invalid_input, HasSubstr("only 5119 of the 5120")));
}

TEST(HashTree, ThatIsLeftUnfinishedEndsItsThreads) {
  const Geometry geometry = geometry_of(4096, 2000);
  MemoryDevice tree(Bytes(geometry.tree_bytes()));
  auto builder = HashTreeBuilder::create(geometry, tree, 0, {.threads = 2});
  ASSERT_THAT(builder, Succeeds());
  ASSERT_THAT(builder->append(Bytes(3 << 20)), Succeeds());
}

TEST(HashTree, NeedsItsRoom) {
  const Geometry geometry = geometry_of(4096, 200);
  MemoryDevice data(Bytes(geometry.data_bytes()), "data");
  MemoryDevice tree(Bytes(geometry.tree_bytes() + 4095), "slot");
  const auto both_sizes = testing::AllOf(HasSubstr("12288 bytes from offset 4096"), HasSubstr("slot has only 16383"));
  EXPECT_THAT(verity::build_hash_tree(data, geometry, tree, 4096), FailsWith(Kind::no_space, both_sizes));
  EXPECT_THAT(HashTreeBuilder::create(geometry, tree, 4096), FailsWith(Kind::no_space, both_sizes));
  const MemoryDevice short_data(Bytes(100 * 4096), "short.img");
  EXPECT_THAT(verity::build_hash_tree(short_data, geometry, tree, 0),
              FailsWith(Kind::corrupt, HasSubstr("short.img has only 409600 of the 819200 bytes")));
}

TEST(HashTree, TellsAllProgress) {
  const Geometry geometry = geometry_of(4096, 3000);
  const MemoryDevice data(Bytes(geometry.data_bytes()));
  MemoryDevice tree(Bytes(geometry.tree_bytes()));
  std::atomic<std::uint64_t> told = 0;
  const Effort effort{.threads = 2, .advance = [&told](std::uint64_t bytes) { told += bytes; }};
  ASSERT_THAT(verity::build_hash_tree(data, geometry, tree, 0, effort), Succeeds());
  EXPECT_EQ(told, geometry.data_bytes());
}

/// Refuses to write from some offset on, like a device that is full or broken.
class BrokenDevice final : public base::BlockDevice {
 public:
  BrokenDevice(std::uint64_t size, std::uint64_t good) : inner_(Bytes(size), "broken"), good_(good) {}
  const std::string& name() const override { return inner_.name(); }
  std::uint64_t size_bytes() const override { return inner_.size_bytes(); }
  base::Result<> read(std::uint64_t offset, base::MutableByteView into) const override {
    if (offset + into.size() > good_) return base::fail(Kind::io, "bad sector");
    return inner_.read(offset, into);
  }
  base::Result<> write(std::uint64_t offset, ByteView from) override {
    if (offset + from.size() > good_) return base::fail(Kind::io, "bad sector");
    return inner_.write(offset, from);
  }
  base::Result<> flush() override { return base::ok(); }

 private:
  MemoryDevice inner_;
  std::uint64_t good_;
};

TEST(HashTree, ReportsADeviceThatBreaksWhileItIsWritten) {
  const Geometry geometry = geometry_of(4096, 40000);
  const BrokenDevice data(geometry.data_bytes(), geometry.data_bytes() / 2);
  MemoryDevice good_tree(Bytes(geometry.tree_bytes()));
  EXPECT_THAT(verity::build_hash_tree(data, geometry, good_tree, 0, {.threads = 4}),
              FailsWith(Kind::io, HasSubstr("bad sector")));

  BrokenDevice tree(geometry.tree_bytes(), geometry.tree_bytes() / 2);
  auto builder = HashTreeBuilder::create(geometry, tree, 0, {.threads = 4});
  ASSERT_THAT(builder, Succeeds());
  const Bytes piece(1 << 20);
  base::Result<> appended = base::ok();
  for (std::uint64_t left = geometry.data_bytes(); left > 0 && appended;
       left -= std::min<std::uint64_t>(left, 1 << 20)) {
    appended = builder->append(ByteView(piece).first(std::min<std::uint64_t>(left, 1 << 20)));
  }
  // The failure shows at some append, or at the end at the latest, and stays.
  EXPECT_THAT(appended ? base::Result<>(std::unexpected(builder->finish().error())) : appended,
              FailsWith(Kind::io, HasSubstr("bad sector")));
}

TEST(Verifier, FindsAndNamesEveryFlippedByte) {
  // 40 blocks of 512: 3 blocks of digests, 1 on top.
  Image image(geometry_of(512, 40, support::pattern(32)));
  const auto verifier = image.verifier();
  const Effort alone{.threads = 1};
  for (std::uint64_t offset = 0; offset < image.data.size_bytes(); ++offset) {
    flip(image.data, offset);
    const auto report = verifier.verify_all(alone);
    flip(image.data, offset);
    ASSERT_THAT(report, Succeeds());
    ASSERT_THAT(report->bad_blocks, ElementsAre(BadBlock{BadBlock::Area::data, offset / 512, offset / 512 * 512, 0}));
  }
  for (std::uint64_t offset = 0; offset < image.tree.size_bytes(); ++offset) {
    flip(image.tree, offset);
    const auto report = verifier.verify_all(alone);
    flip(image.tree, offset);
    const unsigned level = offset < 512 ? 1 : 0;
    ASSERT_THAT(report, Succeeds());
    ASSERT_THAT(report->bad_blocks,
                ElementsAre(BadBlock{BadBlock::Area::tree, offset / 512, offset / 512 * 512, level}));
  }
  EXPECT_TRUE(verifier.verify_all(alone)->intact());
}

TEST(Verifier, NamesTheLevelOfABadHashBlock) {
  // 300 blocks of 512: 19 blocks of digests, 2 above them, 1 on top.
  Image image(geometry_of(512, 300));
  for (std::uint64_t block = 0; block < 22; ++block) {
    flip(image.tree, block * 512 + 13 * block);
    const auto report = image.verifier().verify_all();
    flip(image.tree, block * 512 + 13 * block);
    const unsigned level = block < 1 ? 2 : block < 3 ? 1 : 0;
    ASSERT_THAT(report, Succeeds());
    EXPECT_THAT(report->bad_blocks, ElementsAre(BadBlock{BadBlock::Area::tree, block, block * 512, level}));
  }
}

TEST(Verifier, CallsWhatLiesBelowABadHashBlockUnknown) {
  Image image(geometry_of(512, 300));
  flip(image.tree, 512);  // the first block of level 1: over 16 blocks of level 0, that is 256 of data
  flip(image.data, 0);    // hidden below it
  flip(image.data, 299 * 512);
  const auto report = image.verifier().verify_all();
  ASSERT_THAT(report, Succeeds());
  EXPECT_EQ(report->data_blocks_unknown, 256);
  EXPECT_EQ(report->data_blocks_checked, 44);
  EXPECT_THAT(report->bad_blocks, ElementsAre(BadBlock{BadBlock::Area::tree, 1, 512, 1},
                                              BadBlock{BadBlock::Area::data, 299, 299 * 512, 0}));
}

TEST(Verifier, ListsTheLowestOfVeryManyBadBlocksAndTellsOfAll) {
  Image image(geometry_of(512, 5000));
  const auto verifier = image.verifier();
  ASSERT_THAT(image.data.write(0, support::pattern(image.data.size_bytes(), 99)), Succeeds());
  std::set<BadBlock> told;
  const auto report =
      verifier.verify_all({.threads = 4}, [&](const BadBlock& bad) { EXPECT_TRUE(told.insert(bad).second); });
  ASSERT_THAT(report, Succeeds());
  EXPECT_EQ(report->bad_block_count, 5000);
  EXPECT_EQ(told.size(), 5000);
  ASSERT_EQ(report->bad_blocks.size(), verity::VerifyReport::max_listed);
  EXPECT_EQ(report->bad_blocks.front().block, 0);
  EXPECT_EQ(report->bad_blocks.back().block, verity::VerifyReport::max_listed - 1);
}

TEST(Verifier, BelievesNothingUnderAnotherRootHash) {
  Image image(geometry_of(4096, 300));
  image.root.bytes[31] ^= std::byte{1};
  const auto report = image.verifier().verify_all();
  ASSERT_THAT(report, Succeeds());
  EXPECT_EQ(report->data_blocks_unknown, 300);
  EXPECT_THAT(report->bad_blocks, ElementsAre(BadBlock{BadBlock::Area::tree, 0, 0, 1}));
}

TEST(Verifier, ChecksARangeAndNoMore) {
  Image image(geometry_of(512, 300));
  flip(image.data, 100 * 512);
  const auto verifier = image.verifier();
  EXPECT_TRUE(verifier.verify_range(0, 100)->intact());
  EXPECT_TRUE(verifier.verify_range(101, 199)->intact());
  EXPECT_FALSE(verifier.verify_range(100, 1)->intact());
  EXPECT_TRUE(verifier.verify_range(300, 0)->intact());
  EXPECT_THAT(verifier.verify_range(300, 1), FailsWith(Kind::invalid_input, HasSubstr("the tree covers 300")));
  EXPECT_THAT(verifier.verify_range(1, ~std::uint64_t{0}),
              FailsWith(Kind::invalid_input, HasSubstr("the tree covers 300")));
}

TEST(Verifier, ReadsBlocksThatItVouchesFor) {
  Image image(geometry_of(512, 300));
  const auto verifier = image.verifier();
  Bytes blocks(3 * 512);
  ASSERT_THAT(verifier.read(50, blocks), Succeeds());
  EXPECT_TRUE(std::ranges::equal(blocks, ByteView(image.data.content()).subspan(50 * 512, 3 * 512)));
  flip(image.data, 51 * 512);
  EXPECT_THAT(verifier.read(50, blocks), FailsWith(Kind::corrupt, HasSubstr("data block 51 at offset 26112 of data")));
  EXPECT_THAT(verifier.read(0, base::MutableByteView(blocks).first(100)),
              FailsWith(Kind::invalid_input, HasSubstr("100 bytes")));
}

TEST(Verifier, AcceptsOnlyTheBlockThatBelongsInAPlace) {
  Image image(geometry_of(512, 300));
  const auto verifier = image.verifier();
  const ByteView data = image.data.content();
  const ByteView tree = image.tree.content();
  const BadBlock data_place{BadBlock::Area::data, 17, 17 * 512, 0};
  EXPECT_THAT(verifier.accepts(data_place, data.subspan(17 * 512, 512)), Holds(true));
  EXPECT_THAT(verifier.accepts(data_place, data.subspan(18 * 512, 512)), Holds(false));
  const BadBlock top{BadBlock::Area::tree, 0, 0, 2};
  EXPECT_THAT(verifier.accepts(top, tree.first(512)), Holds(true));
  EXPECT_THAT(verifier.accepts(top, tree.subspan(512, 512)), Holds(false));
  flip(image.tree, 0);
  EXPECT_THAT(verifier.accepts(data_place, data.subspan(17 * 512, 512)),
              FailsWith(Kind::corrupt, HasSubstr("hash block 0 (level 2)")));
}

TEST(Verifier, ReportsADeviceThatCannotBeRead) {
  const Geometry geometry = geometry_of(4096, 1000);
  const BrokenDevice data(geometry.data_bytes(), geometry.data_bytes() / 2);
  const MemoryDevice tree(Bytes(geometry.tree_bytes()));
  const auto verifier = HashTreeVerifier::create(data, tree, 0, geometry, RootHash());
  ASSERT_THAT(verifier, Succeeds());
  EXPECT_THAT(verifier->verify_all({.threads = 2}), FailsWith(Kind::io, HasSubstr("bad sector")));
}

TEST(Verifier, RefusesDevicesThatAreTooShort) {
  const Geometry geometry = geometry_of(4096, 200);
  const MemoryDevice full(Bytes(geometry.data_bytes()), "full");
  const MemoryDevice short_one(Bytes(8192), "short");
  EXPECT_THAT(HashTreeVerifier::create(short_one, full, 0, geometry, RootHash()),
              FailsWith(Kind::corrupt, HasSubstr("short has only 8192 of the 819200")));
  EXPECT_THAT(HashTreeVerifier::create(full, short_one, 0, geometry, RootHash()),
              FailsWith(Kind::corrupt, HasSubstr("takes 12288 bytes from offset 0 on, but short has only 8192")));
}

TEST(RootHash, IsReadFromSixtyFourDigits) {
  EXPECT_THAT(RootHash::parse(std::string(64, 'A')), Succeeds());
  EXPECT_THAT(RootHash::parse("abcd"), FailsWith(Kind::invalid_input, HasSubstr("has 4 digits; SHA-256 has 64")));
  EXPECT_THAT(RootHash::parse(std::string(63, 'a') + "g"), FailsWith(Kind::invalid_input, HasSubstr("position 64")));
}

}  // namespace
