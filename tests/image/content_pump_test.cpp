#include "image/erofs/content_pump.hpp"

#include <cstring>

#include <gmock/gmock.h>

#include "tests/support/matchers.hpp"
#include "tests/support/pattern.hpp"

namespace {

using base::Bytes;
using base::ByteView;
using base::Kind;
using image::ContentId;
using image::erofs::CompressedContents;
using image::erofs::ContentPump;
using image::erofs::Layout;
using support::FailsWith;
using support::Holds;
using testing::HasSubstr;
using testing::IsEmpty;

const CompressedContents none;

/// Content number n is pattern(size, n); opening `broken` fails, and reading `unreadable`.
class Patterns final : public image::ContentSource {
 public:
  explicit Patterns(std::uint64_t size) : size_(size) {}
  base::Result<std::unique_ptr<image::ContentReader>> open(ContentId content) const override {
    if (content == broken) return base::fail(Kind::not_found, "no such content");
    return std::make_unique<Reader>(support::pattern(size_, content), content == unreadable);
  }

  ContentId broken = ~ContentId{0};
  ContentId unreadable = ~ContentId{0};

 private:
  class Reader final : public image::ContentReader {
   public:
    Reader(Bytes bytes, bool unreadable) : bytes_(std::move(bytes)), unreadable_(unreadable) {}
    base::Result<> read(base::MutableByteView into) override {
      if (unreadable_) return base::fail(Kind::corrupt, "the content is not what it was");
      std::memcpy(into.data(), &bytes_[at_], into.size());
      at_ += into.size();
      return base::ok();
    }

   private:
    Bytes bytes_;
    bool unreadable_;
    std::size_t at_ = 0;
  };
  std::uint64_t size_;
};

/// Everything that comes out, one piece behind the other.
base::Result<Bytes> all_of(ContentPump& pump) {
  Bytes all;
  while (true) {
    TRY(const ByteView piece, pump.next());
    if (piece.empty()) return all;
    all.insert(all.end(), piece.begin(), piece.end());
  }
}

/// `count` contents of `size` bytes, whose tails go behind inodes or into blocks by turns.
std::vector<Layout::Content> contents(std::size_t count, std::uint64_t size) {
  std::vector<Layout::Content> result;
  for (ContentId id = 0; id < count; ++id) {
    const bool keep_tail = size % 4096 != 0 && id % 2 == 0;
    result.push_back({id, size, keep_tail ? size / 4096 : base::divide_rounding_up(size, 4096), keep_tail});
  }
  return result;
}

class ContentPumpOf : public testing::TestWithParam<std::uint64_t> {};

TEST_P(ContentPumpOf, ContentsGivesTheirBlocksAndTails) {
  const std::uint64_t size = GetParam();
  const Patterns source(size);
  const std::vector<Layout::Content> list = contents(9, size);
  ContentPump pump(source, none, list);
  Bytes blocks;
  for (const Layout::Content& content : list) {
    Bytes bytes = support::pattern(size, content.id);
    bytes.resize(content.blocks * 4096);
    blocks.insert(blocks.end(), bytes.begin(), bytes.end());
  }
  EXPECT_TRUE(all_of(pump) == blocks);  // no EXPECT_EQ: nobody reads megabytes
  for (const Layout::Content& content : list) {
    if (!content.keep_tail) continue;
    const Bytes bytes = support::pattern(size, content.id);
    EXPECT_EQ(pump.tails().at(content.id), Bytes(bytes.end() - static_cast<std::ptrdiff_t>(size % 4096), bytes.end()));
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, ContentPumpOf,
                         testing::Values(1, 4095, 4096, 4097, 100'000, 1 << 20, (1 << 20) + 1, 3'000'000));

TEST(ContentPump, OfNothingGivesNothing) {
  const Patterns source(0);
  ContentPump pump(source, none, {});
  EXPECT_THAT(pump.next(), Holds(IsEmpty()));
}

TEST(ContentPump, FailsWhereItsSourceDoes) {
  Patterns source(100'000);
  const std::vector<Layout::Content> list = contents(30, 100'000);
  source.broken = 29;
  ContentPump opening(source, none, list);
  EXPECT_THAT(all_of(opening), FailsWith(Kind::not_found, HasSubstr("no such content")));
  source.unreadable = 28;
  ContentPump reading(source, none, list);
  EXPECT_THAT(all_of(reading), FailsWith(Kind::corrupt, HasSubstr("not what it was")));
}

TEST(ContentPump, EndsWhenNobodyWantsTheRest) {
  const Patterns source(1 << 20);
  const std::vector<Layout::Content> list = contents(30, 1 << 20);
  {
    const ContentPump untouched(source, none, list);
  }
  ContentPump begun(source, none, list);
  EXPECT_THAT(begun.next(), Holds(testing::Not(testing::IsEmpty())));
}

}  // namespace
