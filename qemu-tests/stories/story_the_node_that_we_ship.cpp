// manifests/node.yaml comes up without a failure and without waiting for anything, and runs a container that is part of
// the image from the first boot on.

#include "qemu-tests/stories/story.hpp"

namespace qemu {
namespace {

using testing::HasSubstr;
using testing::Not;

class TheNodeThatWeShip : public Story {};

TEST_F(TheNodeThatWeShip, ComesUpAndItsContainerAnswers) {
  const StoryDisk disk("shipped/shipped_1.0.0.raw", std::uint64_t{1} << 30);
  start_directly(
      disk, "shipped",
      {.memory_mib = 768, .more = {"-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile="}});
  ASSERT_EQ(wait_until_up(Limit(300)), "running")
      << told("systemctl --failed --no-legend; journalctl -b -p err --no-pager | tail -20");
  EXPECT_EQ(told("systemctl --failed --no-legend"), "");
  EXPECT_THAT(told("journalctl -b --no-pager -o cat"), Not(HasSubstr("timed out")));
  const std::string answer = told(R"(bash -c '
  for i in {1..150}; do
    exec 3<>/dev/tcp/127.0.0.1/8080 && break
    sleep 0.2
  done 2>/dev/null
  printf "GET / HTTP/1.0\r\n\r\n" >&3
  cat <&3')");
  EXPECT_THAT(answer, HasSubstr("a container answers"));
  // For who wants to know what takes the time: ctest -V.
  std::cout << told(
                   "systemd-analyze; systemd-analyze blame --no-pager | head -n 20; systemd-analyze critical-chain "
                   "--no-pager")
            << "\n";
}

}  // namespace
}  // namespace qemu
