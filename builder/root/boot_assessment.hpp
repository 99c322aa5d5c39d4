#pragma once

#include <string>

#include "base/result.hpp"
#include "builder/root/draft.hpp"

namespace builder::root {

/// Brings into a root what decides whether a boot was good, and what happens when it was not (agent/README.md): the
/// program keelson-boot and its unit, a guard in front of systemd-bless-boot, a hardware watchdog where there is one;
/// and keeps units of systemd's from spoiling it.
///
/// tries    how often a new version may try to come up
/// program  the bytes of keelson-boot
/// Fails:   invalid_input (the root has no systemd-bless-boot)
base::Result<> add_boot_assessment(Draft& root, unsigned tries, std::string program);

}  // namespace builder::root
