#include "qemu-tests/support/machine.hpp"

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "base/bytes.hpp"
#include "base/file.hpp"
#include "base/partial_file.hpp"
#include "base/subprocess.hpp"
#include "tests/support/temporary_directory.hpp"

namespace qemu {

namespace fs = std::filesystem;

using base::fail;
using base::Kind;
using base::ok;
using base::Result;

namespace {

constexpr std::size_t max_console_bytes = std::size_t{4} << 20;

Result<> put(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::copy_file(from, to, error);
  if (error) return fail(Kind::io, "copying " + from.string() + " to " + to.string() + ": " + error.message());
  return ok();
}

std::string last_lines(const std::string& text) {
  constexpr std::size_t shown = 2000;
  return text.size() > shown ? text.substr(text.size() - shown) : text;
}

std::vector<std::string> arguments(const Machine& machine, const std::string& console) {
  std::vector<std::string> argv = {"qemu-system-x86_64",
                                   "-nodefaults",
                                   "-no-user-config",
                                   "-display",
                                   "none",
                                   "-machine",
                                   "pc,accel=tcg",
                                   "-cpu",
                                   "qemu64",
                                   "-smp",
                                   "1",
                                   "-m",
                                   std::to_string(machine.memory_mib),
                                   "-no-reboot",
                                   "-serial",
                                   "file:" + console,
                                   "-kernel",
                                   machine.kernel.image,
                                   "-initrd",
                                   machine.initramfs,
                                   "-append",
                                   "console=ttyS0 quiet panic=-1 " + machine.command_line};
  std::size_t count = 0;
  const auto attach = [&](const std::string& image, const std::string& access) {
    const std::string id = "disk" + std::to_string(count++);
    argv.insert(argv.end(), {"-drive", "if=none,format=raw," + access + ",id=" + id + ",file=" + image, "-device",
                             "virtio-blk-pci,drive=" + id});
  };
  for (const std::string& image : machine.disks) attach(image, "readonly=on");
  for (const std::string& image : machine.writable_disks) attach(image, "readonly=off");
  return argv;
}

}  // namespace

Result<TestKernel> test_kernel() {
  const char* named = std::getenv("KEELSON_TEST_KERNEL");
  const fs::path directory = named != nullptr ? named : KEELSON_TEST_KERNEL;
  constexpr std::string_view prefix = "vmlinuz-";
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory / "boot", error)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with(prefix)) continue;
    return TestKernel{entry.path(), directory / "lib/modules" / name.substr(prefix.size()) / "kernel"};
  }
  return fail(Kind::not_found, "no kernel for the tests; run: scripts/fetch-test-kernel " + directory.string());
}

Result<> make_initramfs(const std::string& archive, const std::string& init, const TestKernel& kernel,
                        const std::vector<std::string>& modules) {
  const support::TemporaryDirectory directory;
  const fs::path root = directory.path();
  std::error_code error;
  fs::create_directories(root / "modules", error);
  if (error) return fail(Kind::io, "creating " + root.string() + ": " + error.message());
  TRY_DO(put(init, root / "init"));
  std::string order;
  std::string members = "init\nmodules\nmodules.list\n";
  for (const std::string& module : modules) {
    const std::string name = fs::path(module).filename();
    TRY_DO(put(fs::path(kernel.modules_directory) / module, root / "modules" / name));
    order += name + "\n";
    members += "modules/" + name + "\n";
  }
  TRY_DO(base::replace_file(root / "modules.list", base::bytes_of(order)));
  TRY_DO(
      base::run_checked({.argv = {"cpio", "--quiet", "--create", "--format=newc", "--owner=+0:+0", "--file=" + archive},
                         .environment = std::nullopt,
                         .working_directory = root,
                         .input = members,
                         .time_limit = std::chrono::seconds(30)}));
  return ok();
}

Result<std::string> run(const Machine& machine) {
  const support::TemporaryDirectory directory;
  const std::string console = directory.path("console");
  const auto ended = base::run_checked({.argv = arguments(machine, console),
                                        .environment = std::nullopt,
                                        .working_directory = "",
                                        .input = "",
                                        .time_limit = machine.time_limit});
  auto said = base::read_file(console, max_console_bytes);
  if (!ended) {
    return std::unexpected(
        base::Error(ended.error())
            .while_doing("running a machine that said last:\n" + (said ? last_lines(*said) : "(nothing)") + "\n"));
  }
  return said;
}

}  // namespace qemu
