// Whatever of a new version is spoiled, its boot ends there, and after its tries the good one runs.

#include <filesystem>

#include "qemu-tests/stories/story.hpp"

namespace qemu {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class ASpoiledVersion : public Story {
 protected:
  /// Boots until somebody says which version runs: it must be the old one.
  void falls_back(const std::string& because, GuestOptions options = {}) {
    start(disk, std::move(options));
    ASSERT_THAT(guest().wait_for_console(because, boot_limit), support::Succeeds());
    ASSERT_THAT(guest().wait_for_boot(boot_limit), support::Succeeds());
    EXPECT_EQ(version(), "1.0.0");
    guest().cut_power();
    EXPECT_THAT(disk.entries(), ElementsAre("story_1.0.0.efi", "story_2.0.0+0-1.efi"));
  }
  void SetUp() override { disk.rename_entry("story_2.0.0+3-0.efi", "story_2.0.0+1-0.efi"); }

  /// Changes a byte of the new version's UKI.
  void spoil_uki(std::string_view behind) {
    std::string uki = disk.entry("story_2.0.0+1-0.efi");
    const std::size_t at = uki.find(behind);
    ASSERT_NE(at, std::string::npos);
    char& byte = uki[at + behind.size()];
    byte = byte == '0' ? '1' : '0';
    const support::TemporaryDirectory directory;
    disk.put_entry(directory.write("spoiled.efi", uki), "story_2.0.0+1-0.efi");
  }

  const StoryDisk disk{"two.raw"};
};

TEST_F(ASpoiledVersion, FallsBackWhenItsRootIsSpoiled) {
  disk.flip_byte(5, disk.find_in(5, support::slurp(KEELSON_STORY_AGENT)) + 1000);
  falls_back("is corrupted");
}

TEST_F(ASpoiledVersion, FallsBackWhenItsHashTreeIsSpoiled) {
  constexpr std::uint64_t top_block = 4096;
  disk.flip_byte(6, top_block + 100);
  falls_back("is corrupted");
}

TEST_F(ASpoiledVersion, FallsBackWhenItsSignatureIsSpoiled) {
  disk.flip_byte(7, 200);
  falls_back("signature");
}

TEST_F(ASpoiledVersion, FallsBackWhenItsCommandLineNamesAnotherRoot) {
  // Secure Boot would not let that command line through; so a machine without keys, which finds none to enrol.
  spoil_uki("roothash=");
  disk.remove_keys();
  const support::TemporaryDirectory directory;
  falls_back("no disk has both partitions of the root",
             {.variables = directory.write("variables.fd", support::slurp(firmware_variables))});
}

}  // namespace
}  // namespace qemu
