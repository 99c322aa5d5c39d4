// What needs no guest with a kernel; qemu-tests/run boots one.

#include <arpa/inet.h>
#include <sys/socket.h>

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>

#include "base/json.hpp"
#include "builder/run/boot.hpp"
#include "builder/run/host.hpp"
#include "builder/run/machine_plan.hpp"
#include "tests/support/files.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/program.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

namespace fs = std::filesystem;
namespace run = builder::run;

using base::Kind;
using run::Accelerator;
using run::DiskBus;
using run::MachineOptions;
using run::MachinePlan;
using support::FailsWith;
using support::Holds;
using support::run_program;
using support::Succeeds;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::IsSupersetOf;
using testing::Not;

constexpr std::uint64_t gib = std::uint64_t{1} << 30;

run::HostFacts a_host() {
  return {.image = "/out/node.raw",
          .image_format = run::ImageFormat::raw,
          .image_size = 2 * gib,
          .firmware = {"/ovmf/code.fd", "/ovmf/vars.fd"},
          .accelerator = Accelerator::tcg};
}

MachinePlan plan(const MachineOptions& options, const run::HostFacts& host = a_host()) {
  auto made = run::plan_machine(options, host);
  EXPECT_THAT(made, Succeeds());
  return made ? *std::move(made) : MachinePlan();
}

/// The argument behind each `name`.
std::vector<std::string> arguments(const MachinePlan& plan, const std::string& name) {
  std::vector<std::string> values;
  for (std::size_t i = 0; i + 1 < plan.machine.size(); ++i) {
    if (plan.machine[i] == name) values.push_back(plan.machine[i + 1]);
  }
  return values;
}

TEST(MachinePlan, IsThisForAnImageAndNothingElseSaid) {
  const MachinePlan made = plan({});
  EXPECT_EQ(made.variables_from, "/ovmf/vars.fd");
  EXPECT_THAT(made.files, IsEmpty());
  EXPECT_THAT(made.overlay, ElementsAre("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", "/out/node.raw",
                                        "disk.qcow2", "6442450944"));  // 2 GiB and 4 GiB
  EXPECT_THAT(made.machine,
              ElementsAre("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none",  //
                          "-machine", "q35,smm=off,accel=tcg", "-cpu", "qemu64,-cx16", "-smp", "1", "-m", "1024",
                          "-drive", "if=pflash,unit=0,format=raw,readonly=on,file=/ovmf/code.fd",  //
                          "-drive", "if=pflash,unit=1,format=raw,file=vars.fd",                    //
                          "-drive", "if=none,id=disk,format=qcow2,cache=unsafe,discard=unmap,file=disk.qcow2",
                          "-device", "virtio-blk-pci,drive=disk,bootindex=0",                         //
                          "-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile=",  //
                          "-device", "virtio-rng-pci", "-serial", "mon:stdio"));
}

struct PlanCase {
  const char* label;
  MachineOptions options;
  Accelerator accelerator = Accelerator::tcg;
  const char* argument;
  std::vector<std::string> values;  // among those that the argument has
};

TEST(MachinePlan, FollowsItsOptions) {
  const std::vector<PlanCase> cases = {
      {"KVM", {}, Accelerator::kvm, "-machine", {"q35,smm=off,accel=kvm"}},
      {"KVM's processor", {}, Accelerator::kvm, "-cpu", {"host"}},
      {"memory", {.memory_mib = 2048}, {}, "-m", {"2048"}},
      {"processors", {.processors = 4}, {}, "-smp", {"4"}},
      {"SCSI",
       {.disk_bus = DiskBus::scsi},
       {},
       "-device",
       {"virtio-scsi-pci,id=scsi", "scsi-hd,drive=disk,bus=scsi.0,bootindex=0"}},
      {"NVMe", {.disk_bus = DiskBus::nvme}, {}, "-device", {"nvme,drive=disk,serial=keelson,bootindex=0"}},
      {"AHCI", {.disk_bus = DiskBus::ahci}, {}, "-device", {"ide-hd,drive=disk,bus=ide.0,bootindex=0"}},
      {"Secure Boot", {.secure_boot = true}, {}, "-machine", {"q35,smm=on,accel=tcg"}},
      {"Secure Boot's variables",
       {.secure_boot = true},
       {},
       "-global",
       {"driver=cfi.pflash01,property=secure,value=on", "ICH9-LPC.disable_s3=1"}},
      {"ports",
       {.ports = {{8080, 80}, {2222, 22}}},
       {},
       "-netdev",
       {"user,id=net,hostfwd=tcp:127.0.0.1:8080-:80,hostfwd=tcp:127.0.0.1:2222-:22"}},
      {"a log whose name has a comma", {.firmware_log = "/a,b"}, {}, "-debugcon", {"file:/a,,b"}},
      {"credentials",
       {.credentials = {{"a", {}}, {"b", {}}}},
       {},
       "-smbios",
       {"type=11,path=credential-0", "type=11,path=credential-1"}},
  };
  for (const PlanCase& each : cases) {
    SCOPED_TRACE(each.label);
    run::HostFacts host = a_host();
    host.accelerator = each.accelerator;
    EXPECT_THAT(arguments(plan(each.options, host), each.argument), IsSupersetOf(each.values));
  }
}

