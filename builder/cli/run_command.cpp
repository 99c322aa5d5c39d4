#include "builder/cli/run_command.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/clock.hpp"
#include "base/file.hpp"
#include "base/human.hpp"
#include "base/log.hpp"
#include "builder/manifest/schema.hpp"
#include "builder/run/boot.hpp"
#include "builder/run/host.hpp"

namespace builder {

using base::fail;
using base::Json;
using base::Kind;
using base::Result;

namespace {

constexpr std::size_t max_ssh_keys_size = std::size_t{16} * 1024;
constexpr std::size_t max_credential_size = std::size_t{64} * 1024;
constexpr std::uint16_t ssh_port = 22;

struct RunOptions {
  std::string image;
  run::MachineOptions machine;
  std::string disk_bus = "virtio";
  std::string accelerator = "auto";
  std::string disk_size;
  std::vector<std::string> ports;
  std::vector<std::string> credentials;
  std::string ssh_key;
  std::string firmware_log;
  std::string until;
  unsigned timeout_s = 0;
  bool print = false;
};

run::DiskBus disk_bus_of(const std::string& name) {
  if (name == "scsi") return run::DiskBus::scsi;
  if (name == "nvme") return run::DiskBus::nvme;
  return name == "ahci" ? run::DiskBus::ahci : run::DiskBus::virtio;
}

base::Bytes copy_of(const std::string& text) {
  const base::ByteView bytes = base::bytes_of(text);
  return {bytes.begin(), bytes.end()};
}

/// NAME=VALUE, or NAME=@FILE.
Result<run::Credential> parse_credential(const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos) {
    return fail(Kind::invalid_input, fmt::format("\"{}\" is no credential; NAME=VALUE or NAME=@FILE is one", text));
  }
  run::Credential credential{.name = text.substr(0, equals), .value = {}};
  std::string value = text.substr(equals + 1);
  if (value.starts_with('@')) {
    TRY(value, base::read_file(value.substr(1), max_credential_size), "reading the credential " + credential.name);
  }
  credential.value = copy_of(value);
  return credential;
}

/// The port of this host behind which the guest's SSH is: one that was asked for, or a free one, which is added.
Result<std::uint16_t> forward_ssh(std::vector<run::PortForward>& ports) {
  const auto asked = std::ranges::find(ports, ssh_port, &run::PortForward::guest);
  if (asked != ports.end()) return asked->host;
  TRY(const std::uint16_t port, run::free_port());
  ports.push_back({port, ssh_port});
  return port;
}

Result<run::Credential> ssh_credential(const std::string& path) {
  TRY(const std::string keys, base::read_file(path, max_ssh_keys_size), "reading the SSH key");
  if (keys.find("PRIVATE KEY") != std::string::npos) {
    return fail(Kind::invalid_input,
                path + " is a private key; the public one, which goes into the machine, is wanted");
  }
  return run::Credential{.name = "ssh.authorized_keys.root", .value = copy_of(keys)};
}

/// The options as the plan wants them; the port of SSH, if there is one.
Result<run::MachineOptions> machine_options(const RunOptions& options, std::optional<std::uint16_t>& ssh) {
  run::MachineOptions machine = options.machine;
  machine.disk_bus = disk_bus_of(options.disk_bus);
  if (!options.disk_size.empty()) {
    machine.disk_size = manifest::parse_size(options.disk_size);
    if (!machine.disk_size) {
      return fail(Kind::invalid_input, fmt::format("\"{}\" is no size; 16GiB is one", options.disk_size));
    }
  }
  for (const std::string& text : options.ports) {
    TRY(const run::PortForward port, run::parse_port_forward(text));
    machine.ports.push_back(port);
  }
  for (const std::string& text : options.credentials) {
    TRY(run::Credential credential, parse_credential(text));
    machine.credentials.push_back(std::move(credential));
  }
  if (!options.ssh_key.empty()) {
    TRY(run::Credential credential, ssh_credential(options.ssh_key));
    machine.credentials.push_back(std::move(credential));
    TRY(ssh, forward_ssh(machine.ports));
  }
  if (!options.firmware_log.empty()) {
    machine.firmware_log = std::filesystem::absolute(options.firmware_log).string();
  }
  return machine;
}

run::Accelerator choose_accelerator(const std::string& asked) {
  if (asked == "kvm") return run::Accelerator::kvm;
  if (asked == "tcg") return run::Accelerator::tcg;
  const run::KvmVerdict verdict = run::probe_kvm();
  if (verdict.works) return run::Accelerator::kvm;
  base::log_info("KVM does not work here ({}); the machine is emulated, some ten times slower", verdict.reason);
  return run::Accelerator::tcg;
}

void print_plan(const run::MachinePlan& plan, const Console& console) {
  Json json = {{"variables_from", plan.variables_from}, {"files", Json::object()}};
  for (const run::ScratchFile& file : plan.files) json["files"][file.name] = file.content;
  json["overlay"] = plan.overlay;
  json["machine"] = plan.machine;
  console.show(run::shell_script(plan), json);
}

Result<> run_image(const RunOptions& options, const Console& console) {
  TRY_DO(run::find_programs());
  TRY(const run::ImageFacts image, run::examine_image(options.image));
  TRY(run::Firmware firmware, run::find_firmware(options.machine.secure_boot));
  std::optional<std::uint16_t> ssh;
  TRY(const run::MachineOptions machine, machine_options(options, ssh));
  const run::HostFacts host{.image = image.path,
                            .image_format = image.format,
                            .image_size = image.size,
                            .firmware = std::move(firmware),
                            .accelerator = choose_accelerator(options.accelerator)};
  TRY(const run::MachinePlan plan, run::plan_machine(machine, host));
  if (options.print) {
    print_plan(plan, console);
    return base::ok();
  }

  if (ssh) base::log_info("once it is up: ssh -p {} root@127.0.0.1", *ssh);
  if (::isatty(STDIN_FILENO) == 1) base::log_info("this terminal is the console; Ctrl-A X ends the machine");
  run::ConsoleOptions how{
      .output_fd = console.json ? STDERR_FILENO : STDOUT_FILENO, .until = options.until, .limit = {}};
  if (console.quiet) how.output_fd = -1;
  if (options.timeout_s != 0) how.limit = std::chrono::seconds(options.timeout_s);
  const auto start = base::system_clock().boot_time();
  TRY(const run::Ending ending, run::boot_machine(plan, how), "running " + options.image);
  if (console.json) {
    const std::chrono::duration<double> took = base::system_clock().boot_time() - start;
    FactSheet facts;
    facts.add("ended_by", ending == run::Ending::said_text ? "text" : "power-off");
    facts.add("accelerator", host.accelerator == run::Accelerator::kvm ? "kvm" : "tcg");
    facts.add_hidden("seconds", took.count());
    console.show(facts);
  }
  return base::ok();
}

}  // namespace

