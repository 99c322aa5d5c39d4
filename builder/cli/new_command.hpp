#pragma once

#include "builder/cli/verb.hpp"

namespace builder {

void add_new_command(CLI::App& app, const Console& console, Verb& chosen);

}  // namespace builder
