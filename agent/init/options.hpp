#pragma once

#include <chrono>
#include <optional>
#include <string_view>

#include "agent/init/console.hpp"
#include "base/digest.hpp"
#include "base/result.hpp"
#include "verity/device_table.hpp"

namespace agent::init {

/// What the kernel's command line says to us, beside roothash= (image::root_hash_in). In a signed UKI nobody can change
/// it, so an `init=` is not honoured: what runs is what the root hash vouches for.
struct Options {
  /// keelson.verity=restart (so without it) or =panic: what a corrupt block of the root does.
  verity::OnCorruption on_corruption = verity::OnCorruption::restart;
  /// keelson.sig=: what the root hash's signature must be (image::signature_digest_in); nothing: it is not looked at.
  std::optional<base::Sha256Digest> signature_digest;
  /// keelson.sig.kernel: the kernel gets the signature too. Only where it is said, for a kernel that has no key for it
  /// calls that a failed verification on the console, at each boot.
  bool signature_for_kernel = false;
  /// keelson.debug: say what happens.
  Console::Detail detail = Console::Detail::usual;
  /// How long the line that says why a boot failed may be read before the machine restarts. The kernel's own word
  /// counts where it says "at once": panic= with a negative number.
  std::chrono::seconds failure_wait{3};
};

/// Fails: invalid_input (keelson.verity= or keelson.sig= something else).
base::Result<Options> parse_options(std::string_view cmdline);

}  // namespace agent::init
