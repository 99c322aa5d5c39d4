#pragma once

#include "builder/cli/verb.hpp"

namespace builder {

/// Adds "check". `console` and `chosen` must outlive the parse.
void add_check_command(CLI::App& app, const Console& console, Verb& chosen);

}  // namespace builder
