#pragma once

#include "builder/cli/verb.hpp"

namespace builder {

/// keelson build, and keelson lock, which it begins with.
void add_build_command(CLI::App& app, const Console& console, Verb& chosen);
void add_lock_command(CLI::App& app, const Console& console, Verb& chosen);
/// The verb by which the program finds itself in the sandbox; not shown.
void add_sandbox_command(CLI::App& app, const Console& console, Verb& chosen);

}  // namespace builder
