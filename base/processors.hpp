#pragma once

#include <functional>

namespace base {

/// Processors that this process may run on (its affinity mask), at least 1.
unsigned available_processors();

/// Runs `work` on `threads` threads, the caller's among them, and returns when all are done. 0: one for each available
/// processor. `work` must not throw.
void run_on_threads(unsigned threads, const std::function<void()>& work);

}  // namespace base
