#include "builder/cli/cache_command.hpp"

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "base/clock.hpp"
#include "base/human.hpp"
#include "builder/cache/cache.hpp"
#include "builder/manifest/schema.hpp"

namespace builder {

using base::fail;
using base::Json;
using base::Kind;
using base::Result;

namespace {

struct CacheOptions {
  std::string directory;
  std::string unused_for = "30d";
};

std::string directory_of(const CacheOptions& options) {
  return options.directory.empty() ? cache::Cache::usual_directory() : options.directory;
}

std::string day_of(std::chrono::sys_seconds time) {
  return fmt::format("{:%Y-%m-%d %H:%M}", fmt::gmtime(time.time_since_epoch().count()));
}

Result<> list(const CacheOptions& options, const Console& console) {
  TRY(const cache::Cache cache, cache::Cache::open(directory_of(options)));
  TRY(const std::vector<cache::CachedStep> steps, cache.list());
  std::size_t packages = 0;
  std::uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(cache.packages_directory())) {
    ++packages;
    bytes += entry.file_size();
  }
  Json json = {
      {"directory", cache.directory()}, {"packages", packages}, {"packages_bytes", bytes}, {"steps", Json::array()}};
  std::string text = fmt::format("{}\n  {} packages, {}\n", cache.directory(), packages, base::human_bytes(bytes));
  for (const cache::CachedStep& step : steps) {
    json["steps"].push_back({{"name", step.name},
                             {"key", step.key},
                             {"commit", step.commit},
                             {"last_used", step.last_used.time_since_epoch().count()}});
    text += fmt::format("  {}  {:<9} {}  commit {}\n", day_of(step.last_used), step.name, step.key.substr(0, 16),
                        step.commit.substr(0, 16));
  }
  console.show(text, json);
  return base::ok();
}

Result<> prune(const CacheOptions& options, const Console& console) {
  const auto milliseconds = manifest::parse_duration(options.unused_for);
  if (!milliseconds) {
    return fail(Kind::invalid_input, fmt::format("\"{}\" is no duration such as 30d or 12h", options.unused_for));
  }
  TRY(cache::Cache cache, cache::Cache::open(directory_of(options)));
  const auto now = std::chrono::time_point_cast<std::chrono::seconds>(base::system_clock().wall_time());
  TRY(const cache::Pruned pruned,
      cache.prune(std::chrono::duration_cast<std::chrono::seconds>(std::chrono::milliseconds(*milliseconds)), now));
  console.show(fmt::format("dropped {} steps and {} packages, {}\n", pruned.steps, pruned.packages,
                           base::human_bytes(pruned.bytes)),
               Json{{"steps", pruned.steps}, {"packages", pruned.packages}, {"bytes", pruned.bytes}});
  return base::ok();
}

}  // namespace

void add_cache_command(CLI::App& app, const Console& console, Verb& chosen) {
  CLI::App& group = *app.add_subcommand("cache", "Look after the results of earlier builds");
  group.require_subcommand(1);
  auto options = std::make_shared<CacheOptions>();
  CLI::App& list_verb = add_verb(group, console, chosen, "list", "Say what is in the cache", &list, options);
  CLI::App& prune_verb =
      add_verb(group, console, chosen, "prune", "Drop what nobody has used for a while", &prune, options);
  for (CLI::App* verb : {&list_verb, &prune_verb}) {
    verb->add_option("--cache", options->directory,
                     "The cache's directory (default: $KEELSON_CACHE, or keelson in the user's cache directory)");
  }
  prune_verb.add_option("--unused-for", options->unused_for, "For how long: 30d (the default), 12h, 0s");
  group.footer("Example: keelson cache prune --unused-for 7d");
}

}  // namespace builder
