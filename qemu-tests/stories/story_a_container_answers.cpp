// A container that is part of the image runs from the first boot on, and answers over HTTP.

#include "qemu-tests/stories/story.hpp"

namespace qemu {
namespace {

using testing::HasSubstr;

class AContainer : public Story {};

TEST_F(AContainer, AnswersOverHttp) {
  const StoryDisk disk("container/container_1.0.0.raw", std::uint64_t{1} << 30);
  start_directly(
      disk, "container",
      {.memory_mib = 768, .more = {"-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile="}});
  ASSERT_EQ(wait_until_up(), "running") << told(
      "systemctl --failed --no-legend; journalctl -b -p err --no-pager | tail -20");
  const std::string answer = told(R"(exec bash -c '
  for i in {1..150}; do
    exec 3<>/dev/tcp/127.0.0.1/8080 && break
    sleep 0.2
  done 2>/dev/null
  printf "GET / HTTP/1.0\r\n\r\n" >&3
  cat <&3')");
  EXPECT_THAT(answer, HasSubstr("a container answers"));
}

}  // namespace
}  // namespace qemu
