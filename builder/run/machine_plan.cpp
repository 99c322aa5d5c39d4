#include "builder/run/machine_plan.hpp"

#include <algorithm>
#include <charconv>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "base/base64.hpp"
#include "base/human.hpp"

namespace builder::run {

using base::fail;
using base::Kind;
using base::Result;

namespace {

constexpr const char* scratch_disk = "disk.qcow2";

/// A value inside QEMU's comma-separated options.
std::string escaped(std::string_view value) {
  std::string text;
  for (const char c : value) text += c == ',' ? std::string(",,") : std::string(1, c);
  return text;
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

std::vector<std::string> disk_device(DiskBus bus) {
  switch (bus) {
    case DiskBus::virtio:
      return {"-device", "virtio-blk-pci,drive=disk,bootindex=0"};
    case DiskBus::scsi:
      return {"-device", "virtio-scsi-pci,id=scsi", "-device", "scsi-hd,drive=disk,bus=scsi.0,bootindex=0"};
    case DiskBus::nvme:
      return {"-device", "nvme,drive=disk,serial=keelson,bootindex=0"};
    case DiskBus::ahci:
      return {"-device", "ide-hd,drive=disk,bus=ide.0,bootindex=0"};  // q35 has an AHCI controller
  }
  return {};
}

std::vector<std::string> processor(Accelerator accelerator) {
  if (accelerator == Accelerator::kvm) return {"-cpu", "host"};
  // Emulated, cmpxchg16b with a segment override loses flags in QEMU before 8.1, and kernels from 6.5 on die of it.
  return {"-cpu", "qemu64,-cx16"};
}

Result<> check_ports(const std::vector<PortForward>& ports) {
  std::set<std::uint16_t> seen;
  for (const PortForward& port : ports) {
    if (!seen.insert(port.host).second) {
      return fail(Kind::invalid_input, fmt::format("port {} of this host is forwarded twice", port.host));
    }
  }
  return base::ok();
}

/// As systemd takes them: names of files, ASCII.
Result<> check_credential_name(std::string_view name) {
  const bool valid = !name.empty() && name.size() <= 255 && name != "." && name != ".." &&
                     std::ranges::all_of(
                         name, [](unsigned char c) { return c > ' ' && c < 0x7f && c != '/' && c != '=' && c != ':'; });
  if (valid) return base::ok();
  return fail(Kind::invalid_input, fmt::format("\"{}\" is no name of a credential", name));
}

Result<std::vector<ScratchFile>> credential_files(const std::vector<Credential>& credentials) {
  std::vector<ScratchFile> files;
  std::size_t size = 0;
  for (const Credential& credential : credentials) {
    TRY_DO(check_credential_name(credential.name));
    files.push_back({fmt::format("credential-{}", files.size()),
                     "io.systemd.credential.binary:" + credential.name + "=" + base::to_base64(credential.value)});
    size += files.back().content.size();
  }
  if (size > max_credentials_size) {
    return fail(Kind::invalid_input,
                fmt::format("credentials of {} bytes (in base64); a machine takes {}", size, max_credentials_size));
  }
  return files;
}

Result<std::uint64_t> disk_size(const MachineOptions& options, const HostFacts& host) {
  const std::uint64_t size = options.disk_size.value_or(host.image_size + default_growth);
  if (size >= host.image_size) return size;
  return fail(Kind::invalid_input, fmt::format("a disk of {} is smaller than the image's {}", base::human_bytes(size),
                                               base::human_bytes(host.image_size)));
}

std::string shell_word(std::string_view word) {
  constexpr std::string_view harmless = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=./:,+@%";
  if (!word.empty() && word.find_first_not_of(harmless) == std::string_view::npos) return std::string(word);
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

/// One command, a line for each option.
std::string shell_command(const std::vector<std::string>& argv) {
  std::string text;
  for (const std::string& word : argv) {
    if (!text.empty()) text += word.starts_with('-') ? " \\\n  " : " ";
    text += shell_word(word);
  }
  return text + "\n";
}

}  // namespace

Result<PortForward> parse_port_forward(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon != std::string_view::npos) {
    const auto host = parse_port(text.substr(0, colon));
    const auto guest = parse_port(text.substr(colon + 1));
    if (host && guest) return PortForward{*host, *guest};
  }
  return fail(Kind::invalid_input, fmt::format("\"{}\" is no pair of ports; HOST:GUEST is one, such as 8080:80", text));
}

Result<MachinePlan> plan_machine(const MachineOptions& options, const HostFacts& host) {
  TRY_DO(check_ports(options.ports));
  TRY(const std::uint64_t size, disk_size(options, host));
  MachinePlan plan{.variables_from = host.firmware.variables, .files = {}, .overlay = {}, .machine = {}};
  TRY(plan.files, credential_files(options.credentials));
  plan.overlay = {"qemu-img",
                  "create",
                  "-q",
                  "-f",
                  "qcow2",
                  "-F",
                  host.image_format == ImageFormat::raw ? "raw" : "qcow2",
                  "-b",
                  host.image,
                  scratch_disk,
                  std::to_string(size)};

  std::vector<std::string>& argv = plan.machine;
  const auto add = [&argv](std::vector<std::string> more) { argv.insert(argv.end(), more.begin(), more.end()); };
  add({"qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none"});
  add({"-machine", fmt::format("q35,smm={},accel={}", options.secure_boot ? "on" : "off",
                               host.accelerator == Accelerator::kvm ? "kvm" : "tcg")});
  add(processor(host.accelerator));
  add({"-smp", std::to_string(options.processors), "-m", std::to_string(options.memory_mib)});
  if (options.secure_boot) {  // only the firmware itself, in system management mode, may write its variables
    add({"-global", "driver=cfi.pflash01,property=secure,value=on", "-global", "ICH9-LPC.disable_s3=1"});
  }
  add({"-drive", "if=pflash,unit=0,format=raw,readonly=on,file=" + escaped(host.firmware.code)});
  add({"-drive", fmt::format("if=pflash,unit=1,format=raw,file={}", scratch_variables)});
  // Nobody needs the scratch disk after a power cut.
  add({"-drive", fmt::format("if=none,id=disk,format=qcow2,cache=unsafe,discard=unmap,file={}", scratch_disk)});
  add(disk_device(options.disk_bus));
  std::string network = "user,id=net";
  for (const PortForward& port : options.ports) {
    network += fmt::format(",hostfwd=tcp:127.0.0.1:{}-:{}", port.host, port.guest);
  }
  add({"-netdev", network, "-device", "virtio-net-pci,netdev=net,romfile="});
  add({"-device", "virtio-rng-pci"});
  for (const ScratchFile& file : plan.files) add({"-smbios", "type=11,path=" + file.name});
  if (!options.firmware_log.empty()) {
    add({"-debugcon", "file:" + escaped(options.firmware_log), "-global", "isa-debugcon.iobase=0x402"});
  }
  add({"-serial", "mon:stdio"});
  return plan;
}

std::string shell_script(const MachinePlan& plan) {
  std::string text = "cd \"$(mktemp -d)\" || exit\n";
  text += fmt::format("cp {} {}\n", shell_word(plan.variables_from), scratch_variables);
  for (const ScratchFile& file : plan.files) {
    text += fmt::format("printf %s {} >{}\n", shell_word(file.content), shell_word(file.name));
  }
  return text + shell_command(plan.overlay) + shell_command(plan.machine);
}

}  // namespace builder::run
