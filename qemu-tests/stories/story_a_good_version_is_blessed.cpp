// A version that comes up is blessed, whatever else the host lacks.

#include "qemu-tests/stories/story.hpp"

namespace qemu {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class AGoodVersion : public Story {
 protected:
  void is_blessed(GuestOptions options, const std::string& state) {
    const StoryDisk disk("two.raw");
    start(disk, std::move(options));
    ASSERT_EQ(wait_until_up(), state);
    EXPECT_EQ(version(), "2.0.0");
    power_off();
    EXPECT_THAT(disk.entries(), ElementsAre("story_1.0.0.efi", "story_2.0.0.efi"));
  }
};

TEST_F(AGoodVersion, IsBlessedWithATpmAndNoLibrariesForIt) {
  const support::TemporaryDirectory tpm;
  auto emulator = base::Subprocess::start(
      {.argv = {"swtpm", "socket", "--tpm2", "--tpmstate", "dir=" + tpm.path(), "--ctrl",
                "type=unixio,path=" + tpm.path("socket"), "--flags", "not-need-init,startup-clear"}});
  ASSERT_THAT(emulator, support::Succeeds());
  is_blessed({.more = {"-chardev", "socket,id=tpm,path=" + tpm.path("socket"), "-tpmdev", "emulator,id=tpm,chardev=tpm",
                       "-device", "tpm-tis,tpmdev=tpm"}},
             "running");
}

TEST_F(AGoodVersion, IsBlessedWhenSomethingOptionalFails) {
  is_blessed({.more = {"-smbios", "type=11,value=io.systemd.credential:optional-fails=yes"}}, "degraded");
}

}  // namespace
}  // namespace qemu
