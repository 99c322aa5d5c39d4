// A machine that hangs is restarted by its hardware watchdog, which systemd feeds.

#include "qemu-tests/stories/story.hpp"

namespace qemu {
namespace {

using testing::HasSubstr;

class AHang : public Story {};

TEST_F(AHang, IsEndedByTheWatchdog) {
  const StoryDisk disk("first/story_1.0.0.raw");
  start_directly(disk, "first", {.more = {"-device", "i6300esb", "-action", "watchdog=reset"}},
                 "systemd.watchdog_sec=10");
  ASSERT_EQ(wait_until_up(), "running");
  EXPECT_THAT(told("cat /sys/class/watchdog/watchdog*/identity"), HasSubstr("i6300ESB"));
  // A crash makes the first process freeze, and with it everything that could notice.
  ASSERT_THAT(guest().run("kill -ABRT 1", Limit(5)), support::Succeeds());
  const auto again = guest().wait_for_boot(boot_limit);
  EXPECT_THAT(again, support::Succeeds());
}

}  // namespace
}  // namespace qemu
