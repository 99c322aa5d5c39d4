// The kernel judges verity/device: each test boots one, with verity_device_guest as PID 1, and reads its console.
// Trees and parity come from veritysetup, so that nothing of ours vouches for ours.

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>

#include "base/file.hpp"
#include "base/subprocess.hpp"
#include "qemu-tests/support/machine.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/pattern.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

using support::Succeeds;
using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

constexpr std::size_t block_size = 4096;
constexpr std::size_t data_blocks = 4096;

// What the verity target needs on Debian's 6.1 cloud kernel, in the order of their dependencies; SHA-256 is built in.
const std::vector<std::string>& modules() {
  static const std::vector<std::string> list = {
      "drivers/virtio/virtio_ring.ko",
      "drivers/virtio/virtio.ko",
      "drivers/virtio/virtio_pci_modern_dev.ko",
      "drivers/virtio/virtio_pci_legacy_dev.ko",
      "drivers/virtio/virtio_pci.ko",
      "drivers/block/virtio_blk.ko",
      "lib/reed_solomon/reed_solomon.ko",
      "drivers/md/dm-mod.ko",
      "drivers/md/dm-bufio.ko",
      "drivers/md/dm-verity.ko",
  };
  return list;
}

/// Changes one byte.
void flip(const std::string& path, std::uint64_t offset) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(static_cast<std::streamoff>(offset));
  const int old = file.get();
  file.seekp(static_cast<std::streamoff>(offset));
  file.put(static_cast<char>(old ^ 1));
  ASSERT_TRUE(file.good()) << path;
}

/// 16 MiB of data with its tree of 33 blocks (block 0 of the hash device is the superblock, 1 the top of the tree, 2 to
/// 33 the level above the data) and its parity.
class VerityDevice : public testing::Test {
 protected:
  void SetUp() override {
    const auto found = qemu::test_kernel();
    ASSERT_THAT(found, Succeeds());
    machine_.kernel = *found;
    const base::Bytes content = support::pattern(data_blocks * block_size);
    directory_.write("data", base::text_of(content));
    directory_.write("expected", base::text_of(content));
    const auto formatted =
        base::run_checked({.argv = {"/usr/sbin/veritysetup", "format", "--salt=5ea1",
                                    "--uuid=c12a7328-f81f-41d2-ba4b-00a0c93ec93b", "--fec-device=" + path("parity"),
                                    "--root-hash-file=" + path("root-hash"), path("data"), path("hash")},
                           .environment = std::nullopt,
                           .working_directory = "",
                           .input = "",
                           .time_limit = std::chrono::seconds(60)});
    ASSERT_THAT(formatted, Succeeds());
    root_hash_ = base::read_file(path("root-hash"), 64).value();
    machine_.initramfs = path("initramfs");
    machine_.disks = {path("data"), path("hash"), path("expected")};
    ASSERT_THAT(qemu::make_initramfs(machine_.initramfs, KEELSON_GUEST, machine_.kernel, modules()), Succeeds());
  }

  std::string path(std::string_view name) const { return directory_.path(name); }
  void attach_parity() { machine_.disks.push_back(path("parity")); }

  /// Boots, and returns the console.
  std::string told(const std::string& story, const std::string& root_hash) {
    machine_.command_line = "keelson.story=" + story + " roothash=" + root_hash;
    const auto console = qemu::run(machine_);
    EXPECT_THAT(console, Succeeds());
    return console.value_or("");
  }
  std::string told(const std::string& story) { return told(story, root_hash_); }

  /// A table as the kernel says it; device numbers stand for paths.
  std::string table_with(const std::string& options) const {
    return "table=1 [0-9]+:0 [0-9]+:16 4096 4096 4096 1 sha256 " + root_hash_ + " 5ea1" + options + "\r";
  }

 private:
  support::TemporaryDirectory directory_;
  qemu::Machine machine_;
  std::string root_hash_;
};

constexpr const char* all_equal = "4096 blocks equal, 0 unreadable, 0 different; size 16777216";

