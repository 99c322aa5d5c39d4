#pragma once

#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "verity/root_hash.hpp"

namespace image {

/// The words of a kernel command line, parted by blanks; there is no quoting, for nothing of ours needs it. They live
/// as long as `cmdline` does.
std::vector<std::string_view> words_of(std::string_view cmdline);

/// The root hash that a kernel command line names as roothash=. Fails: not_found (no roothash=), invalid_input (two of
/// them, or no SHA-256).
base::Result<verity::RootHash> root_hash_in(std::string_view cmdline);

}  // namespace image
