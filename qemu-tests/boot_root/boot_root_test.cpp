// keelson-init starts a container host of real packages (scripts/fetch-test-root): from its tar archive to a disk, as a
// builder makes it, and from the disk to multi-user.target. A unit of the root (overlay/) tells what it looks like from
// inside; here that is judged.

#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>

#include "base/json.hpp"
#include "image/disk.hpp"
#include "image/initrd.hpp"
#include "qemu-tests/support/machine.hpp"
#include "tests/support/files.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/program.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/test_root.hpp"

namespace {

namespace fs = std::filesystem;
using support::output_of;
using support::Succeeds;
using support::test_root;
using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

constexpr std::uint64_t mib = image::mib;
constexpr std::size_t block_size = 4096;
/// Only as much of the host as the telling needs, for stories that end before there is one: half the time.
constexpr const char* telling_only = "systemd.unit=keelson-test-story.service";

std::string keelson(std::vector<std::string> arguments) {
  const auto result = support::keelson(std::move(arguments));
  EXPECT_EQ(result.exit_status, 0) << result.errors;
  return result.output;
}

std::size_t count_of(std::string_view text, std::string_view what) {
  std::size_t count = 0;
  for (std::size_t at = text.find(what); at != std::string_view::npos; at = text.find(what, at + what.size())) ++count;
  return count;
}

/// What follows `STORY <what>: ` on its line.
std::string told(const std::string& console, const std::string& what) {
  const std::string start = "STORY " + what + ": ";
  const std::size_t at = console.find(start);
  if (at == std::string::npos) return "(nothing of that)";
  const std::string_view rest = std::string_view(console).substr(at + start.size());
  return std::string(rest.substr(0, rest.find_first_of("\r\n")));
}

/// Made once for all the stories: it is half a gigabyte.
class BootRoot : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    ASSERT_TRUE(fs::exists(test_root())) << test_root() << " is missing: run scripts/fetch-test-root";
    directory = new support::TemporaryDirectory;
    commit_root();
    check_out({"/usr/lib/modules", "/usr/lib/systemd/systemd"});
    compose();
    make_initrd();
    make_disk();
  }
  static void TearDownTestSuite() {
    delete directory;
    directory = nullptr;
  }

  static std::string path(const std::string& name) { return directory->path(name); }

  static void commit_root() {
    keelson({"-q", "commit", "--repo", path("repo"), "--mode", ::geteuid() == 0 ? "bare" : "bare-user", "--tar",
             test_root(), "--ref", "os"});
    // As a tar of files alone, of root's: directories keep what they are, whoever has checked this folder out.
    output_of({"sh", "-c",
               "cd \"$1\" && find . ! -type d -print0 | tar --create --null --no-recursion --files-from=- "
               "--owner=0 --group=0 --mode=u=rwX,go=rX --file=\"$2\"",
               "sh", KEELSON_SOURCE "/qemu-tests/boot_root/overlay", path("overlay.tar")});
    keelson({"-q", "commit", "--repo", path("repo"), "--base", "os", "--tar", path("overlay.tar"), "--ref", "os"});
  }

  static void check_out(const std::vector<std::string>& subpaths) {
    for (const std::string& subpath : subpaths) {
      std::vector<std::string> argv = {"ostree", "--repo=" + path("repo"),          "checkout", "--subpath=" + subpath,
                                       "os",     path(fs::path(subpath).filename())};
      if (::geteuid() != 0) argv.insert(argv.begin() + 3, "--user-mode");
      output_of(argv);
    }
  }

  static void compose() {
    const auto json = base::parse_json(
        keelson({"--json", "compose", "--repo", path("repo"), "--commit", "os", "--out", path("root.erofs"), "--verity",
                 path("root.verity"), "--image-id", "node", "--image-version", "1.0.0"}));
    ASSERT_THAT(json, Succeeds());
    root_hash = (*json)["root_hash"].get<std::string>();
  }

  static void make_initrd() {
    const std::string modules = fs::directory_iterator(path("modules"))->path();
    kernel = {modules + "/vmlinuz", modules + "/kernel"};
    const std::string init = support::slurp(KEELSON_INIT);
    const auto initrd = image::build_initrd(
        {.init = base::bytes_of(init),
         .modules = {"virtio_pci", "virtio_blk", "dm-verity", "erofs", "loop", "efivarfs", "overlay"},
         .kernel_files = image::kernel_files_in(modules)});
    ASSERT_THAT(initrd, Succeeds());
    directory->write("initrd", base::text_of(initrd->archive));
  }

  static void make_disk() {
    const auto hash = verity::RootHash::parse(root_hash);
    ASSERT_THAT(hash, Succeeds());
    const std::string loader = "no firmware looks at this";
    const auto written = image::assemble_disk({.identity = *image::ImageIdentity::of("node", "1.0.0"),
                                               .root_hash = *hash,
                                               .root_image = path("root.erofs"),
                                               .hash_tree = path("root.verity"),
                                               .signature = std::nullopt,
                                               .esp = {.boot_loader = base::bytes_of(loader)},
                                               .timestamp = {}},
                                              {}, path("disk.raw"));
    ASSERT_THAT(written, Succeeds());
    root_offset = written->layout.table.partitions.at(1).offset_bytes;
  }

  /// A disk with the image on it and `room` bytes behind it.
  static std::string disk_with_room(const std::string& name, std::uint64_t room) {
    output_of({"cp", "--sparse=always", "--reflink=auto", path("disk.raw"), path(name)});
    fs::resize_file(path(name), fs::file_size(path(name)) + room);
    return path(name);
  }

  /// Boots, and returns the console.
  static std::string booted(const std::string& disk, const std::string& words = "") {
    const auto console =
        qemu::run({.kernel = kernel,
                   .initramfs = path("initrd"),
                   .command_line = "roothash=" + root_hash + " systemd.verity=no systemd.show_status=no " + words,
                   .writable_disks = {disk},
                   .memory_mib = 768,
                   .time_limit = std::chrono::seconds(240)});
    EXPECT_THAT(console, Succeeds());
    return console.value_or("");
  }

  static inline support::TemporaryDirectory* directory = nullptr;
  static inline qemu::TestKernel kernel;
  static inline std::string root_hash;
  static inline std::uint64_t root_offset = 0;
};

