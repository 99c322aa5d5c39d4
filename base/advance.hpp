#pragma once

#include <cstdint>
#include <functional>

namespace base {

/// Told by long work how far it is: called with the bytes done since the last call, from any thread.
using Advance = std::function<void(std::uint64_t bytes)>;

}  // namespace base
