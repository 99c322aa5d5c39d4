#include "base/progress.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/human.hpp"
#include "base/json.hpp"

namespace base {

namespace {

constexpr std::chrono::nanoseconds redraw_interval = std::chrono::milliseconds(100);

std::size_t terminal_width(std::FILE* out) {
  winsize size{};
  if (::ioctl(::fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 20) return size.ws_col - 1U;
  return 79;
}

double share(std::uint64_t done, std::uint64_t total) {
  return std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
}

}  // namespace

ProgressStyle progress_style_here() {
  return ::isatty(STDERR_FILENO) == 1 ? ProgressStyle::bar : ProgressStyle::plain;
}

std::string render_bar(std::string_view task, std::uint64_t done, std::uint64_t total, std::chrono::nanoseconds elapsed,
                       std::size_t width) {
  const double seconds = std::chrono::duration<double>(elapsed).count();
  const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
  std::string figures = human_bytes(done);
  if (total > 0)
    figures = fmt::format("{:3.0f}%  {}/{}", share(done, total) * 100, human_bytes(done), human_bytes(total));
  if (rate > 0) figures += fmt::format("  {}/s", human_bytes(static_cast<std::uint64_t>(rate)));
  if (rate > 0 && total > done) {
    const std::chrono::duration<double> left(static_cast<double>(total - done) / rate);
    figures += fmt::format("  {} left", human_duration(std::chrono::duration_cast<std::chrono::nanoseconds>(left)));
  }
  const std::size_t fixed = task.size() + figures.size() + 6;  // two gaps of two columns, two brackets
  if (total == 0 || fixed + 10 > width) return fmt::format("{}  {}", task, figures).substr(0, width);
  const std::size_t cells = std::min<std::size_t>(width - fixed, 40);
  const auto filled = static_cast<std::size_t>(share(done, total) * static_cast<double>(cells));
  return fmt::format("{}  [{:#<{}}{:-<{}}]  {}", task, "", filled, "", cells - filled, figures);
}

Progress::Progress(ProgressStyle style, std::string task, std::uint64_t total_bytes, std::FILE* out, const Clock& clock)
    : style_(style), task_(std::move(task)), total_(total_bytes), out_(out), clock_(clock), start_(clock.boot_time()) {}

Progress::~Progress() {
  if (style_ == ProgressStyle::silent) return;
  show(done_);
  if (style_ == ProgressStyle::bar) fmt::print(out_, "\n");
}

void Progress::advance(std::uint64_t bytes) {
  const std::uint64_t done = done_.fetch_add(bytes) + bytes;
  if (style_ == ProgressStyle::silent) return;
  const std::int64_t now = clock_.boot_time().count();
  std::int64_t due = next_show_ns_;
  if (now < due || !next_show_ns_.compare_exchange_strong(due, now + redraw_interval.count())) return;
  show(done);
}

void Progress::show(std::uint64_t done) {
  const std::lock_guard lock(drawing_);
  switch (style_) {
    case ProgressStyle::silent:
      return;
    case ProgressStyle::bar: {
      const std::string bar = render_bar(task_, done, total_, clock_.boot_time() - start_, terminal_width(out_));
      fmt::print(out_, "\r\033[K{}", bar);
      break;
    }
    case ProgressStyle::plain: {
      const std::uint64_t tenths = total_ > 0 ? static_cast<std::uint64_t>(share(done, total_) * 10) : 0;
      if (tenths <= tenths_shown_) return;
      tenths_shown_ = tenths;
      fmt::print(out_, "{}: {}% of {}\n", task_, tenths * 10, human_bytes(total_));
      break;
    }
    case ProgressStyle::json:
      fmt::print(out_, "{}\n", Json{{"progress", {{"task", task_}, {"done", done}, {"total", total_}}}}.dump());
      break;
  }
  std::fflush(out_);
}

}  // namespace base
