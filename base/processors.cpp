#include "base/processors.hpp"

#include <sched.h>

#include <algorithm>
#include <thread>
#include <vector>

namespace base {

unsigned available_processors() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  // Fails with EINVAL on machines of more than 1024 processors; those have enough.
  if (::sched_getaffinity(0, sizeof allowed, &allowed) == 0) {
    return std::max(1U, static_cast<unsigned>(CPU_COUNT(&allowed)));
  }
  return std::max(1U, std::thread::hardware_concurrency());
}

void run_on_threads(unsigned threads, const std::function<void()>& work) {
  if (threads == 0) threads = available_processors();
  std::vector<std::jthread> others;
  for (unsigned i = 1; i < threads; ++i) others.emplace_back(work);
  work();
}

}  // namespace base
