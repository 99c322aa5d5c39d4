// What is on /var is the host's: it grows with the disk, is taken over as it is, and never lost to a reformatting.

#include "qemu-tests/stories/story.hpp"

namespace qemu {
namespace {

using testing::HasSubstr;
using testing::Not;

class Var : public Story {
 protected:
  std::uint64_t size_of_var() { return std::stoull(told("df -B1 --output=size /var | tail -n 1")); }
};

TEST_F(Var, GrowsWithTheDisk) {
  const StoryDisk disk("first/story_1.0.0.raw");
  start_directly(disk, "first");
  ASSERT_EQ(wait_until_up(), "running");
  const std::uint64_t before = size_of_var();
  told("echo kept >/var/kept");
  power_off();
  constexpr std::uint64_t more = std::uint64_t{1} << 30;
  disk.grow(more);
  start_directly(disk, "first");
  ASSERT_EQ(wait_until_up(), "running");
  EXPECT_GT(size_of_var(), before + more * 9 / 10);
  EXPECT_EQ(told("cat /var/kept"), "kept");
  EXPECT_THAT(guest().console(), Not(HasSubstr("keelson-init: warning")));
}

TEST_F(Var, IsNotTouchedWhenItHoldsSomethingElse) {
  const StoryDisk disk("first/story_1.0.0.raw");
  // A partition that is called var, of somebody who uses another file system.
  support::run_program({"sfdisk", "-q", "--no-reread", "--relocate", "gpt-bak-std", disk.path()});
  const auto made = base::run({.argv = {"sfdisk", "-q", "--no-reread", "--append", disk.path()},
                               .input = "type=0FC63DAF-8483-4772-8E79-3D69D8477DE4, name=var\n"});
  ASSERT_THAT(made, support::Succeeds());
  ASSERT_EQ(made->exit_status, 0) << made->errors;
  const PartitionPlace place = partitions_of(disk.path()).at(8);
  ASSERT_EQ(support::run_program({"sh", "-c", R"(printf foreign | dd of="$1" bs=1 seek="$2" conv=notrunc status=none)",
                                  "sh", disk.path(), std::to_string(place.offset)})
                .exit_status,
            0);
  start_directly(disk, "first");
  EXPECT_THAT(guest().wait_for_console("keelson-init: mounting /dev/vda8 on /var", boot_limit), support::Succeeds());
  guest().cut_power();
  EXPECT_EQ(support::run_program({"sh", "-c", R"(dd if="$1" bs=1 skip="$2" count=7 status=none)", "sh", disk.path(),
                                  std::to_string(place.offset)})
                .output,
            "foreign");
}

}  // namespace
}  // namespace qemu
