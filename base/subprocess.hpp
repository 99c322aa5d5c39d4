#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/interrupt.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace base {

/// A program to run: its arguments as they are, never through a shell.
struct Command {
  std::vector<std::string> argv;                        // argv[0] is looked up in PATH unless it holds a slash
  std::optional<std::vector<std::string>> environment;  // "NAME=value"; without it the caller's own
  std::string working_directory;                        // empty: the caller's own
  std::string input;                                    // standard input; empty: /dev/null
  int output_fd = -1;                                   // standard output goes there; -1: it is captured
  std::function<void(std::string_view)> on_errors;      // told of standard error as it comes; it is captured, too
  std::optional<std::chrono::milliseconds> time_limit;
  std::size_t max_output_bytes = std::size_t{16} << 20;  // for standard output and standard error each
};

struct CommandResult {
  int exit_status = 0;  // as a shell would say it: 128 + signal when a signal ended it
  std::string output;
  std::string errors;
};

/// A running program with its output captured. Its whole process group is killed when the object goes away, and when
/// we are interrupted (undo_when_interrupted): a terminal does not tell it, for the group is its own.
class Subprocess {
 public:
  /// Fails: not_found (no such program), permission, invalid_input (empty argv), io.
  static Result<Subprocess> start(const Command& command);
  Subprocess(Subprocess&& other) noexcept;
  Subprocess& operator=(Subprocess&& other) noexcept;
  Subprocess(const Subprocess&) = delete;
  Subprocess& operator=(const Subprocess&) = delete;
  ~Subprocess();

  pid_t pid() const { return pid_; }
  /// Collects output until the program ends. Fails: cancelled (time limit; the program is killed), no_space (more
  /// output than allowed; killed), io.
  Result<CommandResult> wait();
  /// SIGKILL to the whole process group, then reaps. Does nothing when it has ended already.
  void kill();

 private:
  Subprocess() = default;

  pid_t pid_ = -1;
  std::optional<UndoOnInterrupt> undo_;
  UniqueFd exit_;  // a pidfd: readable when the program has ended
  UniqueFd output_;
  UniqueFd errors_;
  std::function<void(std::string_view)> on_errors_;
  std::string name_;
  std::optional<std::chrono::milliseconds> time_limit_;
  std::size_t max_output_bytes_ = 0;
};

/// Starts and waits. Any exit status is a success of this call: look at it.
Result<CommandResult> run(const Command& command);
/// Starts, waits, and takes any exit status but 0 for a failure whose message holds the end of standard error.
/// Returns standard output. Fails: as above; io for an exit status.
Result<std::string> run_checked(const Command& command);

/// Where PATH finds `program`, or nothing.
std::optional<std::string> find_program(const std::string& program);

}  // namespace base
