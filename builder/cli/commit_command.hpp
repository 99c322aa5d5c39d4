#pragma once

#include "builder/cli/verb.hpp"

namespace builder {

/// Adds "commit". `console` and `chosen` must outlive the parse.
void add_commit_command(CLI::App& app, const Console& console, Verb& chosen);

}  // namespace builder
