#include "agent/init/console.hpp"

#include <fcntl.h>
#include <syslog.h>
#include <termios.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <string_view>

#include "base/clock.hpp"
#include "base/file.hpp"

namespace agent::init {

namespace {

bool write_line(const std::string& path, const std::string& line) {
  const auto file = base::File::open(path, O_WRONLY | O_NOCTTY);
  if (!file) return false;
  // In one piece: each write to /dev/kmsg is a record.
  const bool whole = ::write(file->fd(), line.data(), line.size()) == static_cast<ssize_t>(line.size());
  (void)::tcdrain(file->fd());  // the machine may restart next
  return whole;
}

/// Whether the kernel itself shows records of this level on its consoles.
/// Source: Linux, Documentation/admin-guide/sysctl/kernel.rst, printk
bool shown_by_kernel(int level) {
  const auto levels = base::read_file("/proc/sys/kernel/printk", 256);
  int shown_below = 0;
  return levels && std::from_chars(levels->data(), levels->data() + levels->size(), shown_below).ec == std::errc() &&
         level < shown_below;
}

void say(int level, const std::string& text) {
  const std::string line = "keelson-init: " + text + "\n";
  // The kernel limits how much an opener of /dev/kmsg may say: hence opened anew for each line.
  const bool logged = write_line("/dev/kmsg", "<" + std::to_string(level) + ">" + line);
  if (logged && shown_by_kernel(level)) return;  // once is enough
  if (!write_line("/dev/console", line)) (void)!::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace

void Console::error(const std::string& text) const {
  say(LOG_ERR, text);
}

void Console::warning(const std::string& text) const {
  say(LOG_WARNING, "warning: " + text);
}

void Console::debug(const std::string& text) const {
  if (detail_ != Detail::debug) return;
  const auto since_start = std::chrono::duration_cast<std::chrono::milliseconds>(base::system_clock().boot_time());
  say(LOG_INFO, std::to_string(since_start.count()) + " ms: " + text);
}

}  // namespace agent::init
