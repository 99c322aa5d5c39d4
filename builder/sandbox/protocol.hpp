#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "builder/sandbox/sandbox.hpp"

namespace builder::sandbox {

/// What begins a line that says what the inside is at.
inline constexpr std::string_view progress_mark = "@keelson ";

struct InsideTask {
  Installation what;
  std::string mount_point;
};
std::string to_json(const Installation& what, const std::string& mount_point);
base::Result<InsideTask> parse_task(std::string_view json);

/// What maintainer scripts find in their environment, and nothing else.
std::vector<std::string> script_environment(std::chrono::sys_seconds date);

}  // namespace builder::sandbox
