#pragma once

#include "builder/cli/verb.hpp"

namespace builder {

/// Adds "show". `console` and `chosen` must outlive the parse.
void add_show_command(CLI::App& app, const Console& console, Verb& chosen);

}  // namespace builder
