#include "base/clock.hpp"

#include <ctime>

namespace base {

namespace {

class SystemClock final : public Clock {
 public:
  std::chrono::system_clock::time_point wall_time() const override { return std::chrono::system_clock::now(); }

  std::chrono::nanoseconds boot_time() const override {
    timespec now{};
    (void)::clock_gettime(CLOCK_BOOTTIME, &now);  // cannot fail: the clock exists since Linux 2.6.39
    return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
  }
};

}  // namespace

const Clock& system_clock() {
  static const SystemClock clock;
  return clock;
}

}  // namespace base
