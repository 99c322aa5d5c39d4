#include "verity/device.hpp"

#include <sys/sysmacros.h>

#include <gmock/gmock.h>

#include "tests/support/matchers.hpp"
#include "tests/support/temporary_directory.hpp"

// What needs the kernel's device-mapper itself is told in qemu-tests/verity_device.

namespace {

using base::Kind;
using support::FailsWith;
using testing::HasSubstr;

TEST(DeviceMapper, SaysWhatTheKernelLacks) {
  EXPECT_THAT(verity::DeviceMapper::open("/nonexistent/control"),
              FailsWith(Kind::not_found, HasSubstr("the kernel has no device-mapper (module dm-mod)")));
}

TEST(DeviceMapper, KnowsItsControlNodeByTheAnswer) {
  const support::TemporaryDirectory directory;
  EXPECT_THAT(verity::DeviceMapper::open(directory.write("control", "")),
              FailsWith(Kind::unsupported, HasSubstr("is not device-mapper's control node")));
}

TEST(MappedDevice, IsFoundByItsMinorNumber) {
  EXPECT_EQ((verity::MappedDevice{"root", makedev(254, 300)}).path(), "/dev/dm-300");
}

}  // namespace
