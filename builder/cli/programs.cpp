#include "builder/cli/programs.hpp"

#include <cstdlib>
#include <filesystem>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace builder {

namespace fs = std::filesystem;

namespace {

std::string from_environment(const char* name) {
  const char* const value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
  return value == nullptr ? "" : value;
}

/// A program in that directory, if one is given; else the one that was installed or built with this program.
base::Result<std::string> find_program(const std::string& name, const std::string& directory) {
  const fs::path here = fs::path(this_program()).parent_path();
  // Installed; in a build directory.
  std::vector<fs::path> places = {here / "../libexec/keelson", here / "../../agent"};
  if (!directory.empty()) places = {directory};
  std::vector<std::string> looked_for;
  for (const fs::path& place : places) {
    looked_for.push_back((place / name).lexically_normal().string());
    if (fs::exists(looked_for.back())) return looked_for.back();
  }
  return base::fail(base::Kind::not_found,
                    fmt::format("there is no {}, which goes into images; name its directory with --programs",
                                fmt::join(looked_for, " and no ")));
}

}  // namespace

std::string this_program() {
  std::error_code error;
  const fs::path path = fs::read_symlink("/proc/self/exe", error);
  return error ? "/proc/self/exe" : path.string();
}

base::Result<ImagePrograms> find_image_programs(const std::string& directory, const std::string& init) {
  const std::string given = directory.empty() ? from_environment("KEELSON_PROGRAMS") : directory;
  const std::string given_init = init.empty() ? from_environment("KEELSON_INIT") : init;
  ImagePrograms programs{.init = given_init, .boot = {}};
  if (given_init.empty()) {
    TRY(programs.init, find_program("keelson-init", given));
  }
  TRY(programs.boot, find_program("keelson-boot", given));
  return programs;
}

}  // namespace builder
