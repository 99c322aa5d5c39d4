#pragma once

#include "agent/init/console.hpp"

namespace agent::init {

/// Tells systemd-boot to start another entry next time, if this one is no longer counted
/// (boot_loader::choose_fallback). keelson-boot takes that back once the system is up. What fails here is told, and
/// never ends a boot: without a fallback a version that is sound still comes up.
///
/// Leaves efivarfs mounted in /sys, for systemd to take over with it.
void arm_fallback(const Console& console);

}  // namespace agent::init
