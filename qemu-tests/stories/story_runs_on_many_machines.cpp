// One image for every machine: disks on all buses, many processors, little memory.

#include "qemu-tests/stories/story.hpp"

namespace qemu {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class ManyMachines : public Story {
 protected:
  void comes_up(GuestOptions options, const std::string& disk_name, const std::string& image = "first") {
    const StoryDisk disk(image + "/story_1.0.0.raw");
    start_directly(disk, image, std::move(options));
    ASSERT_EQ(wait_until_up(), "running");
    EXPECT_THAT(told("grep -E ' / | /var ' /proc/mounts"), HasSubstr("/dev/" + disk_name));
    EXPECT_THAT(told("grep ' / ' /proc/mounts"), StartsWith("/dev/mapper/root / erofs ro,"));
  }
};

TEST_F(ManyMachines, FromVirtioScsi) {
  comes_up({.bus = DiskBus::scsi}, "sda8");
}
TEST_F(ManyMachines, FromNvme) {
  comes_up({.bus = DiskBus::nvme}, "nvme0n1p8");
}
TEST_F(ManyMachines, FromAhci) {
  comes_up({.bus = DiskBus::ahci}, "sda8");
}
TEST_F(ManyMachines, FromSectorsOf4096Bytes) {
  comes_up({.sector_size = 4096}, "vda8", "large-sectors");
}
TEST_F(ManyMachines, WithFourProcessors) {
  comes_up({.processors = 4}, "vda8");
}
TEST_F(ManyMachines, WithLittleMemory) {
  comes_up({.memory_mib = 512}, "vda8");
}

}  // namespace
}  // namespace qemu