TEST_F(VerityDevice, LivesFromActivationToRemoval) {
  const std::string console = told("lifecycle");
  EXPECT_THAT(console, HasSubstr("STORY without dm-mod: not_found: /dev/mapper/control is not there: the kernel has no "
                                 "device-mapper (module dm-mod)"));
  EXPECT_THAT(console, HasSubstr("STORY without dm-verity: unsupported: activating the verity device story: the kernel "
                                 "has no verity target (module dm-verity)"));
  EXPECT_THAT(console, HasSubstr("STORY after the refusal: not_found: "));
  EXPECT_THAT(console, HasSubstr("STORY good device: /dev/dm-0\r"));
  EXPECT_THAT(console, HasSubstr("STORY good reading: " + std::string(all_equal)));
  EXPECT_THAT(console, ContainsRegex("STORY good status: active read-only open=0 "
                                     "uuid=CRYPT-VERITY-c12a7328f81f41d2ba4b00a0c93ec93b-story verified " +
                                     table_with("")));
  EXPECT_THAT(console, HasSubstr("STORY after removal: not_found: "));
  EXPECT_THAT(console, HasSubstr("STORY removed again: not_found: "));
  EXPECT_THAT(console, HasSubstr("STORY activated twice: busy: "));
  EXPECT_THAT(console, HasSubstr("STORY after the second: active read-only open=0 "));
  EXPECT_THAT(console, HasSubstr("STORY written to: permission: "));
  EXPECT_THAT(console, HasSubstr("STORY removed while open: busy: "));
  EXPECT_THAT(console, HasSubstr("STORY removed when unused: ok\r"));
  EXPECT_THAT(console, HasSubstr("STORY until then: active read-only removal-deferred open=1 "));
  EXPECT_THAT(console, HasSubstr("STORY once closed: not_found: "));
  EXPECT_THAT(console, HasSubstr("STORY end: ok\r"));
}

TEST_F(VerityDevice, KeepsItsOptions) {
  attach_parity();
  const std::string console = told("options");
  const std::string parity = "use_fec_from_device [0-9]+:48 fec_start 0 fec_blocks 4129 fec_roots 2";
  struct Case {
    std::string label;
    std::string words;
  };
  for (const Case& c : std::vector<Case>{
           {"restart", " 1 restart_on_corruption"},
           {"panic", " 1 panic_on_corruption"},
           {"ignore", " 1 ignore_corruption"},
           {"zeros", " 1 ignore_zero_blocks"},
           {"once", " 1 check_at_most_once"},
           {"parity", " 8 " + parity},
           {"together", " 11 panic_on_corruption ignore_zero_blocks check_at_most_once " + parity},
       }) {
    EXPECT_THAT(console, HasSubstr("STORY " + c.label + " reading: " + all_equal));
    EXPECT_THAT(console, ContainsRegex("STORY " + c.label + " status: active read-only open=0 uuid=[^ ]+ verified " +
                                       table_with(c.words)));
  }
  EXPECT_THAT(console, HasSubstr("STORY end: ok\r"));
}

TEST_F(VerityDevice, LeavesNothingBehindWhenTheKernelRefusesItsTable) {
  const std::string console = told("refusals");
  EXPECT_THAT(console, HasSubstr("STORY no such device: not_found: "));
  EXPECT_THAT(console, HasSubstr("STORY no such device, after: not_found: "));
  EXPECT_THAT(console, HasSubstr("STORY tree beyond its device: invalid_input: "));
  EXPECT_THAT(console, HasSubstr("STORY tree beyond its device, after: not_found: "));
  EXPECT_THAT(console, HasSubstr("STORY no such key: unsupported: "));
  EXPECT_THAT(console, HasSubstr("STORY no such key, after: not_found: "));
  EXPECT_THAT(console, HasSubstr("STORY end: ok\r"));
}

TEST_F(VerityDevice, RefusesToReadACorruptDataBlock) {
  flip(path("data"), 1234 * block_size + 17);
  const std::string console = told("read");
  EXPECT_THAT(console, HasSubstr("STORY read reading: 4095 blocks equal, 1 unreadable (first 1234: io: "));
  EXPECT_THAT(console, HasSubstr("Input/output error), 0 different"));
  EXPECT_THAT(console, HasSubstr("data block 1234 is corrupted"));  // the kernel's own words
  EXPECT_THAT(console, ContainsRegex("STORY read status: active read-only [^ ]+ [^ ]+ corrupted "));
}

