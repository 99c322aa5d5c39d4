#pragma once

#include "agent/init/console.hpp"
#include "agent/init/options.hpp"
#include "base/result.hpp"

namespace agent::init {

/// The first moments: the kernel's file systems, a console as standard input and output, and what the command line
/// says. Fails: invalid_input (the command line); not_found, permission, io.
base::Result<Options> begin();

/// From there to the first program of the verified root, in whose place this one then is. Returns only if that fails:
/// as root_hash_in, wait_for_root, mount_root, switch_root, mount_var, prepare_etc do; or there is no systemd.
base::Error boot(const Options& options, const Console& console);

/// Says why, once, and restarts the machine, so that the boot loader's counter decides what is tried next.
[[noreturn]] void give_up(const base::Error& why, const Options& options, const Console& console);

}  // namespace agent::init
