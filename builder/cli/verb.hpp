#pragma once

#include <functional>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include "base/result.hpp"
#include "builder/cli/console.hpp"

namespace builder {

/// What the command line asked for, ready to run.
using Verb = std::function<base::Result<>()>;

/// Adds a verb whose options live as long as the command line does; named there, it becomes `chosen`.
template <class Options>
CLI::App& add_verb(CLI::App& parent, const Console& console, Verb& chosen, const std::string& name,
                   const std::string& description, base::Result<> (*run)(const Options&, const Console&),
                   const std::shared_ptr<Options>& options) {
  CLI::App& verb = *parent.add_subcommand(name, description);
  verb.callback(
      [run, options, &console, &chosen] { chosen = [run, options, &console] { return run(*options, console); }; });
  return verb;
}

}  // namespace builder