TEST_F(VerityDevice, RefusesToReadWhatACorruptTreeBlockVouchesFor) {
  flip(path("hash"), 5 * block_size);  // of data blocks 384 to 511: the fourth block of level 0
  const std::string console = told("read");
  EXPECT_THAT(console, HasSubstr("STORY read reading: 3968 blocks equal, 128 unreadable (first 384: io: "));
  EXPECT_THAT(console, HasSubstr("metadata block 5 is corrupted"));
  EXPECT_THAT(console, ContainsRegex("STORY read status: active read-only [^ ]+ [^ ]+ corrupted "));
}

TEST_F(VerityDevice, ReadsNothingUnderAnotherRootHash) {
  const std::string console = told("read", std::string(64, 'a'));
  EXPECT_THAT(console, HasSubstr("STORY read reading: 0 blocks equal, 4096 unreadable (first 0: io: "));
  EXPECT_THAT(console, ContainsRegex("STORY read status: active read-only [^ ]+ [^ ]+ corrupted table=1 .* " +
                                     std::string(64, 'a') + " 5ea1"));
}

TEST_F(VerityDevice, HandsOutACorruptBlockOnlyWhenToldToIgnoreIt) {
  flip(path("data"), 1234 * block_size + 17);
  const std::string console = told("read keelson.on_corruption=ignore");
  EXPECT_THAT(console, HasSubstr("STORY read reading: 4095 blocks equal, 0 unreadable, 1 different"));
  EXPECT_THAT(console, ContainsRegex("STORY read status: active read-only [^ ]+ [^ ]+ corrupted "));
}

TEST_F(VerityDevice, IsRepairedByTheKernelFromItsParity) {
  flip(path("data"), 1234 * block_size + 17);
  attach_parity();
  const std::string console = told("read");
  EXPECT_THAT(console, HasSubstr("STORY read reading: " + std::string(all_equal)));
  EXPECT_THAT(console, ContainsRegex("STORY read status: active read-only [^ ]+ [^ ]+ verified "));
}

// To repair a tree block the kernel (seen in 6.1) reads data blocks of the same codewords and wants them checked; where
// one lies below the very tree block, repairs nest until DM_VERITY_FEC_MAX_RECURSION, and giving up there counts as
// corruption although the outer repair succeeds. Should a newer kernel make these two fail, see OnCorruption's comment.
TEST_F(VerityDevice, CountsAsCorruptedWhenItsTreeWasRepaired) {
  flip(path("hash"), 5 * block_size);
  attach_parity();
  const std::string console = told("read");
  EXPECT_THAT(console, HasSubstr("STORY read reading: " + std::string(all_equal)));
  EXPECT_THAT(console, ContainsRegex("STORY read status: active read-only [^ ]+ [^ ]+ corrupted "));
}

TEST_F(VerityDevice, RestartsTheMachineForATreeBlockThatItCouldHaveRepaired) {
  flip(path("hash"), 5 * block_size);
  attach_parity();
  const std::string console = told("read keelson.on_corruption=restart");
  EXPECT_THAT(console, AllOf(HasSubstr("STORY read device: "), HasSubstr("metadata block 5 is corrupted")));
  EXPECT_THAT(console, Not(HasSubstr("STORY read reading")));
}

TEST_F(VerityDevice, RestartsTheMachineWhenToldTo) {
  flip(path("data"), 1234 * block_size + 17);
  const std::string console = told("read keelson.on_corruption=restart");
  EXPECT_THAT(console, AllOf(HasSubstr("STORY read device: "), HasSubstr("data block 1234 is corrupted")));
  EXPECT_THAT(console, AllOf(Not(HasSubstr("STORY read reading")), Not(HasSubstr("panic - not syncing"))));
}

TEST_F(VerityDevice, PanicsWhenToldTo) {
  flip(path("data"), 1234 * block_size + 17);
  const std::string console = told("read keelson.on_corruption=panic");
  EXPECT_THAT(console,
              AllOf(HasSubstr("STORY read device: "), HasSubstr("panic - not syncing: dm-verity device corrupted")));
  EXPECT_THAT(console, Not(HasSubstr("STORY read reading")));
}

}  // namespace
