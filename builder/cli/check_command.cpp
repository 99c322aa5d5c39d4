#include "builder/cli/check_command.hpp"

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/human.hpp"
#include "builder/effective_yaml.hpp"
#include "builder/manifest/manifest.hpp"

namespace builder {

using base::Result;

namespace {

struct CheckOptions {
  std::string manifest;
  std::vector<std::string> settings;
  bool effective = false;
  bool schema = false;
};

Result<> check(const CheckOptions& options, const Console& console) {
  if (options.schema) {
    fmt::print("{}\n", manifest::json_schema(manifest::language(), "Keelson manifest").dump(2));
    return base::ok();
  }
  if (options.manifest.empty()) {
    return base::fail(base::Kind::invalid_input, "nothing to check: give a manifest, or --schema");
  }
  manifest::LoadOptions load;
  TRY(load.settings, manifest::parse_settings(options.settings));
  TRY(const manifest::Value effective, manifest::load_effective(options.manifest, load));
  TRY(const manifest::Manifest read, manifest::manifest_of(effective));
  if (options.effective) {
    fmt::print("{}", to_yaml(effective, Places::shown));
    return base::ok();
  }
  FactSheet facts;
  facts.add("manifest", options.manifest);
  facts.add("image", read.id + " " + read.version);
  facts.add("architecture", read.arch);
  facts.add("suite", read.debian.suite);
  facts.add("packages", read.debian.install.size(), fmt::format("{} named", read.debian.install.size()));
  facts.add("root_slot_bytes", read.root_bytes, base::human_bytes(read.root_bytes));
  console.show(facts);
  return base::ok();
}

}  // namespace

void add_check_command(CLI::App& app, const Console& console, Verb& chosen) {
  auto options = std::make_shared<CheckOptions>();
  CLI::App& verb =
      add_verb(app, console, chosen, "check", "Check a manifest and all that it includes", &check, options);
  verb.add_option("manifest", options->manifest, "The manifest");
  verb.add_option("--set", options->settings, "KEY=VALUE: counts more than the files, such as image.version=1.2.0");
  verb.add_flag("--effective", options->effective,
                "Print what is built from: all files merged, each value with where it came from");
  verb.add_flag("--schema", options->schema, "Print the language's JSON schema, for editors");
  verb.footer(
      "Everything that is wrong is said at once, with file, line and column.\n\n"
      "Example: keelson check manifests/node.yaml --effective");
}

}  // namespace builder
