// A container host of real packages (scripts/fetch-test-root), from its tar archive to a disk, before every outside
// judge: ostree, tar, the kernel's own EROFS where it may be mounted, fsck.erofs, dump.erofs, mkfs.erofs, veritysetup,
// sfdisk, sgdisk, fsck.vfat, mtools, sbverify, systemd-dissect.

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "base/json.hpp"
#include "image/authenticode.hpp"
#include "image/disk.hpp"
#include "image/initrd.hpp"
#include "image/uki.hpp"
#include "tests/support/files.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/program.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/test_root.hpp"
#include "verity/root_hash_signature.hpp"

namespace {

using support::output_of;
using support::run_program;
using support::Succeeds;
using support::test_root;
using testing::HasSubstr;

constexpr const char* keys = KEELSON_TEST_DATA "/keys/";
constexpr std::uint64_t release_time = 1795219200;

/// Everything about a tree in one digest: paths, types, modes, owners, targets, extended attributes, bytes.
std::string digest_of(const std::string& directory) {
  return output_of({"sh", "-c",
                    "tar --create --format=pax --pax-option=delete=atime,delete=ctime --xattrs --xattrs-include='*' "
                    "--sort=name --mtime=@0 --numeric-owner --hard-dereference --exclude=./ostree/repo "
                    "--directory=\"$1\" . | sha256sum",
                    "sh", directory});
}

/// A read-only mount of an image on a loop device; without the right to mount, an extraction of it.
class Mounted {
 public:
  explicit Mounted(const std::string& image, const std::string& at) : at_(at) {
    std::filesystem::create_directories(at);
    const auto mount = run_program({"mount", "-t", "erofs", "-o", "ro,loop", image, at});
    by_kernel_ = mount.exit_status == 0;
    if (by_kernel_) return;
    std::filesystem::remove(at);
    output_of({"fsck.erofs", "--extract=" + at, image});
  }
  Mounted(const Mounted&) = delete;
  Mounted& operator=(const Mounted&) = delete;
  ~Mounted() {
    if (by_kernel_) run_program({"umount", at_});
  }
  bool by_kernel() const { return by_kernel_; }

 private:
  std::string at_;
  bool by_kernel_ = false;
};

/// Made once for all the tests: it is half a gigabyte.
class RealRoot : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    ASSERT_TRUE(std::filesystem::exists(test_root())) << test_root() << " is missing: run scripts/fetch-test-root";
    directory = new support::TemporaryDirectory;
    const auto committed = support::keelson({"--json", "commit", "--repo", path("repo"), "--mode",
                                             ::geteuid() == 0 ? "bare" : "bare-user", "--tar", test_root(), "--ref",
                                             "os", "--version", "1", "--time", std::to_string(release_time)});
    ASSERT_EQ(committed.exit_status, 0) << committed.errors;
    commit = output_of({"ostree", "--repo=" + path("repo"), "rev-parse", "os"});
    std::vector<std::string> checkout = {"ostree", "--repo=" + path("repo"), "checkout", "os", path("checkout")};
    if (::geteuid() != 0) checkout.insert(checkout.begin() + 3, "--user-mode");
    output_of(checkout);
    root_hash = compose(path("repo"), "root");
  }
  static void TearDownTestSuite() {
    delete directory;
    directory = nullptr;
  }

  static std::string path(const std::string& name) { return directory->path(name); }

  static std::vector<std::string> compose_arguments(const std::string& repository, const std::string& name) {
    return {"--json",          "compose",
            "--repo",          repository,
            "--commit",        commit,
            "--out",           path(name + ".erofs"),
            "--verity",        path(name + ".verity"),
            "--image-id",      "node",
            "--image-version", "1.0.0"};
  }
  /// Composes to <name>.erofs and <name>.verity; returns the root hash.
  static std::string compose(const std::string& repository, const std::string& name) {
    const auto composed = support::keelson(compose_arguments(repository, name));
    EXPECT_EQ(composed.exit_status, 0) << composed.errors;
    const auto json = base::parse_json(composed.output);
    return json ? (*json)["root_hash"].get<std::string>() : "";
  }

  static bool same(const std::string& a, const std::string& b) {
    return run_program({"cmp", path(a), path(b)}).exit_status == 0;
  }

  static inline support::TemporaryDirectory* directory = nullptr;
  static inline std::string commit;
  static inline std::string root_hash;
};

TEST_F(RealRoot, IsAcceptedByFsckAndDumpAndVeritysetup) {
  EXPECT_EQ(run_program({"fsck.erofs", path("root.erofs")}).exit_status, 0);
  EXPECT_THAT(output_of({"dump.erofs", "-s", path("root.erofs")}), HasSubstr("Filesystem magic number:"));
  EXPECT_EQ(support::veritysetup({"verify", path("root.erofs"), path("root.verity"), root_hash}).exit_status, 0);
}

