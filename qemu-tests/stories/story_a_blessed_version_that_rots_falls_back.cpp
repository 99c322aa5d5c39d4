// A version that was good once has no counter any more. When it rots, the boot after the failed one is another
// version's.

#include "qemu-tests/stories/story.hpp"

namespace qemu {
namespace {

using testing::ElementsAre;

class ABlessedVersion : public Story {};

std::size_t count_of(std::string_view text, std::string_view what) {
  std::size_t count = 0;
  for (std::size_t at = text.find(what); at != std::string_view::npos; at = text.find(what, at + what.size())) ++count;
  return count;
}

TEST_F(ABlessedVersion, ThatRotsFallsBackAtTheNextBoot) {
  const StoryDisk disk("two.raw");
  disk.rename_entry("story_2.0.0+3-0.efi", "story_2.0.0.efi");
  disk.flip_byte(5, disk.find_in(5, support::slurp(KEELSON_STORY_AGENT)) + 1000);
  start(disk);
  ASSERT_THAT(guest().wait_for_console("is corrupted", boot_limit), support::Succeeds());
  ASSERT_EQ(wait_until_up(), "running");
  EXPECT_EQ(version(), "1.0.0");
  EXPECT_EQ(count_of(guest().console(), "modules are loaded"), 2U);
  power_off();
  EXPECT_THAT(disk.entries(), ElementsAre("story_1.0.0.efi", "story_2.0.0.efi"));
}

TEST_F(ABlessedVersion, ThatIsWellLeavesNothingArmed) {
  const StoryDisk disk("two.raw");
  disk.rename_entry("story_2.0.0+3-0.efi", "story_2.0.0.efi");
  start(disk);
  ASSERT_EQ(wait_until_up(), "running");
  EXPECT_EQ(version(), "2.0.0");
  EXPECT_THAT(guest().console(), testing::HasSubstr("story_1.0.0.efi"));  // what the init said that it has armed
  EXPECT_EQ(told("systemctl is-active keelson-boot-complete.service boot-complete.target"), "active\nactive");
  EXPECT_EQ(told("ls /sys/firmware/efi/efivars | grep -c LoaderEntryOneShot; true"), "0");
  ASSERT_EQ(reboot(), "running");
  EXPECT_EQ(version(), "2.0.0");
}

}  // namespace
}  // namespace qemu
