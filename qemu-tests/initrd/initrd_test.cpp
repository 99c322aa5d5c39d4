// The kernel judges image/initrd and image/esp: it unpacks the one, loads its modules in their order, and mounts the
// other. modprobe judges the order as well.

#include "image/initrd.hpp"

#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>

#include "base/file.hpp"
#include "image/esp.hpp"
#include "qemu-tests/support/machine.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/program.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

namespace fs = std::filesystem;
using base::bytes_of;
using support::Succeeds;
using testing::HasSubstr;

// What a host's initrd needs, a built-in one among them, and FAT for the ESP.
const std::vector<std::string>& wanted() {
  static const std::vector<std::string> names = {"virtio_pci", "virtio-blk", "ext4",      "dm-verity", "erofs",
                                                 "overlay",    "vfat",       "nls_cp437", "nls_ascii"};
  return names;
}

/// The test kernel's modules with what depmod writes about them.
class Initrd : public testing::Test {
 protected:
  void SetUp() override {
    const auto kernel = qemu::test_kernel();
    ASSERT_THAT(kernel, Succeeds());
    kernel_ = *kernel;
    const fs::path modules = fs::path(kernel_.modules_directory).parent_path();
    release_ = modules.filename();
    fs::create_directories(root_.path("lib/modules"));
    fs::copy(modules, root_.path("lib/modules/" + release_), fs::copy_options::recursive);
    ASSERT_EQ(support::run_program({"/usr/sbin/depmod", "-b", root_.path(), release_}).exit_status, 0);
    // Soft dependencies are left to whoever lists modules.
    fs::remove(directory() + "/modules.softdep");
  }

  std::string directory() const { return root_.path("lib/modules/" + release_); }

  /// The files that modprobe would load for all names, each once, in its order.
  std::vector<std::string> order_of_modprobe() const {
    std::vector<std::string> order;
    std::set<std::string> seen;
    for (const std::string& name : wanted()) {
      const auto shown = support::run_program(
          {"/usr/sbin/modprobe", "-C", "/dev/null", "--show-depends", "-d", root_.path(), "-S", release_, name});
      EXPECT_EQ(shown.exit_status, 0) << shown.errors;
      for (std::string_view rest = shown.output; !rest.empty();) {
        const std::string_view line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(line.size() + 1);
        if (!line.starts_with("insmod ")) continue;
        const std::string file(line.substr(line.rfind('/') + 1, line.rfind(' ') - line.rfind('/') - 1));
        if (seen.insert(file).second) order.push_back(file);
      }
    }
    return order;
  }

  qemu::TestKernel kernel_;
  std::string release_;
  support::TemporaryDirectory root_;
};

std::string write_esp(const support::TemporaryDirectory& directory) {
  constexpr std::uint64_t size = std::uint64_t{512} << 20;
  const std::string loader(1000001, 'x');
  const image::Esp esp{.boot_loader = bytes_of(loader),
                       .ukis = {{.name = {.id = "node", .version = "1.0.0", .tries = image::BootTries{3, 0}},
                                 .content = image::FatContent::owned("a UKI")}}};
  auto entries = image::esp_entries(esp);
  EXPECT_THAT(entries, Succeeds());
  entries->push_back({.path = "d/😀 Ünïcodé.txt", .content = image::FatContent::owned("long name")});
  entries->push_back({.path = "d/lower.txt", .content = image::FatContent::owned("case")});
  // date -u -d '2026-03-01 12:34:56' +%s
  const image::FatVolume volume{.id = 1,
                                .label = "ESP",
                                .size_bytes = size,
                                .timestamp = std::chrono::sys_seconds(std::chrono::seconds(1772368496))};
  auto device = base::FileDevice::create(directory.path("esp"), size);
  EXPECT_THAT(image::write_fat(volume, *entries, **device, 0), Succeeds());
  return directory.path("esp");
}

TEST_F(Initrd, LoadsItsModulesInTheOrderOfModprobeAndMountsTheEsp) {
  const auto init = base::read_file(KEELSON_GUEST, std::size_t{64} << 20);
  ASSERT_THAT(init, Succeeds());
  for (const auto compression : {image::InitrdCompression::none, image::InitrdCompression::zstd}) {
    const auto initrd = image::build_initrd({.init = bytes_of(*init),
                                             .modules = wanted(),
                                             .kernel_files = image::kernel_files_in(directory()),
                                             .compression = compression});
    ASSERT_THAT(initrd, Succeeds());
    EXPECT_EQ(initrd->modules, order_of_modprobe());

    const support::TemporaryDirectory disks;
    const auto said = qemu::run({.kernel = kernel_,
                                 .initramfs = disks.write("initrd", base::text_of(initrd->archive)),
                                 .command_line = "",
                                 .disks = {write_esp(disks)}});
    ASSERT_THAT(said, Succeeds());
    for (const std::string& name : initrd->modules) EXPECT_THAT(*said, HasSubstr("STORY loaded " + name));
    for (const char* line :
         {"/sysroot/EFI/BOOT/BOOTX64.EFI 1772368496 1000001 times x",
          "/sysroot/EFI/systemd/systemd-bootx64.efi 1772368496 1000001 times x",
          "/sysroot/EFI/Linux/node_1.0.0+3-0.efi 1772368496 a UKI", "/sysroot/EFI/Linux 1772368496",
          "/sysroot/loader/loader.conf 1772368496 timeout 0", "/sysroot/d/😀 Ünïcodé.txt 1772368496 long name",
          "/sysroot/d/lower.txt 1772368496 case", "ends well"}) {
      EXPECT_THAT(*said, HasSubstr(std::string("STORY ") + line));
    }
  }
}

}  // namespace
