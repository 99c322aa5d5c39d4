#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <mutex>
#include <string>
#include <string_view>

#include "base/advance.hpp"
#include "base/clock.hpp"

namespace base {

enum class ProgressStyle {
  silent,
  bar,    // one line that is drawn again: share, amount, rate, time left
  plain,  // a line at the start, at each tenth, and at the end: for logs
  json,   // one JSON object a line: {"progress": {"task": ..., "done": ..., "total": ...}}
};

/// bar where standard error is a terminal, plain elsewhere.
ProgressStyle progress_style_here();

/// One piece of long work, shown on `out` while the object lives. advance() may be called from any thread.
class Progress {
 public:
  /// `total_bytes` of 0: not known. `clock` must outlive the object.
  Progress(ProgressStyle style, std::string task, std::uint64_t total_bytes, std::FILE* out = stderr,
           const Clock& clock = system_clock());
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  /// Ends the line of a bar. Work that was not finished leaves its last state to be seen.
  ~Progress();

  void advance(std::uint64_t bytes);
  Advance advancer() {
    return [this](std::uint64_t bytes) { advance(bytes); };
  }

 private:
  void show(std::uint64_t done);

  const ProgressStyle style_;
  const std::string task_;
  const std::uint64_t total_;
  std::FILE* const out_;
  const Clock& clock_;
  const std::chrono::nanoseconds start_;
  std::atomic<std::uint64_t> done_ = 0;
  std::atomic<std::int64_t> next_show_ns_ = 0;
  std::mutex drawing_;
  std::uint64_t tenths_shown_ = 0;
};

/// The bar of ProgressStyle::bar as text, at most `width` columns:
/// "hashing  [#######-----]  58%  1.2 GiB/2.0 GiB  3.1 GiB/s  0.3 s left".
std::string render_bar(std::string_view task, std::uint64_t done, std::uint64_t total, std::chrono::nanoseconds elapsed,
                       std::size_t width);

}  // namespace base