TEST_F(RealRoot, IsWhatOstreeChecksOut) {
  const Mounted mounted(path("root.erofs"), path("mounted"));
  if (mounted.by_kernel()) {
    EXPECT_EQ(digest_of(path("mounted")), digest_of(path("checkout")));
  } else {  // fsck.erofs gives neither owners nor all modes back
    const auto difference =
        run_program({"diff", "--recursive", "--no-dereference", "--exclude=repo", path("mounted"), path("checkout")});
    EXPECT_EQ(difference.exit_status, 0) << difference.output;
  }
}

TEST_F(RealRoot, IsARepositoryOfItself) {
  const Mounted mounted(path("root.erofs"), path("mounted-repo"));
  const std::string repository = path("mounted-repo") + "/ostree/repo";
  EXPECT_EQ(output_of({"ostree", "--repo=" + repository, "rev-parse", "os"}), commit);
  if (mounted.by_kernel()) {
    const auto fsck = run_program({"ostree", "--repo=" + repository, "fsck"});
    EXPECT_EQ(fsck.exit_status, 0) << fsck.output << fsck.errors;
    // A node: the running root below, and what an update brings above it. Here it brings nothing.
    output_of({"ostree", "--repo=" + path("scratch"), "init", "--mode=bare"});
    output_of({"ostree", "--repo=" + path("scratch"), "config", "set", "core.parent", repository});
    EXPECT_EQ(compose(path("scratch"), "scratch"), root_hash);
    EXPECT_TRUE(same("scratch.erofs", "root.erofs"));
    EXPECT_TRUE(same("scratch.verity", "root.verity"));
    std::filesystem::remove(path("scratch.erofs"));
  }
}

TEST_F(RealRoot, IsNoLargerThanThatOfMkfs) {
  const std::string theirs = path("theirs.erofs");
  const auto made = run_program({"mkfs.erofs", "--quiet", "-T0", theirs, path("checkout")});
  ASSERT_EQ(made.exit_status, 0) << made.errors;
  const auto plain = support::keelson({"-q", "compose", "--repo", path("repo"), "--commit", commit,
                                       "--no-embedded-repo", "--out", path("plain.erofs")});
  ASSERT_EQ(plain.exit_status, 0) << plain.errors;
  const double mkfs = static_cast<double>(std::filesystem::file_size(theirs));
  const double without = static_cast<double>(std::filesystem::file_size(path("plain.erofs")));
  const double with = static_cast<double>(std::filesystem::file_size(path("root.erofs")));
  EXPECT_LE(without / mkfs, 1.01);
  EXPECT_LE(with / without, 1.005);
  std::filesystem::remove(theirs);
  std::filesystem::remove(path("plain.erofs"));
}

TEST_F(RealRoot, IsTheSameUnderOtherCircumstances) {
  // Another working directory, mask, time zone, language, number of processors, date, host name, and file system.
  const std::string elsewhere = std::filesystem::is_directory("/dev/shm") ? "/dev/shm" : "/tmp";
  const std::string copy = output_of({"mktemp", "-d", elsewhere + "/keelson-test.XXXXXX"}) + "/repo";
  output_of({"cp", "-a", path("repo"), copy});
  std::vector<std::string> argv = {"sh",
                                   "-c",
                                   "cd / && umask 077 && exec \"$@\"",
                                   "sh",
                                   "env",
                                   "TZ=Pacific/Chatham",
                                   "LANG=tr_TR.UTF-8",
                                   "LC_ALL=C.UTF-8",
                                   "SOURCE_DATE_EPOCH=1",
                                   "taskset",
                                   "--cpu-list",
                                   "0",
                                   "faketime",
                                   "2031-07-01"};
  if (::geteuid() == 0) {
    const std::vector<std::string> host = {"unshare", "--uts", "sh", "-c", "hostname elsewhere; exec \"$@\"", "sh"};
    argv.insert(argv.end() - 2, host.begin(), host.end());
  }
  argv.emplace_back(KEELSON_PROGRAM);
  for (const std::string& argument : compose_arguments(copy, "again")) argv.push_back(argument);
  const auto again = run_program(argv);
  std::filesystem::remove_all(std::filesystem::path(copy).parent_path());
  ASSERT_EQ(again.exit_status, 0) << again.errors;
  EXPECT_TRUE(same("again.erofs", "root.erofs"));
  EXPECT_TRUE(same("again.verity", "root.verity"));
  std::filesystem::remove(path("again.erofs"));
}

