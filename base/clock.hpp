#pragma once

#include <chrono>

namespace base {

/// Time as an input, so that a test can say "six hours later".
class Clock {
 public:
  virtual ~Clock() = default;

  /// Civil time, UTC; may jump.
  virtual std::chrono::system_clock::time_point wall_time() const = 0;
  /// Time since boot, time asleep included; never jumps. For intervals and time limits.
  virtual std::chrono::nanoseconds boot_time() const = 0;
};

/// The machine's own clocks (CLOCK_REALTIME, CLOCK_BOOTTIME).
const Clock& system_clock();

}  // namespace base
