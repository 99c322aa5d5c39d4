#pragma once

#include "builder/cli/verb.hpp"

namespace builder {

/// Adds "verify". `console` and `chosen` must outlive the parse.
void add_verify_command(CLI::App& app, const Console& console, Verb& chosen);

}  // namespace builder
