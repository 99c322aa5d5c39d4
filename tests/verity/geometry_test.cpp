#include "verity/geometry.hpp"

#include <gmock/gmock.h>

#include "tests/support/matchers.hpp"

namespace {

using base::Kind;
using support::FailsWith;
using testing::HasSubstr;
using verity::Geometry;

std::vector<std::uint64_t> blocks_by_level(const Geometry& geometry) {
  std::vector<std::uint64_t> counts;
  for (const auto& level : geometry.levels()) counts.push_back(level.block_count);
  return counts;
}

TEST(Geometry, ASingleBlockNeedsNoTree) {
  const auto geometry = Geometry::of({}, 1);
  ASSERT_THAT(geometry, support::Succeeds());
  EXPECT_TRUE(geometry->levels().empty());
  EXPECT_EQ(geometry->tree_bytes(), 0);
}

TEST(Geometry, CountsTheBlocksOfEachLevel) {
  // By hand: 128 digests of 32 bytes in 4096; 16 in 512.
  struct {
    std::uint32_t hash_block_size;
    std::uint64_t data_blocks;
    std::vector<std::uint64_t> levels;
  } const cases[] = {
      {4096, 2, {1}}, {4096, 128, {1}},  {4096, 129, {2, 1}},    {4096, 16384, {128, 1}}, {4096, 16385, {129, 2, 1}},
      {512, 16, {1}}, {512, 17, {2, 1}}, {512, 257, {17, 2, 1}},
  };
  for (const auto& one : cases) {
    const auto geometry = Geometry::of({.hash_block_size = one.hash_block_size}, one.data_blocks);
    ASSERT_THAT(geometry, support::Succeeds());
    EXPECT_EQ(blocks_by_level(*geometry), one.levels) << one.data_blocks << " blocks";
  }
}

TEST(Geometry, PutsTheTopLevelFirst) {
  const auto geometry = Geometry::of({}, 16385);
  ASSERT_THAT(geometry, support::Succeeds());
  EXPECT_EQ(geometry->levels()[2].first_block, 0);
  EXPECT_EQ(geometry->levels()[1].first_block, 1);
  EXPECT_EQ(geometry->levels()[0].first_block, 3);
  EXPECT_EQ(geometry->tree_bytes(), std::uint64_t{132} * 4096);
}

TEST(Geometry, RefusesWhatTheKernelCannotMap) {
  EXPECT_THAT(Geometry::of({.data_block_size = 3000}, 1),
              FailsWith(Kind::invalid_input, HasSubstr("data block size 3000")));
  EXPECT_THAT(Geometry::of({.data_block_size = 256}, 1),
              FailsWith(Kind::invalid_input, HasSubstr("data block size 256")));
  EXPECT_THAT(Geometry::of({.hash_block_size = 8192}, 1),
              FailsWith(Kind::invalid_input, HasSubstr("hash block size 8192")));
  EXPECT_THAT(Geometry::of({.salt = base::Bytes(257)}, 1), FailsWith(Kind::invalid_input, HasSubstr("257 bytes")));
  EXPECT_THAT(Geometry::of({}, 0), FailsWith(Kind::invalid_input, HasSubstr("no data")));
  EXPECT_THAT(Geometry::of({}, std::uint64_t{1} << 52), FailsWith(Kind::invalid_input, HasSubstr("2^62")));
  EXPECT_THAT(Geometry::of_bytes({}, 4097), FailsWith(Kind::invalid_input, HasSubstr("no multiple")));
}

}  // namespace
