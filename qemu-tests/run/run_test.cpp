// "keelson run" boots a whole disk, from the firmware on, and leaves nothing: neither a changed image nor a file.

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "base/file.hpp"
#include "builder/keys/keys.hpp"
#include "image/authenticode.hpp"
#include "image/compose.hpp"
#include "image/directory_source.hpp"
#include "image/disk.hpp"
#include "image/initrd.hpp"
#include "image/uki.hpp"
#include "qemu-tests/support/machine.hpp"
#include "tests/support/files.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/program.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

namespace fs = std::filesystem;

using base::bytes_of;
using support::run_program;
using support::slurp;
using support::Succeeds;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::chrono::sys_seconds timestamp{std::chrono::seconds(1795219200)};

/// One disk for all the tests: its UKI holds the test kernel and the guest, signed; its ESP the keys to enrol.
class Run : public testing::Test {
 protected:
  void SetUp() override {
    const auto kernel = qemu::test_kernel();
    ASSERT_THAT(kernel, Succeeds());
    ASSERT_THAT(builder::keys::make_keys(directory_.path("keys")), Succeeds());
    const auto keys = builder::keys::read_keys(directory_.path("keys"));
    ASSERT_THAT(keys, Succeeds());
    const auto uki = make_uki(*kernel);
    ASSERT_THAT(uki, Succeeds());
    const std::string loader = slurp("/usr/lib/systemd/boot/efi/systemd-bootx64.efi");
    const auto signed_uki = image::sign_pe(*uki, keys->secure_boot.key, keys->secure_boot.certificate);
    const auto signed_loader = image::sign_pe(bytes_of(loader), keys->secure_boot.key, keys->secure_boot.certificate);
    ASSERT_THAT(signed_uki, Succeeds());
    ASSERT_THAT(signed_loader, Succeeds());

    fs::create_directories(directory_.path("tree/usr"));
    directory_.write("tree/usr/file", "content");
    const auto source = image::read_directory(directory_.path("tree"));
    ASSERT_THAT(source, Succeeds());
    const auto identity = image::ImageIdentity::of("node", "1.0.0");
    ASSERT_THAT(identity, Succeeds());
    const auto composed = image::compose_root(
        source->tree, *source->contents,
        {.erofs = {.uuid = image::derive_uuid(*identity, image::role::root_filesystem), .time = 1795219200},
         .salt = image::derive_verity_salt(*identity),
         .hash_uuid = image::derive_uuid(*identity, image::role::verity_superblock)},
        {directory_.path("root.erofs"), directory_.path("root.verity")});
    ASSERT_THAT(composed, Succeeds());
    const image::DiskParts parts = {.identity = *identity,
                                    .root_hash = *composed->root_hash,
                                    .root_image = directory_.path("root.erofs"),
                                    .hash_tree = directory_.path("root.verity"),
                                    .signature = std::nullopt,
                                    .esp = {.boot_loader = *signed_loader,
                                            .loader_conf = {.secure_boot_enroll = image::SecureBootEnroll::force},
                                            .enroll_keys = keys->enroll_keys(),
                                            .ukis = {{.name = {"node", "1.0.0", image::BootTries{3, 0}},
                                                      .content = image::FatContent::view(*signed_uki)}}},
                                    .timestamp = timestamp};
    ASSERT_THAT(
        image::assemble_disk(parts, {.sizes = {.esp_bytes = 64 * image::mib, .root_bytes = 4 * image::mib}}, disk_),
        Succeeds());
    digest_ = sha256();
    fs::create_directory(scratch_);
  }

  /// Neither the image nor $TMPDIR shows that there was a machine.
  void TearDown() override {
    EXPECT_EQ(sha256(), digest_);
    EXPECT_TRUE(fs::is_empty(scratch_));
  }

  base::Command command(std::vector<std::string> arguments) const {
    std::vector<std::string> argv = {"env", "TMPDIR=" + scratch_, KEELSON_PROGRAM, "run", disk_, "--accel", "tcg"};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    return {.argv = std::move(argv), .time_limit = std::chrono::seconds(200)};
  }
  base::CommandResult keelson_run(std::vector<std::string> arguments) const {
    auto ended = base::run(command(std::move(arguments)));
    EXPECT_THAT(ended, Succeeds());
    return ended ? *ended : base::CommandResult();
  }

  const support::TemporaryDirectory directory_;
  const std::string disk_ = directory_.path("disk.raw");
  const std::string scratch_ = directory_.path("scratch");

