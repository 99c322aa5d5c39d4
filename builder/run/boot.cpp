#include "builder/run/boot.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/file.hpp"
#include "base/interrupt.hpp"
#include "base/subprocess.hpp"
#include "base/unique_fd.hpp"
#include "builder/run/scratch_directory.hpp"

namespace builder::run {

using base::fail;
using base::fail_errno;
using base::Kind;
using base::Result;
using base::UniqueFd;

namespace {

constexpr std::size_t max_firmware_size = std::size_t{64} << 20;

/// QEMU puts the terminal into raw mode and standard input into non-blocking mode, and cannot put them back when it is
/// killed.
class TerminalState {
 public:
  TerminalState() : is_terminal_(::tcgetattr(STDIN_FILENO, &modes_) == 0), flags_(::fcntl(STDIN_FILENO, F_GETFL)) {}
  TerminalState(const TerminalState&) = delete;
  TerminalState& operator=(const TerminalState&) = delete;
  ~TerminalState() { restore(); }

  void restore() const {
    if (flags_ >= 0) (void)::fcntl(STDIN_FILENO, F_SETFL, flags_);
    if (is_terminal_) (void)::tcsetattr(STDIN_FILENO, TCSANOW, &modes_);
  }

 private:
  termios modes_{};
  bool is_terminal_;
  int flags_;
};

/// QEMU, in our own process group: only who is in the terminal's foreground may read from it.
class Machine {
 public:
  static Result<Machine> start(const std::vector<std::string>& argv, const std::string& directory);
  Machine(Machine&& other) noexcept
      : pid_(std::exchange(other.pid_, -1)), undo_(std::move(other.undo_)), output_(std::move(other.output_)) {}
  Machine& operator=(Machine&&) = delete;
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;
  ~Machine() {
    if (pid_ < 0) return;
    (void)::kill(pid_, SIGKILL);
    (void)reap();
  }

  const UniqueFd& output() const { return output_; }
  /// Its exit status, as a shell would say it.
  int reap() {
    undo_.reset();
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  Machine() = default;

  pid_t pid_ = -1;
  std::optional<base::UndoOnInterrupt> undo_;
  UniqueFd output_;
};

Result<Machine> Machine::start(const std::vector<std::string>& argv, const std::string& directory) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    const int error = errno;
    return fail_errno(error, "creating a pipe");
  }
  Machine machine;
  machine.output_ = UniqueFd(ends[0]);
  const UniqueFd writer(ends[1]);

  posix_spawn_file_actions_t actions{};
  posix_spawnattr_t attributes{};
  (void)::posix_spawn_file_actions_init(&actions);
  (void)::posix_spawnattr_init(&attributes);
  (void)::posix_spawn_file_actions_adddup2(&actions, writer.get(), STDOUT_FILENO);
  (void)::posix_spawn_file_actions_addchdir_np(&actions, directory.c_str());
  sigset_t none;
  sigset_t all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  (void)::posix_spawnattr_setsigmask(&attributes, &none);
  (void)::posix_spawnattr_setsigdefault(&attributes, &all);
  (void)::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);

  std::vector<std::string> texts = argv;
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  pid_t pid = -1;
  const int error = ::posix_spawnp(&pid, pointers[0], &actions, &attributes, pointers.data(), environ);
  (void)::posix_spawn_file_actions_destroy(&actions);
  (void)::posix_spawnattr_destroy(&attributes);
  if (error != 0) return fail_errno(error, "starting " + argv.front());
  machine.pid_ = pid;
  machine.undo_.emplace([pid] { (void)::kill(pid, SIGKILL); });
  return machine;
}

Result<> write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t put = ::write(fd, text.data(), text.size());
    if (put < 0) {
      const int error = errno;
      if (error == EINTR) continue;
      if (error == EAGAIN) {  // standard output may be the terminal that QEMU has made non-blocking
        pollfd ready{fd, POLLOUT, 0};
        (void)::poll(&ready, 1, -1);
        continue;
      }
      return fail_errno(error, "passing the console on");
    }
    text.remove_prefix(static_cast<std::size_t>(put));
  }
  return base::ok();
}

