#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"

namespace base {

/// The names in a directory, sorted, without "." and "..". `name` is what errors call it. Fails: not_found, permission,
/// io.
Result<std::vector<std::string>> entries_of(int directory, const std::string& name);
Result<std::vector<std::string>> entries_of(const std::string& path);

}  // namespace base