TEST_F(BootRoot, BringsAHostUpAndKeepsWhatIsItsOwn) {
  const std::string disk = disk_with_room("disk", 1024 * mib);
  const std::string first = booted(disk, "keelson.debug");
  SCOPED_TRACE("first boot:\n" + first);
  EXPECT_THAT(told(first, "/"), HasSubstr("/dev/mapper/root erofs ro"));
  EXPECT_THAT(told(first, "root is behind"), ContainsRegex("^root CRYPT-VERITY-[0-9a-f]{32}-root $"));
  EXPECT_THAT(told(first, "/var"), HasSubstr("/dev/vda8 ext4 rw,nodev,"));
  EXPECT_THAT(told(first, "/etc"), HasSubstr("/dev/vda8[/lib/keelson/etc/" + root_hash + "] ext4 rw,nodev,"));
  EXPECT_EQ(told(first, "/proc"), "proc proc rw,nosuid,nodev,noexec,relatime");
  EXPECT_EQ(told(first, "/sys"), "sysfs sysfs rw,nosuid,nodev,noexec,relatime");
  EXPECT_THAT(told(first, "/dev"), HasSubstr("devtmpfs devtmpfs rw,nosuid,"));
  EXPECT_THAT(told(first, "/run"), HasSubstr("tmpfs tmpfs rw,nosuid,nodev,"));
  EXPECT_EQ(told(first, "etc is other than brought"), "");
  EXPECT_EQ(told(first, "containerd"), "active");
  EXPECT_EQ(told(first, "trace"), "none");
  EXPECT_THAT(told(first, "machine-id"), ContainsRegex("^[0-9a-f]{32}$"));
  EXPECT_THAT(first, Not(HasSubstr("keelson-init: warning")));
  EXPECT_THAT(told(first, "lines of the init in the kernel's log"), Not("0"));
  EXPECT_THAT(first, HasSubstr("ms: data on /dev/vda2, hash tree on /dev/vda3"));

  const std::string second = booted(disk, telling_only);
  SCOPED_TRACE("second boot:\n" + second);
  EXPECT_EQ(told(second, "trace"), "here");
  EXPECT_EQ(told(second, "machine-id"), told(first, "machine-id"));
  EXPECT_THAT(told(second, "/var"), HasSubstr("/dev/vda8 ext4 rw,nodev,"));
  EXPECT_THAT(second, Not(HasSubstr("keelson-init:")));  // nothing to say
}

