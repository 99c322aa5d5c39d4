#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/boot_loader/efi_variables.hpp"
#include "agent/boot_loader/fallback.hpp"
#include "agent/disks/disks.hpp"
#include "base/result.hpp"

namespace agent::boot {

/// Where the verbs look; a test has its own.
struct Machine {
  boot_loader::EfiVariables variables;
  disks::DeviceTree devices;
  std::string cmdline = "/proc/cmdline";
  std::string os_release = "/usr/lib/os-release";  // the verified root's, not what a host may have put into /etc
};

/// A line for each thing that was done, or did not need to be; and what went wrong, which does not keep the rest from
/// being done.
struct Outcome {
  std::vector<std::string> lines;
  std::vector<base::Error> failures;
};

/// What is to be done once the system is up: the fallback that the init has armed is taken back, and the firmware gets
/// the boot options for `tries` tries of a version, and one start more. Does nothing where there are no EFI variables.
Outcome complete(const Machine& machine, unsigned tries);

/// Why systemd-bless-boot must not bless this boot (boot_loader::refusal_to_bless); nothing: it may.
/// Fails: as read_loader_report; not_found, permission, io (os-release).
base::Result<std::optional<std::string>> why_not_bless(const Machine& machine);

/// How this boot came about.
struct Status {
  boot_loader::LoaderReport loader;
  boot_loader::Fallback fallback;
  std::optional<std::string> bless_refusal;
  /// How many boot options lead to this boot loader; nothing where it cannot be told.
  std::optional<unsigned> starts;
};
/// Nothing where there are no EFI variables. Fails: as why_not_bless.
base::Result<std::optional<Status>> status(const Machine& machine);

/// For people, a line for each; and one JSON object, on one line.
std::string text_of(const std::optional<Status>& status);
std::string json_of(const std::optional<Status>& status);

}  // namespace agent::boot
