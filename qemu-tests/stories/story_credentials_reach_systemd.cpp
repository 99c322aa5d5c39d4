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
  told(R"(cat >/run/systemd/system/asks.service <<END
[Service]
Type=oneshot
LoadCredential=by-smbios
ExecStart=/bin/sh -c 'cat \$CREDENTIALS_DIRECTORY/by-smbios >/run/given'
END
systemctl daemon-reload && systemctl start asks.service)");
  EXPECT_EQ(told("cat /run/given"), "hello");
}

}  // namespace
}  // namespace qemu
