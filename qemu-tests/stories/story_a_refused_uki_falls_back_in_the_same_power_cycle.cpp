// A UKI that the firmware refuses uses up its tries without a restart, the version before it comes up, and is not made
// to vouch for the one that was refused.

#include "qemu-tests/stories/story.hpp"

namespace qemu {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class ARefusedUki : public Story {
 protected:
  /// Version 1.0.0 has been up once, and seen to the firmware's entries.
  void SetUp() override {
    disk.remove_entry("story_2.0.0+3-0.efi");
    start(disk, {.secure_boot = true});
    ASSERT_EQ(wait_until_up(), "running");
    EXPECT_THAT(told("dmesg"), HasSubstr("Secure boot enabled"));
    power_off();
  }
  void falls_back() {
    start(disk, {.secure_boot = true});
    ASSERT_EQ(wait_until_up(), "running");
    EXPECT_EQ(version(), "1.0.0");
    EXPECT_THAT(guest().console(), Not(HasSubstr("reboot: Restarting system")));
    // Were it not for the guard, this would be its name.
    EXPECT_EQ(told("systemctl show -P Result systemd-bless-boot.service"), "exec-condition");
    power_off();
    EXPECT_THAT(disk.entries(), ElementsAre("story_1.0.0.efi", "story_2.0.0+0-3.efi"));
  }

  const StoryDisk disk{"two.raw"};
};

TEST_F(ARefusedUki, ThatWasSpoiledFallsBackInTheSamePowerCycle) {
  std::string uki = support::slurp(story_image("second/story_2.0.0.efi"));
  uki[uki.size() / 2] = static_cast<char>(uki[uki.size() / 2] ^ 1);
  const support::TemporaryDirectory directory;
  disk.put_entry(directory.write("spoiled.efi", uki), "story_2.0.0+3-0.efi");
  falls_back();
}

TEST_F(ARefusedUki, ThatAStrangerHasSignedFallsBackInTheSamePowerCycle) {
  disk.put_entry(story_image("foreign/story_2.0.0.efi"), "story_2.0.0+3-0.efi");
  falls_back();
}

}  // namespace
}  // namespace qemu
