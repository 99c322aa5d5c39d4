#pragma once

#include "builder/cli/verb.hpp"

namespace builder {

/// Adds "verity" with its verbs. `console` and `chosen` must outlive the parse.
void add_verity_command(CLI::App& app, const Console& console, Verb& chosen);

/// Its two halves: format, verify, dump, repair; and sign, check-signature.
void add_verity_tree_verbs(CLI::App& verity, const Console& console, Verb& chosen);
void add_verity_signature_verbs(CLI::App& verity, const Console& console, Verb& chosen);

}  // namespace builder