TEST_F(RealRoot, BecomesADiskThatEveryJudgeAccepts) {
  const std::string modules = std::filesystem::directory_iterator(path("checkout") + "/usr/lib/modules")->path();
  const std::string release = std::filesystem::path(modules).filename();
  // The initrd's own program comes with the boot work; any static one gives it its place here.
  const std::string init = support::slurp(path("checkout") + "/usr/sbin/ldconfig");
  const auto initrd = image::build_initrd({.init = base::bytes_of(init),
                                           .modules = {"virtio_blk", "dm-verity", "erofs", "overlay"},
                                           .kernel_files = image::kernel_files_in(modules),
                                           .compression = image::InitrdCompression::zstd});
  ASSERT_THAT(initrd, Succeeds());
  const std::string kernel = support::slurp(modules + "/vmlinuz");
  const std::string stub = support::slurp("/usr/lib/systemd/boot/efi/linuxx64.efi.stub");
  const std::string loader = support::slurp("/usr/lib/systemd/boot/efi/systemd-bootx64.efi");
  const std::string os_release = "ID=node\nPRETTY_NAME=\"Node 1.0.0\"\nIMAGE_ID=node\nIMAGE_VERSION=1.0.0\n";
  const std::string cmdline = "roothash=" + root_hash + " quiet";
  const auto uki = image::assemble_uki(base::bytes_of(stub), {.os_release = base::bytes_of(os_release),
                                                              .cmdline = base::bytes_of(cmdline),
                                                              .uname = base::bytes_of(release),
                                                              .initrd = initrd->archive,
                                                              .kernel = base::bytes_of(kernel)});
  ASSERT_THAT(uki, Succeeds());
  const std::string certificate = std::string(keys) + "rsa-2048.crt.pem";
  const auto signer = verity::read_certificate(certificate);
  const auto key = verity::read_private_key(std::string(keys) + "rsa-2048.key.pem");
  ASSERT_THAT(signer, Succeeds());
  ASSERT_THAT(key, Succeeds());
  const auto signed_uki = image::sign_pe(*uki, *key, *signer);
  const auto signed_loader = image::sign_pe(base::bytes_of(loader), *key, *signer);
  const auto hash = verity::RootHash::parse(root_hash);
  ASSERT_THAT(hash, Succeeds());
  const auto signature = verity::sign_root_hash(*hash, *key, *signer);
  ASSERT_THAT(signature, Succeeds());
  const image::DiskParts parts = {.identity = *image::ImageIdentity::of("node", "1.0.0"),
                                  .root_hash = *hash,
                                  .root_image = path("root.erofs"),
                                  .hash_tree = path("root.verity"),
                                  .signature = verity::SignaturePartition{*hash, signer->fingerprint(), *signature},
                                  .esp = {.boot_loader = *signed_loader,
                                          .loader_conf = {},
                                          .ukis = {{.name = {"node", "1.0.0", image::BootTries{3, 0}},
                                                    .content = image::FatContent::view(*signed_uki)}}},
                                  .timestamp = std::chrono::sys_seconds(std::chrono::seconds(release_time))};
  const std::string disk = path("disk.raw");
  const auto written = image::assemble_disk(parts, {}, disk);
  ASSERT_THAT(written, Succeeds());

  EXPECT_THAT(output_of({"sfdisk", "--verify", disk}), HasSubstr("No errors detected."));
  EXPECT_THAT(output_of({"sgdisk", "--verify", disk}), HasSubstr("No problems found."));
  const auto verified = support::keelson({"verify", disk, "--cert", certificate, "--secure-boot-cert", certificate});
  EXPECT_EQ(verified.exit_status, 0) << verified.output << verified.errors;
  const image::Partition& esp = written->layout.table.partitions.at(0);
  const std::string esp_file = path("esp.img");
  output_of({"dd", "if=" + disk, "of=" + esp_file, "bs=1M", "status=none", "conv=sparse",
             "skip=" + std::to_string(esp.offset_bytes / image::mib),
             "count=" + std::to_string(esp.size_bytes / image::mib)});
  EXPECT_EQ(run_program({"/usr/sbin/fsck.vfat", "-n", esp_file}).exit_status, 0);
  output_of({"mcopy", "-n", "-i", esp_file, "::/EFI/Linux/node_1.0.0+3-0.efi", path("node.efi")});
  EXPECT_EQ(run_program({"sbverify", "--cert", certificate, path("node.efi")}).exit_status, 0);
  struct stat status{};
  ASSERT_EQ(::stat(disk.c_str(), &status), 0);
  EXPECT_LT(static_cast<std::uint64_t>(status.st_blocks) * 512, 700 * image::mib);
  const auto dissect = run_program({"systemd-dissect", "--json=short", disk});
  if (dissect.exit_status == 0) {
    EXPECT_THAT(dissect.output, HasSubstr("root-verity"));
  }
}

}  // namespace
