// A host comes up to multi-user.target on a root that nobody can change and the kernel checks.

#include "qemu-tests/stories/story.hpp"

namespace qemu {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;

class BootsVerified : public Story {};

TEST_F(BootsVerified, WithARootThatNobodyCanChange) {
  go_on();
  ASSERT_EQ(told("systemctl is-system-running"), "running") << told("systemctl --failed --no-legend");
  EXPECT_THAT(told("grep ' / ' /proc/mounts"), HasSubstr("/dev/mapper/root / erofs ro,"));
  EXPECT_THAT(told("dmsetup table root"), HasSubstr(" verity 1 "));
  const std::string status = told("veritysetup status root");
  EXPECT_THAT(status, HasSubstr("status:      verified"));
  EXPECT_THAT(status, HasSubstr("data block:  4096"));
  EXPECT_THAT(told("systemctl is-active multi-user.target"), "active");
}

TEST_F(BootsVerified, AndRefusesWritesToIt) {
  go_on();
  EXPECT_THAT(told("touch /usr/bin/intruder 2>&1; touch /intruder 2>&1; mount -o remount,rw / 2>&1; true"),
              HasSubstr("Read-only file system"));
  EXPECT_NE(told("touch /usr/lib/intruder 2>/dev/null; echo $?"), "0");
  EXPECT_EQ(told("ls /usr/bin/intruder /usr/lib/intruder /intruder 2>/dev/null; true"), "");
}

TEST_F(BootsVerified, AndKeepsWhatTheHostHasWritten) {
  const StoryDisk disk("first/story_1.0.0.raw");
  start_directly(disk, "first");
  ASSERT_EQ(wait_until_up(), "running");
  const std::string machine_id = told("cat /etc/machine-id");
  EXPECT_THAT(machine_id, MatchesRegex("[0-9a-f]{32}"));
  told("echo mine >/etc/mine; mkdir -p /var/lib/mine; echo ours >/var/lib/mine/ours");
  ASSERT_EQ(reboot(), "running");
  EXPECT_EQ(told("cat /etc/mine /var/lib/mine/ours"), "mine\nours");
  EXPECT_EQ(told("cat /etc/machine-id"), machine_id);
}

}  // namespace
}  // namespace qemu
