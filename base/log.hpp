#pragma once

#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace base {

enum class LogLevel { debug, info, warning, error };

/// How a line looks on standard error.
enum class LogStyle {
  terminal,  // "keelson: error: ...", in colour where standard error is a terminal
  journal,   // "<3>...": the priority prefix of sd-daemon(3), no time and no name, for the journal adds both
};

/// Called once by a program's main. Without it: terminal style, level info.
void set_up_log(std::string_view program, LogStyle style, LogLevel lowest);
/// journal under systemd (JOURNAL_STREAM is set), terminal elsewhere.
LogStyle log_style_here();

void log(LogLevel level, std::string_view line);

template <class... Args>
void log_debug(fmt::format_string<Args...> format, Args&&... args) {
  log(LogLevel::debug, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  log(LogLevel::info, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) {
  log(LogLevel::warning, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_error(fmt::format_string<Args...> format, Args&&... args) {
  log(LogLevel::error, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace base
