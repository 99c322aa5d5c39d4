#pragma once

#include <optional>
#include <string>

#include "agent/boot_loader/fallback.hpp"

namespace agent::boot_loader {

/// Why systemd-bless-boot must not bless; nothing: it may. It takes the counter off the file that `counted` names. That
/// is another version's when the firmware refused that version's UKI and a later start of systemd-boot took an entry
/// without a counter: the good version would bless the bad one. So the file must be that of the entry that was
/// selected, and the entry must be that of the system which runs.
///
/// running  entry_stem_in() of its os-release
std::optional<std::string> refusal_to_bless(const LoaderReport& report, const std::optional<std::string>& running);

}  // namespace agent::boot_loader
