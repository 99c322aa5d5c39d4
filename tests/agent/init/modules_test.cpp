#include "agent/init/modules.hpp"

#include <filesystem>

#include <gmock/gmock.h>

#include "tests/support/temporary_directory.hpp"

namespace {

using agent::init::load_modules;
using testing::HasSubstr;
using testing::IsEmpty;

// That modules are loaded, and in their order, is for a kernel to judge: qemu-tests/boot_root.

TEST(LoadModules, HasNothingToDoWithoutAList) {
  const support::TemporaryDirectory directory;
  EXPECT_THAT(load_modules(directory.path("modules")), IsEmpty());
}

TEST(LoadModules, NamesEachModuleThatIsNotThere) {
  const support::TemporaryDirectory directory;
  std::filesystem::create_directories(directory.path("modules"));
  directory.write("modules.list", "erofs.ko\n\ndm-verity.ko");
  const auto failures = load_modules(directory.path("modules"));
  ASSERT_EQ(failures.size(), 2U);
  EXPECT_THAT(failures[0].message(), HasSubstr("modules/erofs.ko: No such file"));
  EXPECT_THAT(failures[1].message(), HasSubstr("modules/dm-verity.ko: No such file"));
}

// A driver that is not there is how a test sees that it would have been loaded.
TEST(Drivers, AreLoadedWhereADeviceAsksForThem) {
  const support::TemporaryDirectory directory;
  directory.write("modules.drivers",
                  "libata.ko ahci.ko : pci:v*d*sv*sd*bc01sc06i01*\n"
                  "nvme.ko : pci:v*d*sv*sd*bc01sc08i02*\n"
                  "virtio_blk.ko : virtio:d00000002v*\n");
  std::filesystem::create_directories(directory.path("sys/bus/pci/devices/0000:00:1f.2"));
  std::filesystem::create_directories(directory.path("sys/bus/pci/devices/0000:00:00.0"));  // says nothing
  directory.write("sys/bus/pci/devices/0000:00:1f.2/modalias",
                  "pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i01\n");
  agent::init::Drivers drivers(directory.path("modules"));
  const auto failures = drivers.load_wanted(directory.path("sys"));
  ASSERT_EQ(failures.size(), 2U);
  EXPECT_THAT(failures[0].message(), HasSubstr("modules/libata.ko: No such file"));
  EXPECT_THAT(failures[1].message(), HasSubstr("modules/ahci.ko: No such file"));
  EXPECT_THAT(drivers.load_wanted(directory.path("sys")), IsEmpty());  // once is enough

  std::filesystem::create_directories(directory.path("sys/bus/virtio/devices/virtio0"));
  directory.write("sys/bus/virtio/devices/virtio0/modalias", "virtio:d00000002v00001AF4\n");
  EXPECT_EQ(drivers.load_wanted(directory.path("sys")).size(), 1U);
}

}  // namespace
