#pragma once

#include <chrono>
#include <string_view>

#include "agent/init/console.hpp"
#include "base/result.hpp"
#include "verity/device_table.hpp"

namespace agent::init {

/// What the kernel's command line says to us, beside roothash= (image::root_hash_in). In a signed UKI nobody can change
/// it, so an `init=` is not honoured: what runs is what the root hash vouches for.
struct Options {
  /// keelson.verity=restart (so without it) or =panic: what a corrupt block of the root does.
  verity::OnCorruption on_corruption = verity::OnCorruption::restart;
  /// keelson.debug: say what happens.
  Console::Detail detail = Console::Detail::usual;
  /// How long the line that says why a boot failed may be read before the machine restarts. The kernel's own word
  /// counts where it says "at once": panic= with a negative number.
  std::chrono::seconds failure_wait{3};
};

/// Fails: invalid_input (keelson.verity= something else).
base::Result<Options> parse_options(std::string_view cmdline);

}  // namespace agent::init
