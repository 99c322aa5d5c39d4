#pragma once

#include <string>

#include "base/result.hpp"

namespace agent::init {

/// Removes all that is in a directory, and leaves other file systems mounted below it alone. `name` is what errors call
/// it. Fails: permission, io.
base::Result<> remove_content(int directory, const std::string& name);

/// Removes a directory with all that is in it; that it is not there is success too. Fails: as above; busy (a mount).
base::Result<> remove_tree(const std::string& path);

}  // namespace agent::init
