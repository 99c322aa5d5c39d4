#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"

/// Which machine boots an image: a value, made without touching anything.
namespace builder::run {

enum class DiskBus { virtio, scsi, nvme, ahci };
enum class ImageFormat { raw, qcow2 };
enum class Accelerator { tcg, kvm };

struct PortForward {
  std::uint16_t host = 0;  // on 127.0.0.1
  std::uint16_t guest = 0;

  friend bool operator==(const PortForward&, const PortForward&) = default;
};
/// "HOST:GUEST", TCP. Fails: invalid_input.
base::Result<PortForward> parse_port_forward(std::string_view text);

/// A systemd credential for the guest (system credentials, systemd.io/CREDENTIALS).
struct Credential {
  std::string name;
  base::Bytes value;
};
/// The limit of all of them together as they travel (bytes): a table of SMBIOS 2.8 has 64 KiB.
inline constexpr std::size_t max_credentials_size = 60000;

struct MachineOptions {
  unsigned memory_mib = 1024;
  unsigned processors = 1;
  DiskBus disk_bus = DiskBus::virtio;
  bool secure_boot = false;
  std::optional<std::uint64_t> disk_size;  // bytes; without it the image's and room for /var
  std::vector<PortForward> ports;
  std::vector<Credential> credentials;
  std::string firmware_log;  // absolute path; empty: none
};

struct Firmware {
  std::string code;
  std::string variables;  // a template to copy

  friend bool operator==(const Firmware&, const Firmware&) = default;
};

/// What the plan must know of the image and of this host.
struct HostFacts {
  std::string image;  // absolute path
  ImageFormat image_format = ImageFormat::raw;
  std::uint64_t image_size = 0;  // of the disk that the guest sees, bytes
  Firmware firmware;
  Accelerator accelerator = Accelerator::tcg;
};

struct ScratchFile {
  std::string name;
  std::string content;
};

/// All that is done, in a new directory of its own: files are written, `overlay` is run, then `machine`. Relative names
/// in the commands are files of that directory.
struct MachinePlan {
  std::string variables_from;  // is copied to vars.fd
  std::vector<ScratchFile> files;
  std::vector<std::string> overlay;  // argv: makes disk.qcow2 above the image
  std::vector<std::string> machine;  // argv
};

inline constexpr const char* scratch_variables = "vars.fd";
/// How much a disk grows when nothing is said: room for /var.
inline constexpr std::uint64_t default_growth = std::uint64_t{4} << 30;

/// Nothing that the guest does reaches the image, and nothing but the forwarded ports of 127.0.0.1 reaches the guest.
/// Credentials travel in files, for everybody may read a process' arguments.
/// Fails: invalid_input (a disk smaller than the image, two forwards of one port, a credential's name, credentials that
///        do not fit).
base::Result<MachinePlan> plan_machine(const MachineOptions& options, const HostFacts& host);

/// The same as a script for a shell.
std::string shell_script(const MachinePlan& plan);

}  // namespace builder::run