TEST_F(BootRoot, GoesOnInMemoryWhereTheDiskHasNoRoomForVar) {
  const std::string console = booted(disk_with_room("full", 0), telling_only);
  SCOPED_TRACE(console);
  EXPECT_THAT(told(console, "/var"), HasSubstr("tmpfs tmpfs rw,nodev,"));
  EXPECT_THAT(told(console, "/"), HasSubstr("/dev/mapper/root erofs ro"));
  EXPECT_EQ(count_of(console,
                     "keelson-init: warning: the disk vda has no partition for /var: what is written there is "
                     "lost at the next boot"),
            1U);
}

TEST_F(BootRoot, NeedsOnlyOneSoundCopyOfThePartitionTable) {
  const std::string disk = disk_with_room("cut", 0);
  support::flip_byte(disk, 2 * 512 + 1);  // the first entry of the first copy: its checksum does not hold any more
  const std::string console = booted(disk, telling_only);
  SCOPED_TRACE(console);
  EXPECT_THAT(told(console, "/"), HasSubstr("/dev/mapper/root erofs ro"));
}

/// Where in the image a file begins.
std::uint64_t place_in_image(const std::string& image, const std::string& file) {
  const std::string wanted = support::slurp(file).substr(0, block_size);
  std::ifstream stream(image, std::ios::binary);
  std::string block(block_size, '\0');
  for (std::uint64_t at = 0; stream.read(block.data(), block_size); at += block_size) {
    if (block == wanted) return at;
  }
  ADD_FAILURE() << image << " does not hold " << file;
  return 0;
}

TEST_F(BootRoot, RestartsTheMachineForACorruptBlock) {
  const std::string disk = disk_with_room("corrupt", 0);
  const std::uint64_t place = place_in_image(path("root.erofs"), path("systemd/systemd"));
  support::flip_byte(disk, root_offset + place + 64);
  const std::string console = booted(disk);
  SCOPED_TRACE(console);
  EXPECT_THAT(console, HasSubstr("data block " + std::to_string(place / block_size) + " is corrupted"));
  EXPECT_THAT(console, AllOf(Not(HasSubstr("STORY")), Not(HasSubstr("panic - not syncing"))));
}

TEST_F(BootRoot, PanicsForACorruptBlockWhenToldTo) {
  const std::string disk = disk_with_room("corrupt", 0);
  support::flip_byte(disk, root_offset + 1024);  // the superblock of the EROFS
  const std::string console = booted(disk, "keelson.verity=panic");
  SCOPED_TRACE(console);
  EXPECT_THAT(console, AllOf(HasSubstr("data block 0 is corrupted"),
                             HasSubstr("panic - not syncing: dm-verity device corrupted")));
  EXPECT_THAT(console, Not(HasSubstr("STORY")));
}

TEST_F(BootRoot, SaysWhyAndRestartsWhereTheRootIsNotFound) {
  directory->write("empty", std::string(mib, '\0'));
  const std::string console = booted(path("empty"));
  SCOPED_TRACE(console);
  EXPECT_EQ(count_of(console,
                     "keelson-init: no disk has both partitions of the root " + root_hash + " after 30 s; seen: vda ("),
            1U);
  EXPECT_EQ(count_of(console, "keelson-init: "), 1U);
  EXPECT_THAT(console, HasSubstr("reboot: Restarting system"));
}

TEST_F(BootRoot, SaysWhyAndRestartsWhereItIsToldNothingOfUse) {
  const std::string console = booted(path("disk.raw"), "keelson.verity=maybe");
  SCOPED_TRACE(console);
  EXPECT_EQ(count_of(console, "keelson-init: the command line says keelson.verity=maybe; it may be restart or panic"),
            1U);
  EXPECT_THAT(console, HasSubstr("reboot: Restarting system"));
}

}  // namespace
