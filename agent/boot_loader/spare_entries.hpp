#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "agent/boot_loader/efi_variables.hpp"
#include "agent/boot_loader/load_option.hpp"
#include "base/result.hpp"

namespace agent::boot_loader {

// When the firmware refuses to start a UKI (its signature, a torn file), systemd-boot 252 ends, and the firmware goes
// on with its next boot option, if it has one. Each start of systemd-boot takes one try from an entry that is on trial.
// So the firmware needs as many options that lead to systemd-boot as there are tries, and one for the version before.

struct BootOption {
  std::uint16_t number = 0;  // #### of Boot####
  LoadOption option;
};

/// What the firmware would start.
struct BootOptions {
  std::vector<BootOption> options;       // those that could be read, by number
  std::set<std::uint16_t> taken;         // the numbers of all
  std::vector<std::uint16_t> order;      // BootOrder
  std::optional<std::uint16_t> current;  // BootCurrent: the one that this boot came from
};
/// Fails: corrupt (an order of half a number); as EfiVariables.
base::Result<BootOptions> read_boot_options(const EfiVariables& variables);

/// What to change, in this order: options are there before the order names them, and are gone from it before they go.
struct SparePlan {
  std::vector<BootOption> create;
  std::optional<std::vector<std::uint16_t>> order;  // nothing: it stays
  std::vector<std::uint16_t> remove;
  unsigned starts = 0;  // how many options lead to our boot loader then

  bool is_empty() const { return create.empty() && remove.empty() && !order; }
};

/// The most starts that are provided for: firmware has little room, and some fails when it is full.
inline constexpr unsigned most_starts = 16;

/// `wanted` starts of the systemd-boot on this ESP, or `most_starts` if that is less. Whatever leads there counts, also
/// what others have made; the option that firmware makes for a whole disk does not, for it says so nowhere. New ones go
/// behind the one that this boot came from, so that nothing else (a network, a shell that waits) comes between. Ours
/// that have fallen out of the order are put back. Ours that lead to partitions which no longer exist are removed: a
/// machine whose disk is written anew would fill up otherwise.
///
/// present  the UUIDs of all partitions of this machine
SparePlan plan_spares(const BootOptions& firmware, const HardDrive& esp, std::span<const base::Uuid> present,
                      unsigned wanted);

/// Does it. A plan that is cut leaves options that do no harm, and the next plan finds them.
/// Fails: no_space, permission, io.
base::Result<> carry_out(const SparePlan& plan, const EfiVariables& variables);

/// Whether the firmware, left to itself, comes by this option to the systemd-boot of that partition.
bool leads_to_loader(const LoadOption& option, const base::Uuid& esp);

}  // namespace agent::boot_loader
