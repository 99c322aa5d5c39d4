#pragma once

#include "builder/cli/verb.hpp"

namespace builder {

/// Adds "run". `console` and `chosen` must outlive the parse.
void add_run_command(CLI::App& app, const Console& console, Verb& chosen);

}  // namespace builder
