#include "base/progress.hpp"

#include <gmock/gmock.h>

#include "tests/support/files.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

using base::Progress;
using base::ProgressStyle;
using namespace std::chrono_literals;
using testing::HasSubstr;

class ManualClock final : public base::Clock {
 public:
  std::chrono::system_clock::time_point wall_time() const override { return {}; }
  std::chrono::nanoseconds boot_time() const override { return now; }
  std::chrono::nanoseconds now = 1000s;
};

std::string shown(ProgressStyle style, std::chrono::nanoseconds step) {
  const support::TemporaryDirectory directory;
  const std::string path = directory.path("out");
  std::FILE* out = std::fopen(path.c_str(), "w");
  ManualClock clock;
  {
    Progress progress(style, "hashing", 4096, out, clock);
    for (int i = 0; i < 4; ++i) {
      clock.now += step;
      progress.advance(1024);
    }
  }
  std::fclose(out);
  return support::slurp(path);
}

TEST(ProgressBar, ShowsShareAmountRateAndTimeLeft) {
  EXPECT_EQ(base::render_bar("hashing", 1 << 20, 4 << 20, 2s, 80),
            "hashing  [#####------------------]   25%  1.0 MiB/4.0 MiB  512 KiB/s  6.0 s left");
}

TEST(ProgressBar, FitsANarrowTerminal) {
  EXPECT_EQ(base::render_bar("hashing", 1 << 20, 4 << 20, 2s, 30), "hashing   25%  1.0 MiB/4.0 MiB");
}

TEST(ProgressBar, WithoutATotalShowsTheAmount) {
  EXPECT_EQ(base::render_bar("reading", 2048, 0, 1s, 80), "reading  2.0 KiB  2.0 KiB/s");
}

TEST(Progress, IsPlainLinesForALog) {
  EXPECT_EQ(shown(ProgressStyle::plain, 1s),
            "hashing: 20% of 4.0 KiB\nhashing: 50% of 4.0 KiB\nhashing: 70% of 4.0 KiB\nhashing: 100% of 4.0 KiB\n");
}

TEST(Progress, IsJsonLinesForAMachine) {
  EXPECT_THAT(shown(ProgressStyle::json, 1s),
              HasSubstr("{\"progress\":{\"task\":\"hashing\",\"done\":2048,\"total\":4096}}\n"));
}

TEST(Progress, DrawsNoMoreThanTenTimesASecondAndAlwaysTheEnd) {
  const std::string fast = shown(ProgressStyle::bar, 1ms);
  EXPECT_EQ(std::ranges::count(fast, '\r'), 2);  // at first, and at the end
  EXPECT_THAT(fast, HasSubstr("100%"));
  EXPECT_EQ(fast.back(), '\n');
}

TEST(Progress, CanBeSilent) {
  EXPECT_EQ(shown(ProgressStyle::silent, 1s), "");
}

}  // namespace
