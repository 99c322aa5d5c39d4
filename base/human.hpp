#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace base {

/// "17 B", "4.0 KiB", "1.5 GiB": three digits or fewer, binary units.
std::string human_bytes(std::uint64_t bytes);

/// "0.4 s", "12 s", "3 min 05 s", "2 h 10 min".
std::string human_duration(std::chrono::nanoseconds duration);

}  // namespace base
