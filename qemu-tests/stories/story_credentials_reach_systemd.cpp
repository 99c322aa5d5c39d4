// What the machine's owner passes in by SMBIOS or fw_cfg reaches systemd and the services that ask for it.

#include "qemu-tests/stories/story.hpp"

namespace qemu {
namespace {

class Credentials : public Story {};

TEST_F(Credentials, ReachSystemdBySmbiosAndByFwCfg) {
  const StoryDisk disk("first/story_1.0.0.raw");
  start_directly(disk, "first",
                 {.more = {"-smbios", "type=11,value=io.systemd.credential:by-smbios=hello", "-fw_cfg",
                           "name=opt/io.systemd.credentials/by-fw-cfg,string=world"}});
  ASSERT_EQ(wait_until_up(), "running");
  EXPECT_EQ(told("cd /run/credentials/@system && cat by-smbios by-fw-cfg"), "helloworld");
  EXPECT_EQ(
      told("systemd-run -q --wait --pipe -p LoadCredential=by-smbios cat /run/credentials/*/by-smbios || "
           "systemd-run -q --wait --pipe -p LoadCredential=by-smbios sh -c 'cat $CREDENTIALS_DIRECTORY/by-smbios'"),
      "hello");
}

}  // namespace
}  // namespace qemu
