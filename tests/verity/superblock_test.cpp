#include "verity/superblock.hpp"

#include <algorithm>

#include <gmock/gmock.h>

#include "tests/support/matchers.hpp"

namespace {

using base::Kind;
using support::FailsWith;
using testing::HasSubstr;
using verity::Superblock;

// head -c 4194304 /dev/zero > d; veritysetup format --salt=00112233 --uuid=01234567-89ab-cdef-0123-456789abcdef d h
// xxd -p -l 96 h (the rest is zero): written by cryptsetup 2.6.1.
constexpr std::string_view by_veritysetup =
    "766572697479000001000000010000000123456789abcdef0123456789abcdef"
    "7368613235360000000000000000000000000000000000000000000000000000"
    "0010000000100000000400000000000004000000000000000011223300000000";

base::Bytes sample() {
  base::Bytes raw = *base::from_hex(by_veritysetup);
  raw.resize(verity::superblock_size);
  return raw;
}

TEST(Superblock, ReadsWhatVeritysetupWrote) {
  const auto superblock = Superblock::decode(sample());
  ASSERT_THAT(superblock, support::Succeeds());
  EXPECT_EQ(superblock->uuid.text(), "01234567-89ab-cdef-0123-456789abcdef");
  EXPECT_EQ(superblock->data_blocks, 1024);
  EXPECT_EQ(superblock->params.data_block_size, 4096);
  EXPECT_EQ(superblock->params.hash_block_size, 4096);
  EXPECT_EQ(base::to_hex(superblock->params.salt), "00112233");
}

TEST(Superblock, WritesTheSameBytesAgain) {
  EXPECT_EQ(Superblock::decode(sample())->encode(), sample());
}

TEST(Superblock, RefusesEveryFieldThatLies) {
  struct {
    const char* what;
    std::size_t offset;
    std::string_view bytes;
    Kind kind;
    const char* message;
  } const cases[] = {
      {"signature", 0, "verify", Kind::corrupt, "no verity superblock"},
      {"version", 8, "\x02", Kind::unsupported, "superblock version 2"},
      {"hash type", 12, std::string_view("\0", 1), Kind::unsupported, "hash type 0"},
      {"algorithm", 32, "sha512", Kind::unsupported, "\"sha512\""},
      {"longer algorithm", 38, "-x", Kind::unsupported, "\"sha256-x\""},
      {"algorithm with an escape sequence", 32, "\x1b[2J", Kind::unsupported, "\"?[2J56\""},
      {"data block size", 64, "\x01", Kind::corrupt, "data block size 4097"},
      {"hash block size", 71, "\x80", Kind::corrupt, "hash block size 2147487744"},
      {"no data", 72, std::string_view("\0\0", 2), Kind::corrupt, "no data"},
      {"more data than exists", 79, "\xff", Kind::corrupt, "2^62"},
      {"salt size", 80, "\x01\x01", Kind::corrupt, "salt of 257 bytes"},
      {"byte behind the salt", 92, "x", Kind::corrupt, "unused places"},
      {"first unused byte", 82, "x", Kind::corrupt, "unused places"},
      {"last unused byte", 511, "x", Kind::corrupt, "unused places"},
  };
  for (const auto& one : cases) {
    base::Bytes raw = sample();
    std::ranges::copy(base::bytes_of(one.bytes), raw.begin() + static_cast<std::ptrdiff_t>(one.offset));
    EXPECT_THAT(Superblock::decode(raw), FailsWith(one.kind, HasSubstr(one.message))) << one.what;
  }
}

TEST(Superblock, RefusesTooFewBytes) {
  EXPECT_THAT(Superblock::decode(base::ByteView(sample()).first(511)), FailsWith(Kind::corrupt, HasSubstr("too few")));
}

TEST(Superblock, ThatPromisesMoreTreeThanTheDeviceHoldsIsCorrupt) {
  base::Bytes device = sample();
  device.resize(4096 + 8 * 4096);  // 1024 blocks need eight level 0 blocks and one above
  EXPECT_THAT(verity::read_superblock(base::MemoryDevice(device, "slot"), 0),
              FailsWith(Kind::corrupt, testing::AllOf(HasSubstr("takes 36864 bytes from offset 4096 on, but slot"))));
  device.resize(4096 + 9 * 4096);
  EXPECT_THAT(verity::read_superblock(base::MemoryDevice(device), 0), support::Succeeds());
}

TEST(TreeOffset, IsTheNextHashBlockBehindTheSuperblock) {
  // As veritysetup counts: (offset + 512 + block size - 1) / block size blocks.
  using verity::HasSuperblock;
  EXPECT_THAT(verity::tree_offset(0, HasSuperblock::yes, 4096), support::Holds(4096));
  EXPECT_THAT(verity::tree_offset(512, HasSuperblock::yes, 512), support::Holds(1024));
  EXPECT_THAT(verity::tree_offset(3584, HasSuperblock::yes, 4096), support::Holds(4096));
  EXPECT_THAT(verity::tree_offset(4096, HasSuperblock::yes, 4096), support::Holds(8192));
  EXPECT_THAT(verity::tree_offset(8192, HasSuperblock::no, 4096), support::Holds(8192));
  EXPECT_THAT(verity::tree_offset(100, HasSuperblock::yes, 4096),
              FailsWith(Kind::invalid_input, HasSubstr("no multiple of 512")));
  EXPECT_THAT(verity::tree_offset(512, HasSuperblock::no, 4096),
              FailsWith(Kind::invalid_input, HasSubstr("no multiple of 4096")));
}

}  // namespace