void add_run_command(CLI::App& app, const Console& console, Verb& chosen) {
  auto options = std::make_shared<RunOptions>();
  CLI::App& verb =
      add_verb(app, console, chosen, "run", "Boot a disk image in QEMU; the image is not changed", &run_image, options);
  verb.add_option("IMAGE", options->image, "A disk image, raw or qcow2")->required();
  verb.add_option("--memory", options->machine.memory_mib, "MiB")
      ->check(CLI::Range(64, 1 << 20))
      ->capture_default_str();
  verb.add_option("--cpus", options->machine.processors, "Processors")
      ->check(CLI::Range(1, 255))
      ->capture_default_str();
  verb.add_option("--disk", options->disk_bus, "How the disk is attached: virtio, scsi, nvme, ahci")
      ->check(CLI::IsMember({"virtio", "scsi", "nvme", "ahci"}))
      ->capture_default_str()
      ->type_name("BUS");
  verb.add_option("--disk-size", options->disk_size,
                  "Of the disk, such as 16GiB (default: the image's and 4 GiB for /var)");
  verb.add_option("--port", options->ports, "HOST:GUEST: forward a TCP port of 127.0.0.1; may be repeated")
      ->allow_extra_args(false);
  verb.add_option("--ssh-key", options->ssh_key, "A public key that may log in as root; a port for it is forwarded");
  verb.add_option("--credential", options->credentials,
                  "NAME=VALUE or NAME=@FILE: a credential for systemd; may be repeated")
      ->allow_extra_args(false);
  verb.add_flag("--secure-boot", options->machine.secure_boot,
                "Firmware with Secure Boot, in setup mode: the image may enrol its keys");
  verb.add_option("--accel", options->accelerator, "auto (KVM, if a guest really runs), kvm, tcg (emulation)")
      ->check(CLI::IsMember({"auto", "kvm", "tcg"}))
      ->capture_default_str()
      ->type_name("ACCEL");
  verb.add_option("--firmware-log", options->firmware_log,
                  "Write what a debug build of the firmware says to this file");
  verb.add_option("--timeout", options->timeout_s, "End the machine after so many seconds, as a failure")
      ->check(CLI::Range(1, 1 << 20));
  verb.add_option("--until", options->until, "End the machine, successfully, as soon as its console shows this text");
  verb.add_flag("--print", options->print, "Print what would be run, as a script, and run nothing");
  verb.footer(
      "The terminal is the serial console; Ctrl-A X ends the machine, Ctrl-A H says what else there is. Disk and "
      "firmware variables are scratch copies.\n\n"
      "Example: keelson run out/node.raw --ssh-key ~/.ssh/id_ed25519.pub\n"
      "         keelson run out/node.raw --secure-boot --until \"login:\" --timeout 300");
}

}  // namespace builder
