#pragma once

#include "builder/cli/verb.hpp"

namespace builder {

/// Adds "keys" with the verbs below it. `console` and `chosen` must outlive the parse.
void add_keys_command(CLI::App& app, const Console& console, Verb& chosen);

}  // namespace builder
