#include "agent/init/arm_fallback.hpp"

#include <sys/mount.h>
#include <unistd.h>

#include <string>

#include "agent/boot_loader/fallback.hpp"
#include "agent/init/mounts.hpp"

namespace agent::init {

using base::Result;

namespace {

/// What was done about it, in words.
Result<std::string> arm_if_needed(const boot_loader::EfiVariables& variables) {
  const std::string& directory = variables.directory();
  if (::access(directory.c_str(), F_OK) != 0) return "no fallback is armed: there are no EFI variables";
  TRY_DO(mount_file_system("efivarfs", directory, "efivarfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, ""));
  TRY(const boot_loader::LoaderReport report, read_loader_report(variables));
  const boot_loader::Fallback fallback = boot_loader::choose_fallback(report.selected, report.entries);
  if (!fallback.entry) return "no fallback is armed: " + fallback.reason;
  TRY_DO(arm(variables, *fallback.entry));
  return "the fallback " + *fallback.entry + " is armed: " + fallback.reason;
}

}  // namespace

void arm_fallback(const Console& console) {
  const auto done = arm_if_needed(boot_loader::EfiVariables());
  if (done) {
    console.debug(*done);
  } else {
    console.warning("no fallback is armed: " + done.error().message());
  }
}

}  // namespace agent::init
