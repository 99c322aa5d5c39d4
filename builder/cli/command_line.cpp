#include "builder/cli/command_line.hpp"

#include <string>

#include <CLI/CLI.hpp>

#include "base/log.hpp"
#include "base/suggest.hpp"
#include "base/version.hpp"
#include "builder/cli/build_command.hpp"
#include "builder/cli/cache_command.hpp"
#include "builder/cli/check_command.hpp"
#include "builder/cli/commit_command.hpp"
#include "builder/cli/compose_command.hpp"
#include "builder/cli/console.hpp"
#include "builder/cli/diff_command.hpp"
#include "builder/cli/keys_command.hpp"
#include "builder/cli/new_command.hpp"
#include "builder/cli/run_command.hpp"
#include "builder/cli/show_command.hpp"
#include "builder/cli/verify_command.hpp"
#include "builder/cli/verity_command.hpp"

namespace builder {

namespace {

/// CLI11's words, with the verb or option that nobody knows named and the likely one offered.
std::string explain(const CLI::App* app, const CLI::Error& error) {
  std::string text = error.what();
  const std::vector<std::string> unknown = app->remaining(true);
  std::string name = app->get_name();
  std::vector<std::string> known;
  for (const CLI::Option* option : app->get_options()) known.push_back(option->get_name());
  while (!app->get_subcommands().empty()) {  // to the innermost verb that was named
    app = app->get_subcommands().front();
    name += " " + app->get_name();
    for (const CLI::Option* option : app->get_options()) known.push_back(option->get_name());
  }
  for (const CLI::App* verb : app->get_subcommands({})) known.push_back(verb->get_name());
  if (!unknown.empty()) {
    text = fmt::format("\"{}\" is not known here", unknown.front());
    if (const auto meant = base::did_you_mean(unknown.front(), known))
      text += fmt::format("; did you mean \"{}\"?", *meant);
  }
  return fmt::format("keelson: error: {}\nTry '{} --help'.\n", text, name);
}

}  // namespace

base::ExitStatus run_command_line(int argc, const char* const* argv) {
  CLI::App app(
      "Builds immutable, verified Linux images for container hosts, and says what is inside them.\n\n"
      "  keelson verity format root.img root.verity      hash a file system image\n"
      "  keelson show node.raw                           say what is inside\n"
      "  keelson verify node.raw --cert verity.crt       check it from the firmware's signature to the last block\n"
      "  keelson verity --help                           all that can be done with hash trees\n",
      "keelson");
  app.set_version_flag("--version", "keelson " + std::string(base::version));
  app.require_subcommand(1);
  app.fallthrough();  // so that "keelson verity dump x --json" is the same as "keelson --json verity dump x"
  app.failure_message(&explain);
  app.footer(
      "Exit status: 0 success; 1 failure (machine, files, tools); 2 wrong usage or input; 3 bytes or signatures that "
      "are "
      "not genuine; 130 interrupted.");

  Console console;
  bool verbose = false;
  app.add_flag("--json", console.json, "Results as JSON on standard output, progress as JSON lines on standard error");
  app.add_flag("-q,--quiet", console.quiet, "No progress and no table, only errors");
  app.add_flag("-v,--verbose", verbose, "Say more about what is done");

  Verb verb;
  add_new_command(app, console, verb);
  add_check_command(app, console, verb);
  add_commit_command(app, console, verb);
  add_compose_command(app, console, verb);
  add_lock_command(app, console, verb);
  add_build_command(app, console, verb);
  add_sandbox_command(app, console, verb);
  add_keys_command(app, console, verb);
  add_run_command(app, console, verb);
  add_show_command(app, console, verb);
  add_diff_command(app, console, verb);
  add_verify_command(app, console, verb);
  add_cache_command(app, console, verb);
  add_verity_command(app, console, verb);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? base::ExitStatus::success : base::ExitStatus::usage;
  }
  base::set_up_log("keelson", base::log_style_here(), verbose ? base::LogLevel::debug : base::LogLevel::info);

  if (auto done = verb(); !done) {
    console.show(done.error());
    return exit_status_for(done.error().kind());
  }
  return base::ExitStatus::success;
}

}  // namespace builder
