#pragma once

#include <string_view>

#include "base/result.hpp"
#include "verity/root_hash.hpp"

namespace image {

/// The root hash that a kernel command line names as roothash=. Words are parted by blanks; there is no quoting, for
/// nothing of ours needs it. Fails: not_found (no roothash=), invalid_input (two of them, or no SHA-256).
base::Result<verity::RootHash> root_hash_in(std::string_view cmdline);

}  // namespace image