TEST(MachinePlan, PutsAQcow2BelowAsOne) {
  run::HostFacts host = a_host();
  host.image_format = run::ImageFormat::qcow2;
  EXPECT_THAT(plan({.disk_size = 3 * gib}, host).overlay,
              ElementsAre("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", "/out/node.raw", "disk.qcow2",
                          "3221225472"));
}

TEST(MachinePlan, KeepsCredentialsOutOfArguments) {
  // printf 'a,b\0' | base64
  const MachinePlan made = plan(
      {.credentials = {{"ssh.authorized_keys.root", {std::byte{'a'}, std::byte{','}, std::byte{'b'}, std::byte{0}}}}});
  ASSERT_EQ(made.files.size(), 1U);
  EXPECT_EQ(made.files[0].name, "credential-0");
  EXPECT_EQ(made.files[0].content, "io.systemd.credential.binary:ssh.authorized_keys.root=YSxiAA==");
  EXPECT_THAT(made.machine, Not(Contains(HasSubstr("YSxi"))));
}

TEST(MachinePlan, RefusesWhatCannotBe) {
  const base::Bytes large(46000);
  const std::vector<std::tuple<const char*, MachineOptions, const char*>> cases = {
      {"a smaller disk", {.disk_size = gib}, "a disk of 1.0 GiB is smaller than the image's 2.0 GiB"},
      {"one port twice", {.ports = {{80, 1}, {80, 2}}}, "port 80 of this host is forwarded twice"},
      {"a credential without a name", {.credentials = {{"", {}}}}, "\"\" is no name"},
      {"a credential of another directory", {.credentials = {{"a/b", {}}}}, "\"a/b\" is no name"},
      {"a credential named ..", {.credentials = {{"..", {}}}}, "\"..\" is no name"},
      {"a name with a colon", {.credentials = {{"a:b", {}}}}, "\"a:b\" is no name"},
      {"a name that is not ASCII", {.credentials = {{"ä", {}}}}, "is no name"},
      {"large credentials", {.credentials = {{"a", large}}}, "a machine takes 60000"},
  };
  for (const auto& [label, options, message] : cases) {
    SCOPED_TRACE(label);
    EXPECT_THAT(run::plan_machine(options, a_host()), FailsWith(Kind::invalid_input, HasSubstr(message)));
  }
}

TEST(MachinePlan, IsAScriptForAShellThatGivesTheSameArguments) {
  const support::TemporaryDirectory work;
  run::HostFacts host = a_host();
  host.image = "/it's \"here\", $HOME/node.raw";
  host.firmware.variables = work.write("vars", "firmware's");
  const MachinePlan made = plan({.credentials = {{"a", {std::byte{1}}}}}, host);
  // Programs of the same names that print their arguments and files.
  fs::create_directory(work.path("bin"));
  for (const char* name : {"qemu-img", "qemu-system-x86_64"}) {
    const std::string program = work.write(std::string("bin/") + name,
                                           "#!/bin/sh\nprintf '%s\\n' \"$(basename \"$0\")\" \"$@\"; cat vars.fd c*\n");
    fs::permissions(program, fs::perms::owner_all);
  }
  const auto ran = run_program({"env", "TMPDIR=" + work.path(), "sh", "-c",
                                "PATH='" + work.path("bin") + "':$PATH\n" + run::shell_script(made)});
  std::string expected;
  for (const auto& argv : {made.overlay, made.machine}) {
    for (const std::string& word : argv) expected += word + "\n";
    expected += "firmware'sio.systemd.credential.binary:a=AQ==";
  }
  EXPECT_EQ(ran.output, expected);
}

