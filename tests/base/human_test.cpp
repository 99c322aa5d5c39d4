#include "base/human.hpp"

#include <gmock/gmock.h>

#include "base/suggest.hpp"

namespace {

using namespace std::chrono_literals;

TEST(HumanBytes, HasThreeDigitsOrFewer) {
  EXPECT_EQ(base::human_bytes(0), "0 B");
  EXPECT_EQ(base::human_bytes(1023), "1023 B");
  EXPECT_EQ(base::human_bytes(1024), "1.0 KiB");
  EXPECT_EQ(base::human_bytes(1536), "1.5 KiB");
  EXPECT_EQ(base::human_bytes(std::uint64_t{100} << 20), "100 MiB");
  EXPECT_EQ(base::human_bytes((std::uint64_t{1} << 30) - 1), "1.0 GiB");
  EXPECT_EQ(base::human_bytes(~std::uint64_t{0}), "16.0 EiB");
}

TEST(HumanDuration, GrowsCoarserWithLength) {
  EXPECT_EQ(base::human_duration(432ms), "0.4 s");
  EXPECT_EQ(base::human_duration(9960ms), "10 s");
  EXPECT_EQ(base::human_duration(185s), "3 min 05 s");
  EXPECT_EQ(base::human_duration(2h + 10min + 59s), "2 h 10 min");
}

TEST(DidYouMean, FindsTheNearWordAndNoFarOne) {
  const std::vector<std::string> verbs = {"format", "verify", "dump", "repair"};
  EXPECT_EQ(base::did_you_mean("fromat", verbs), "format");
  EXPECT_EQ(base::did_you_mean("verfy", verbs), "verify");
  EXPECT_EQ(base::did_you_mean("dmp", verbs), "dump");
  EXPECT_EQ(base::did_you_mean("explode", verbs), std::nullopt);
  EXPECT_EQ(base::did_you_mean(std::string(100000, 'x'), verbs), std::nullopt);
}

}  // namespace
