// With Secure Boot on and the project's keys enrolled, what the project has signed boots, and nothing else.

#include "qemu-tests/stories/story.hpp"

namespace qemu {
namespace {

using testing::HasSubstr;

class SecureBoot : public Story {};

TEST_F(SecureBoot, BootsWhatWeHaveSigned) {
  const StoryDisk disk("first/story_1.0.0.raw");
  start(disk, {.secure_boot = true});
  ASSERT_EQ(wait_until_up(), "running");
  EXPECT_THAT(told("dmesg"), HasSubstr("Secure boot enabled"));
  EXPECT_EQ(version(), "1.0.0");
}

}  // namespace
}  // namespace qemu