 private:
  base::Result<base::Bytes> make_uki(const qemu::TestKernel& kernel) const {
    const fs::path modules = fs::path(kernel.modules_directory).parent_path();
    const std::string release = modules.filename();
    const std::string copy = directory_.path("lib/modules/" + release);
    fs::create_directories(copy);
    fs::copy(modules, copy, fs::copy_options::recursive);
    EXPECT_EQ(run_program({"/usr/sbin/depmod", "-b", directory_.path(), release}).exit_status, 0);
    const std::string init = slurp(KEELSON_GUEST);
    TRY(const image::Initrd initrd, image::build_initrd({.init = bytes_of(init),
                                                         .modules = {"virtio_pci", "virtio_blk"},
                                                         .kernel_files = image::kernel_files_in(copy)}));
    const std::string stub = slurp("/usr/lib/systemd/boot/efi/linuxx64.efi.stub");
    const std::string linux_image = slurp(kernel.image);
    return image::assemble_uki(
        bytes_of(stub), {.os_release = bytes_of("ID=node\nIMAGE_ID=node\nIMAGE_VERSION=1.0.0\nPRETTY_NAME=\"Node\"\n"),
                         .cmdline = bytes_of("console=ttyS0 panic=-1"),
                         .uname = bytes_of(release),
                         .initrd = initrd.archive,
                         .kernel = bytes_of(linux_image)});
  }
  std::string sha256() const { return run_program({"sha256sum", disk_}).output; }

  std::string digest_;
};

TEST_F(Run, BootsADiskAndLeavesNothing) {
  const auto ended = keelson_run({"--until", "STORY ends well", "--timeout", "110", "--disk-size", "1GiB", "--memory",
                                  "256", "--credential", "greeting=hello, world"});
  EXPECT_EQ(ended.exit_status, 0) << ended.output << ended.errors;
  EXPECT_THAT(ended.output, AllOf(HasSubstr("STORY was given io.systemd.credential.binary:greeting=aGVsbG8sIHdvcmxk"),
                                  HasSubstr("STORY spoiled a disk of 1073741824 bytes")));
}

TEST_F(Run, EnrolsTheKeysOfTheImageUnderSecureBoot) {
  const auto ended =
      keelson_run({"--secure-boot", "--until", "STORY ends well", "--timeout", "150", "--memory", "256", "--json"});
  EXPECT_EQ(ended.exit_status, 0) << ended.output << ended.errors;
  // The kernel's word, on the second boot: the first one has enrolled the keys.
  EXPECT_THAT(ended.errors, HasSubstr("Secure boot enabled"));
  EXPECT_THAT(ended.output, HasSubstr("\"ended_by\": \"text\""));
}

TEST_F(Run, FailsWhenTheTimeIsOver) {
  const auto ended = keelson_run({"--until", "never said", "--timeout", "2", "-q"});
  EXPECT_EQ(ended.exit_status, 1);
  EXPECT_THAT(ended.errors, HasSubstr("the time limit of 2 s was over before it said \"never said\""));
  EXPECT_THAT(ended.output, IsEmpty());
}

/// The first child of a process; 0: it has none.
pid_t child_of(pid_t parent) {
  const std::string found = run_program({"pgrep", "--parent", std::to_string(parent)}).output;
  return found.empty() ? 0 : static_cast<pid_t>(std::stol(found));
}

bool is_gone(pid_t process) {
  const auto state = run_program({"ps", "-o", "stat=", "-p", std::to_string(process)});
  return state.output.empty() || state.output.starts_with('Z');  // here nobody may be there to reap it
}

TEST_F(Run, EndsWithAnInterrupt) {
  base::Command interrupted = command({});
  // In a session of its own, so that it is keelson that ends QEMU and not this test's Subprocess.
  interrupted.argv.insert(interrupted.argv.begin(), {"setsid", "--wait"});
  auto started = base::Subprocess::start(interrupted);
  ASSERT_THAT(started, Succeeds());
  pid_t keelson = 0;
  pid_t machine = 0;
  const auto is_qemu = [](pid_t process) {
    const auto name = run_program({"ps", "-o", "comm=", "-p", std::to_string(process)});
    return name.output.starts_with("qemu-system");
  };
  for (int i = 0; i < 200 && (machine == 0 || !is_qemu(machine)); ++i) {
    (void)run_program({"sleep", "0.05"});
    if (keelson == 0) keelson = child_of(started->pid());
    if (keelson != 0) machine = child_of(keelson);
  }
  ASSERT_TRUE(machine != 0 && is_qemu(machine));
  EXPECT_EQ(::kill(keelson, SIGTERM), 0);
  const auto ended = started->wait();
  ASSERT_THAT(ended, Succeeds());
  EXPECT_EQ(ended->exit_status, 130);
  for (int i = 0; i < 100 && !is_gone(machine); ++i) (void)run_program({"sleep", "0.05"});
  EXPECT_TRUE(is_gone(machine));
}

TEST_F(Run, BootsAQcow2Too) {
  ASSERT_EQ(run_program({"qemu-img", "convert", "-O", "qcow2", disk_, directory_.path("disk.qcow2")}).exit_status, 0);
  const std::string before = slurp(directory_.path("disk.qcow2"));
  base::Command boot = command({"--until", "STORY ends well", "--timeout", "110", "--memory", "256"});
  std::ranges::replace(boot.argv, disk_, directory_.path("disk.qcow2"));
  const auto ended = base::run(boot);
  ASSERT_THAT(ended, Succeeds());
  EXPECT_EQ(ended->exit_status, 0) << ended->output << ended->errors;
  EXPECT_TRUE(slurp(directory_.path("disk.qcow2")) == before);
}

}  // namespace