TEST(PortForward, IsTwoNumbers) {
  EXPECT_THAT(run::parse_port_forward("8080:80"), Holds(run::PortForward{8080, 80}));
  for (const char* text : {"", "80", "80:", ":80", "0:80", "80:0", "65536:80", "80:80:80", "-1:80", "80:x", " 80:80"}) {
    EXPECT_THAT(run::parse_port_forward(text), FailsWith(Kind::invalid_input, HasSubstr("HOST:GUEST"))) << text;
  }
}

TEST(Firmware, IsFoundWhereDistributionsPutIt) {
  const support::TemporaryDirectory root;
  EXPECT_THAT(run::find_firmware(false, root.path("")),
              FailsWith(Kind::not_found, HasSubstr("install the package ovmf")));
  fs::create_directories(root.path("usr/share/edk2/ovmf"));
  const std::string place = root.path("usr/share/edk2/ovmf/");
  root.write("usr/share/edk2/ovmf/OVMF_CODE.fd", "");
  root.write("usr/share/edk2/ovmf/OVMF_VARS.fd", "");
  std::string prefix = root.path();
  prefix.pop_back();
  EXPECT_THAT(run::find_firmware(false, prefix), Holds(run::Firmware{place + "OVMF_CODE.fd", place + "OVMF_VARS.fd"}));
  EXPECT_THAT(run::find_firmware(true, prefix), FailsWith(Kind::not_found, HasSubstr("with Secure Boot")));
}

TEST(Image, IsKnownByItsContent) {
  const support::TemporaryDirectory work;
  fs::resize_file(work.write("raw", ""), 1 << 20);
  EXPECT_THAT(run::examine_image(work.path("raw")), Holds(AllOf(Field(&run::ImageFacts::format, run::ImageFormat::raw),
                                                                Field(&run::ImageFacts::size, 1U << 20))));
  ASSERT_EQ(run_program({"qemu-img", "create", "-q", "-f", "qcow2", work.path("qcow2"), "5G"}).exit_status, 0);
  EXPECT_THAT(
      run::examine_image(work.path("qcow2")),
      Holds(AllOf(Field(&run::ImageFacts::format, run::ImageFormat::qcow2), Field(&run::ImageFacts::size, 5 * gib))));
  EXPECT_THAT(run::examine_image(work.write("short", "x")), FailsWith(Kind::invalid_input, HasSubstr("too short")));
  EXPECT_THAT(run::examine_image(work.path("none")), FailsWith(Kind::not_found, HasSubstr("none")));
}

TEST(KvmProbe, HasAGuestThatRuns) {
  // The emulator is the judge: a guest that did not run here would say nothing about KVM.
  const support::TemporaryDirectory work;
  const auto ended =
      run_program({"timeout", "60", "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none",
                   "-machine", "q35,accel=tcg", "-m", "16", "-device", "isa-debug-exit,iobase=0xf4,iosize=1", "-bios",
                   work.write("probe.bin", run::probe_guest())});
  EXPECT_EQ(ended.exit_status, 33) << ended.errors;
}

TEST(KvmProbe, RemembersAFailureForThisBoot) {
  const support::TemporaryDirectory work;
  ASSERT_EQ(::setenv("XDG_RUNTIME_DIR", work.path().c_str(), 1), 0);
  const run::KvmVerdict first = run::probe_kvm();
  const auto start = std::chrono::steady_clock::now();
  const run::KvmVerdict second = run::probe_kvm();
  const auto took = std::chrono::steady_clock::now() - start;
  ASSERT_EQ(::unsetenv("XDG_RUNTIME_DIR"), 0);
  EXPECT_EQ(first.works, second.works);
  EXPECT_EQ(first.works, first.reason.empty());
  EXPECT_EQ(second.works, second.reason.empty());
  if (!second.works) {
    EXPECT_LT(took, std::chrono::milliseconds(500)) << second.reason;
  }
}

/// What a machine does is played by a shell.
MachinePlan played(const std::string& script) {
  return {.variables_from = "/dev/null", .files = {}, .overlay = {"true"}, .machine = {"sh", "-c", script}};
}

TEST(Console, EndsTheMachineAtATextThatComesInPieces) {
  const support::TemporaryDirectory work;
  const base::File output = base::File::open(work.path("out"), O_CREAT | O_RDWR, 0600).value();
  EXPECT_THAT(run::boot_machine(played("printf 'one log'; sleep 0.3; printf 'in: '; sleep 100"),
                                {.output_fd = output.fd(), .until = "login:", .limit = {}}),
              Holds(run::Ending::said_text));
  EXPECT_EQ(support::slurp(work.path("out")), "one login: ");
}

