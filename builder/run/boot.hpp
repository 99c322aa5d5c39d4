#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "builder/run/machine_plan.hpp"

namespace builder::run {

struct ConsoleOptions {
  int output_fd = 1;                          // what the console says goes there; below 0: nowhere
  std::string until;                          // ends the machine as soon as the console has said it; empty: never
  std::optional<std::chrono::seconds> limit;  // ends the machine
};

enum class Ending { powered_off, said_text };

/// Boots the planned machine with the terminal as its serial console, and waits for its end. Whatever happens, an
/// interrupt too, nothing is left: neither QEMU, nor its files, nor a terminal in raw mode.
/// Fails: io (QEMU ended with another status than 0; it ended or the time was over before it said the text, which the
///        message tells; the output's reader is gone); no_space, permission, not_found (making the scratch files).
base::Result<Ending> boot_machine(const MachinePlan& plan, const ConsoleOptions& console,
                                  const base::Clock& clock = base::system_clock());

}  // namespace builder::run
