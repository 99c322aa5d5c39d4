#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "agent/boot_loader/efi_variables.hpp"
#include "base/result.hpp"
#include "base/uuid.hpp"

namespace agent::boot_loader {

// systemd-boot counts the starts of an entry that is on trial. One that has been blessed it starts for ever, whatever
// becomes of it: a version that rots would restart without end. So each boot of such an entry first tells the boot
// loader to take another one next time, and takes that back when it has come up.

/// What systemd-boot says about this boot.
struct LoaderReport {
  /// The entry that it started: its file's name before the counter was changed. Empty: systemd-boot started nothing.
  std::string selected;
  /// The names of all entries, in the order in which it would start them.
  std::vector<std::string> entries;
  /// The file whose counter it has changed: "\EFI\Linux\node_1.0.0+2-1.efi". It stays when a start fails and another
  /// entry is started instead. Empty: none.
  std::string counted;
  /// The entry that it is to start next, once. Empty: the one that is first anyhow.
  std::string one_shot;
  /// The ESP that it was itself started from.
  std::optional<base::Uuid> esp;
};
/// Fails: corrupt (a variable of another form); as EfiVariables::read.
base::Result<LoaderReport> read_loader_report(const EfiVariables& variables);

/// Which entry to fall back to.
struct Fallback {
  std::optional<std::string> entry;
  std::string reason;  // why that one, or why none
};

/// None where the selected entry is counted. Never an entry without tries left, nor one that systemd-boot itself has
/// added (auto-*). One of the same image goes before others, one that has been blessed before those on trial; among
/// equals the boot loader's order counts.
Fallback choose_fallback(const std::string& selected, std::span<const std::string> entries);

/// Makes systemd-boot start the entry next, once. Durable on return. Fails: busy (somebody has named an entry already);
/// no_space, permission, io.
base::Result<> arm(const EfiVariables& variables, const std::string& entry);

/// Takes that back. False: what is to be started next, if anything, is another entry, so somebody else's wish.
/// Fails: as EfiVariables.
base::Result<bool> disarm(const EfiVariables& variables, const std::string& entry);

}  // namespace agent::boot_loader