TEST(Console, SaysHowAMachineEnded) {
  const run::ConsoleOptions quiet{.output_fd = -1, .until = {}, .limit = {}};
  EXPECT_THAT(run::boot_machine(played("exit 0"), quiet), Holds(run::Ending::powered_off));
  EXPECT_THAT(run::boot_machine(played("exit 3"), quiet), FailsWith(Kind::io, HasSubstr("exit status 3")));
  EXPECT_THAT(run::boot_machine(played("kill -9 $$"), quiet), FailsWith(Kind::io, HasSubstr("exit status 137")));
  EXPECT_THAT(run::boot_machine(played("echo no"), {.output_fd = -1, .until = "yes", .limit = {}}),
              FailsWith(Kind::io, HasSubstr("powered off before it said \"yes\"")));
  EXPECT_THAT(run::boot_machine(played("sleep 100"), {.output_fd = -1, .until = {}, .limit = std::chrono::seconds(1)}),
              FailsWith(Kind::io, HasSubstr("time limit of 1 s")));
  MachinePlan nobody = played("");
  nobody.machine = {"keelson-no-such-program"};
  EXPECT_THAT(run::boot_machine(nobody, quiet), FailsWith(Kind::not_found, HasSubstr("keelson-no-such-program")));
}

TEST(RunCommand, PrintsWhatItWouldDo) {
  const support::TemporaryDirectory work;
  fs::resize_file(work.write("disk.raw", ""), 1 << 20);
  fs::create_directory(work.path("tmp"));
  const std::string key = work.write("id.pub", "ssh-ed25519 AAAA you\n");
  const auto printed = run_program({"env", "TMPDIR=" + work.path("tmp"), KEELSON_PROGRAM, "run", work.path("disk.raw"),
                                    "--print", "--json", "--accel", "tcg", "--ssh-key", key, "--port", "2222:22",
                                    "--credential", "file=@" + key, "--disk-size", "16GiB"});
  ASSERT_EQ(printed.exit_status, 0) << printed.errors;
  const auto json = base::parse_json(printed.output);
  ASSERT_THAT(json, Succeeds());
  EXPECT_EQ((*json)["overlay"].back(), "17179869184");
  EXPECT_EQ((*json)["files"]["credential-1"],
            "io.systemd.credential.binary:ssh.authorized_keys.root=c3NoLWVkMjU1MTkgQUFBQSB5b3UK");
  EXPECT_THAT((*json)["machine"].get<std::vector<std::string>>(),
              Contains("user,id=net,hostfwd=tcp:127.0.0.1:2222-:22"));
  EXPECT_TRUE(fs::is_empty(work.path("tmp")));
}

TEST(RunCommand, ForwardsAFreePortForSsh) {
  const support::TemporaryDirectory work;
  fs::resize_file(work.write("disk.raw", ""), 1 << 20);
  const std::string key = work.write("id.pub", "ssh-ed25519 AAAA you\n");
  const auto printed = support::keelson({"run", work.path("disk.raw"), "--print", "--accel", "tcg", "--ssh-key", key});
  EXPECT_THAT(printed.output, testing::ContainsRegex("hostfwd=tcp:127.0.0.1:[0-9]+-:22"));
}

TEST(RunCommand, RefusesWrongArguments) {
  const support::TemporaryDirectory work;
  fs::resize_file(work.write("disk.raw", ""), 1 << 20);
  const std::string secret = work.write("id", "-----BEGIN OPENSSH PRIVATE KEY-----\n");
  const std::vector<std::pair<std::vector<std::string>, const char*>> cases = {
      {{"--port", "80"}, "HOST:GUEST"},
      {{"--credential", "name"}, "NAME=VALUE"},
      {{"--ssh-key", secret}, "is a private key"},
      {{"--disk-size", "much"}, "16GiB"},
      {{"--disk-size", "1KiB"}, "smaller than the image"},
      {{"--disk", "floppy"}, "floppy"},
      {{"--accel", "warp"}, "warp"},
      {{"--memory", "1"}, "memory"},
  };
  for (const auto& [arguments, message] : cases) {
    std::vector<std::string> argv = {"run", work.path("disk.raw"), "--print"};
    if (arguments[0] != "--accel") argv.insert(argv.end(), {"--accel", "tcg"});
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    const auto ended = support::keelson(argv);
    EXPECT_EQ(ended.exit_status, 2) << message;
    EXPECT_THAT(ended.errors, HasSubstr(message));
  }
  EXPECT_EQ(support::keelson({"run", work.path("none"), "--print"}).exit_status, 1);
}

}  // namespace
