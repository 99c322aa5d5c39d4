#include "base/log.hpp"

#include <gmock/gmock.h>

namespace {

using base::LogLevel;
using base::LogStyle;

std::string logged(LogStyle style, LogLevel lowest) {
  testing::internal::CaptureStderr();
  base::set_up_log("keelsond", style, lowest);
  base::log_debug("{} of {}", "one", 2);
  base::log_warning("slow {}", "disk");
  base::log_error("{{}} is no format here");
  return testing::internal::GetCapturedStderr();
}

TEST(Log, OnATerminalNamesProgramAndLevel) {
  EXPECT_EQ(logged(LogStyle::terminal, LogLevel::info),
            "keelsond: warning: slow disk\nkeelsond: error: {} is no format here\n");
}

TEST(Log, ForTheJournalPutsThePriorityOfSdDaemonInFront) {
  EXPECT_EQ(logged(LogStyle::journal, LogLevel::debug), "<7>one of 2\n<4>slow disk\n<3>{} is no format here\n");
}

}  // namespace
