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

}  // namespace
