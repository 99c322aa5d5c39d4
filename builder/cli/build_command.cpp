#include "builder/cli/build_command.hpp"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/bytes.hpp"
#include "base/human.hpp"
#include "base/log.hpp"
#include "base/partial_file.hpp"
#include "builder/build.hpp"
#include "builder/cache/cache.hpp"
#include "builder/cli/programs.hpp"
#include "builder/manifest/manifest.hpp"
#include "builder/manifest_lock.hpp"
#include "builder/sandbox/sandbox.hpp"

namespace builder {

using base::fail;
using base::Json;
using base::Kind;
using base::Result;

namespace {

struct CommonOptions {
  std::string manifest;
  std::vector<std::string> settings;
  std::string cache;
};

void add_common_options(CLI::App& verb, CommonOptions& options) {
  verb.add_option("manifest", options.manifest, "The manifest")->required();
  verb.add_option("--set", options.settings, "KEY=VALUE: counts more than the files, such as image.version=1.2.0");
  verb.add_option("--cache", options.cache,
                  "The directory of packages and results of earlier builds (default: $KEELSON_CACHE, or keelson in the "
                  "user's cache directory)");
}

std::string cache_directory(const CommonOptions& options) {
  return options.cache.empty() ? cache::Cache::usual_directory() : options.cache;
}

struct BuildCommandOptions {
  CommonOptions common;
  std::string output = "out";
  std::string programs;
  std::string init;
  bool offline = false;
  bool explain = false;
  std::size_t packages = 10;
};

std::string steps_text(const BuildReport& report, bool explain) {
  std::string text;
  for (const StepReport& step : report.steps) {
    text += fmt::format("  {:<9} {:>8}  {}", step.name, base::human_duration(step.took),
                        step.ran ? "built" : "from the cache");
    if (explain && step.ran && !step.reason.empty()) text += "  (" + step.reason + ")";
    text += "\n";
  }
  return text;
}

/// What a person wants to know after a build.
std::string summary(const BuildReport& report, const BuildCommandOptions& options) {
  std::string text = fmt::format("{} {}\n", report.image_id, report.image_version);
  if (report.up_to_date) {
    text += fmt::format("  {} is up to date: nothing that it is made of has changed ({})\n", options.output,
                        base::human_duration(report.took));
  }
  const std::uint64_t percent = report.slot_bytes == 0 ? 0 : 100 - report.root_bytes * 100 / report.slot_bytes;
  text += fmt::format("  root      {:>9} of {} a slot: {} % headroom\n", base::human_bytes(report.root_bytes),
                      base::human_bytes(report.slot_bytes), percent);
  text += fmt::format("  hashes    {:>9}\n  UKI       {:>9}\n", base::human_bytes(report.hash_tree_bytes),
                      base::human_bytes(report.uki_bytes));
  text += fmt::format("  root hash {}\n  commit    {}\n", report.root_hash, report.commit);
  if (!report.packages.empty() && options.packages > 0) {
    std::vector<const outputs::InstalledPackage*> largest;
    std::uint64_t all = 0;
    for (const outputs::InstalledPackage& package : report.packages) {
      largest.push_back(&package);
      all += package.size_bytes;
    }
    std::ranges::sort(largest, std::greater(), &outputs::InstalledPackage::size_bytes);
    largest.resize(std::min(largest.size(), options.packages));
    text += fmt::format("\n{} packages, {}; the largest:\n", report.packages.size(), base::human_bytes(all));
    for (const auto* package : largest) {
      text += fmt::format("  {:<36} {:>9}\n", package->name + " " + package->version,
                          base::human_bytes(package->size_bytes));
    }
  }
  if (!report.up_to_date) text += "\nsteps\n" + steps_text(report, options.explain);
  text += fmt::format("\nin {}:\n", options.output);
  for (const OutputFile& output : report.outputs) {
    text += fmt::format("  {:<36} {:>9}\n", output.name, base::human_bytes(output.size_bytes));
  }
  if (report.made_lock) text += fmt::format("\nmade {}: keep it with the manifest\n", report.lock_path);
  if (report.made_keys) {
    text +=
        fmt::format("\nmade new keys in {}: hosts will trust what they sign, so keep them safe\n", *report.made_keys);
  }
  return text + fmt::format("\n{}\n", base::human_duration(report.took));
}

Result<> run_build(const BuildCommandOptions& options, const Console& console) {
  BuildOptions build_options{.manifest = options.common.manifest,
                             .output_directory = options.output,
                             .cache_directory = cache_directory(options.common),
                             .offline = options.offline,
                             .keelson = this_program(),
                             .progress = console.progress_style()};
  TRY(build_options.settings, manifest::parse_settings(options.common.settings));
  TRY(const ImagePrograms programs, find_image_programs(options.programs, options.init));
  build_options.init = programs.init;
  build_options.boot = programs.boot;
  TRY(const BuildReport report, build(build_options));
  console.show(summary(report, options), report.to_json());
  return base::ok();
}

struct LockCommandOptions {
  CommonOptions common;
  bool update = false;
  bool check = false;
};

Json change_json(const packages::LockChange& change) {
  constexpr const char* kinds[] = {"added", "removed", "upgraded", "downgraded", "replaced"};
  Json json = {{"name", change.name}, {"change", kinds[static_cast<int>(change.kind)]}};
  if (!change.before.empty()) json["before"] = change.before;
  if (!change.after.empty()) json["after"] = change.after;
  return json;
}

Result<> run_lock(const LockCommandOptions& options, const Console& console) {
  manifest::LoadOptions load;
  TRY(load.settings, manifest::parse_settings(options.common.settings));
  TRY(const manifest::Manifest manifest, manifest::read_manifest(options.common.manifest, load));
  TRY(const cache::Cache cache, cache::Cache::open(cache_directory(options.common)));
  const std::string path = lock_path_of(options.common.manifest);
  auto earlier = read_lock(path);
  if (!earlier && earlier.error().kind() != Kind::not_found && earlier.error().kind() != Kind::invalid_input) {
    return std::unexpected(std::move(earlier).error());
  }
  const packages::Lock* before = earlier ? &*earlier : nullptr;
  TRY(const packages::Lock lock,
      make_lock(manifest, directory_of(options.common.manifest), before,
                options.update ? LockVersions::newest : LockVersions::stay, cache, console.progress_style()));
  const auto changes = packages::difference(before != nullptr ? *before : packages::Lock(), lock);
  if (!options.check) {
    TRY_DO(base::replace_file(path, base::bytes_of(packages::to_json(lock))));
  }
  std::uint64_t bytes = 0;
  for (const packages::LockedPackage& package : lock.packages) bytes += package.size_bytes;
  Json json = {{"lock", path}, {"packages", lock.packages.size()}, {"bytes", bytes}, {"changes", Json::array()}};
  for (const packages::LockChange& change : changes) json["changes"].push_back(change_json(change));
  std::string text = fmt::format("{}: {} packages, {}\n", path, lock.packages.size(), base::human_bytes(bytes));
  if (before != nullptr) text += changes.empty() ? "nothing changed\n" : packages::describe(changes);
  console.show(text, json);
  return base::ok();
}

struct NoOptions {};

Result<> run_inside(const NoOptions& /*none*/, const Console& /*console*/) {
  return sandbox::install_inside();
}

}  // namespace

void add_build_command(CLI::App& app, const Console& console, Verb& chosen) {
  auto options = std::make_shared<BuildCommandOptions>();
  CLI::App& verb =
      add_verb(app, console, chosen, "build", "Build a manifest: packages, root, image, disk", &run_build, options);
  add_common_options(verb, options->common);
  verb.add_option("-o,--out", options->output, "Where it goes (default: out)");
  verb.add_flag("--offline", options->offline, "Use no network: only the lock and the archive of packages");
  verb.add_flag("--explain", options->explain, "Say why each step ran");
  verb.add_option("--programs", options->programs,
                  "The directory of keelson-init and keelson-boot, which go into the image (default: those that belong "
                  "to this keelson)");
  verb.add_option("--init", options->init, "Another program for the initrd to start than keelson-init");
  verb.add_option("--largest", options->packages, "How many packages the summary shows (default 10)");
  verb.footer(
      "Exactly the packages of <manifest>.lock are used; without one it is made first. The same lock, manifest and "
      "keys\n"
      "give the same bytes, on every host. What has been built before comes out of the cache.\n\n"
      "Example: keelson build manifests/node.yaml --out out\n"
      "         keelson build node.yaml --set image.version=1.0.1 --explain");
}

void add_lock_command(CLI::App& app, const Console& console, Verb& chosen) {
  auto options = std::make_shared<LockCommandOptions>();
  CLI::App& verb = add_verb(app, console, chosen, "lock",
                            "Choose a manifest's packages, and keep the choice in <manifest>.lock", &run_lock, options);
  add_common_options(verb, options->common);
  verb.add_flag("--update", options->update, "Take the newest versions (default: stay with those of the lock)");
  verb.add_flag("--dry-run", options->check, "Only say what would change");
  verb.footer(
      "apt chooses, from the host's sources or the manifest's, with their signatures checked. The lock names each "
      "package "
      "by\nversion, size and SHA-256.\n\n"
      "Example: keelson lock manifests/node.yaml --update");
}

void add_sandbox_command(CLI::App& app, const Console& console, Verb& chosen) {
  CLI::App& verb = add_verb(app, console, chosen, sandbox::inner_verb, "", &run_inside, std::make_shared<NoOptions>());
  verb.group("");  // not for people
}

}  // namespace builder
