#pragma once

#include "base/exit_status.hpp"

namespace builder {

/// The program `keelson`: reads the command line, runs one verb, reports.
base::ExitStatus run_command_line(int argc, const char* const* argv);

}  // namespace builder
