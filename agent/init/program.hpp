#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace agent::init {

struct ProgramEnd {
  int exit_status = 0;  // 128 + signal when a signal ended it
  std::string output;   // what it said on standard output and error, the end of it, without the last line break
};

/// Runs a program of the verified root with nothing but a PATH in its environment, and waits. base::Subprocess is for
/// hosts: it asks for threads, signals and libraries that an initramfs does without.
/// argv[0] is a path. Fails: not_found, permission (the program); cancelled (time limit; its process group is killed);
/// io.
base::Result<ProgramEnd> run_program(const std::vector<std::string>& argv, std::chrono::seconds time_limit);

/// Whether there is such a program.
bool has_program(const std::string& path);

}  // namespace agent::init
