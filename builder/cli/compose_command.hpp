#pragma once

#include "builder/cli/verb.hpp"

namespace builder {

/// Adds "compose". `console` and `chosen` must outlive the parse.
void add_compose_command(CLI::App& app, const Console& console, Verb& chosen);

}  // namespace builder
