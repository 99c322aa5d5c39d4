#include "builder/cli/programs.hpp"

#include <cstdlib>
#include <filesystem>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace builder {

namespace fs = std::filesystem;

std::string this_program() {
  std::error_code error;
  const fs::path path = fs::read_symlink("/proc/self/exe", error);
  return error ? "/proc/self/exe" : path.string();
}

base::Result<std::string> find_init(const std::string& given) {
  if (!given.empty()) return given;
  if (const char* named = std::getenv("KEELSON_INIT");
      named != nullptr && *named != '\0') {  // NOLINT(concurrency-mt-unsafe)
    return std::string(named);
  }
  const fs::path here = fs::path(this_program()).parent_path();
  const std::vector<fs::path> places = {
      (here / "../libexec/keelson/keelson-init").lexically_normal(),  // installed
      (here / "../../agent/init/keelson-init").lexically_normal(),    // in a build directory
      (here / "../../agent/keelson-init").lexically_normal(),
  };
  std::vector<std::string> names;
  for (const fs::path& place : places) {
    names.push_back(place.string());
    if (fs::exists(place)) return place.string();
  }
  return base::fail(base::Kind::not_found,
                    fmt::format("keelson-init, which the initrd starts, is neither {}; name it with --init",
                                fmt::join(names, " nor ")));
}

}  // namespace builder