/// Looks for a text in what comes in pieces.
class Watcher {
 public:
  explicit Watcher(std::string text) : text_(std::move(text)) {}

  bool seen_in(std::string_view piece) {
    if (text_.empty()) return false;
    tail_ += piece;
    if (tail_.find(text_) != std::string::npos) return true;
    if (tail_.size() >= text_.size()) tail_.erase(0, tail_.size() - text_.size() + 1);
    return false;
  }

 private:
  std::string text_;
  std::string tail_;
};

enum class Piece { none, some, end };

/// Passes one piece of the console on.
Result<Piece> pass_on(const Machine& machine, int output_fd, std::string& piece) {
  std::array<char, 16384> buffer{};
  const ssize_t got = ::read(machine.output().get(), buffer.data(), buffer.size());
  if (got < 0) {
    const int error = errno;
    if (error == EINTR) return Piece::none;
    return fail_errno(error, "reading the console");
  }
  if (got == 0) return Piece::end;
  piece.assign(buffer.data(), static_cast<std::size_t>(got));
  if (output_fd >= 0) TRY_DO(write_all(output_fd, piece));
  return Piece::some;
}

Result<Ending> follow(Machine& machine, const ConsoleOptions& console, const base::Clock& clock) {
  const auto start = clock.boot_time();
  Watcher watcher(console.until);
  const std::string wanted = console.until.empty() ? "" : fmt::format(" before it said \"{}\"", console.until);
  bool open = true;
  while (open) {
    int wait_ms = -1;
    if (console.limit) {
      const auto left =
          *console.limit - std::chrono::duration_cast<std::chrono::milliseconds>(clock.boot_time() - start);
      if (left.count() <= 0)
        return fail(Kind::io, fmt::format("the time limit of {} s was over{}", console.limit->count(), wanted));
      wait_ms = static_cast<int>(std::min<std::int64_t>(left.count(), 60'000));
    }
    std::array<pollfd, 1> watched{pollfd{machine.output().get(), POLLIN, 0}};
    const int ready = ::poll(watched.data(), watched.size(), wait_ms);
    if (ready < 0 && errno != EINTR) return fail(Kind::io, "waiting for the console failed");
    if (ready <= 0) continue;
    std::string piece;
    TRY(const Piece passed, pass_on(machine, console.output_fd, piece));
    if (passed == Piece::some && watcher.seen_in(piece)) return Ending::said_text;
    open = passed != Piece::end;
  }
  const int status = machine.reap();
  if (status != 0) return fail(Kind::io, fmt::format("QEMU ended with exit status {}{}", status, wanted));
  if (!console.until.empty()) return fail(Kind::io, "the machine was powered off" + wanted);
  return Ending::powered_off;
}

}  // namespace

Result<Ending> boot_machine(const MachinePlan& plan, const ConsoleOptions& console, const base::Clock& clock) {
  TRY(const ScratchDirectory scratch, ScratchDirectory::create());
  TRY(const std::string variables, base::read_file(plan.variables_from, max_firmware_size));
  TRY_DO(scratch.write(scratch_variables, variables));
  for (const ScratchFile& file : plan.files) TRY_DO(scratch.write(file.name, file.content));
  TRY_DO(base::run_checked(
      {.argv = plan.overlay, .working_directory = scratch.path(), .time_limit = std::chrono::seconds(60)}));

  (void)std::signal(SIGPIPE, SIG_IGN);  // a reader who leaves is an error to tidy up after, not our end
  const TerminalState terminal;
  const base::UndoOnInterrupt undo([&terminal] { terminal.restore(); });
  TRY(Machine machine, Machine::start(plan.machine, scratch.path()));
  return follow(machine, console, clock);
}

}  // namespace builder::run
