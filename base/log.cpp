#include "base/log.hpp"

#include <cstdlib>
#include <memory>
#include <string>

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace base {

namespace {

/// "%*" in a pattern: syslog's priority number.
class PriorityFlag final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& into) override {
    into.push_back(priority(message.level));
  }
  std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<PriorityFlag>(); }

 private:
  static char priority(spdlog::level::level_enum level) {
    switch (level) {
      case spdlog::level::err:
      case spdlog::level::critical:
        return '3';
      case spdlog::level::warn:
        return '4';
      case spdlog::level::info:
        return '6';
      default:
        return '7';
    }
  }
};

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return spdlog::level::debug;
    case LogLevel::info:
      return spdlog::level::info;
    case LogLevel::warning:
      return spdlog::level::warn;
    case LogLevel::error:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

std::shared_ptr<spdlog::logger>& logger() {
  static std::shared_ptr<spdlog::logger> instance = [] {
    auto fresh = std::make_shared<spdlog::logger>("keelson", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    fresh->set_pattern("%n: %^%l%$: %v");
    return fresh;
  }();
  return instance;
}

}  // namespace

void set_up_log(std::string_view program, LogStyle style, LogLevel lowest) {
  std::shared_ptr<spdlog::logger> fresh;
  if (style == LogStyle::journal) {
    auto formatter = std::make_unique<spdlog::pattern_formatter>();
    formatter->add_flag<PriorityFlag>('*').set_pattern("<%*>%v");
    fresh = std::make_shared<spdlog::logger>(std::string(program), std::make_shared<spdlog::sinks::stderr_sink_mt>());
    fresh->set_formatter(std::move(formatter));
  } else {
    fresh =
        std::make_shared<spdlog::logger>(std::string(program), std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    fresh->set_pattern("%n: %^%l%$: %v");
  }
  fresh->set_level(spdlog_level(lowest));
  fresh->flush_on(spdlog::level::debug);
  logger() = std::move(fresh);
}

LogStyle log_style_here() {
  return std::getenv("JOURNAL_STREAM") != nullptr ? LogStyle::journal : LogStyle::terminal;
}

void log(LogLevel level, std::string_view line) {
  logger()->log(spdlog_level(level), spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace base
