#include "base/subprocess.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/clock.hpp"
#include "base/file.hpp"

namespace base {

namespace {

struct Pipe {
  UniqueFd read;
  UniqueFd write;
};

Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    const int error = errno;
    return fail_errno(error, "creating a pipe");
  }
  Pipe made{UniqueFd(ends[0]), UniqueFd(ends[1])};
  if (::fcntl(made.read.get(), F_SETFL, O_NONBLOCK) != 0) {
    const int error = errno;
    return fail_errno(error, "setting up a pipe");
  }
  return made;
}

/// Standard input is a sealed piece of memory: no pipe to feed, so no deadlock and no SIGPIPE.
Result<UniqueFd> make_input(const std::string& input) {
  if (input.empty()) {
    UniqueFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    const int error = errno;
    if (!null) return fail_errno(error, "opening /dev/null");
    return null;
  }
  UniqueFd memory(::memfd_create("keelson-stdin", MFD_CLOEXEC));
  if (!memory) {
    const int error = errno;
    return fail_errno(error, "creating memory for standard input");
  }
  File file = File::adopt(std::move(memory), "standard input");
  TRY_DO(file.write_all(0, bytes_of(input)));
  return UniqueFd(::fcntl(file.fd(), F_DUPFD_CLOEXEC, 0));
}

/// posix_spawn takes char*, though it changes nothing.
std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

/// posix_spawn's two settings objects, freed together.
class SpawnSettings {
 public:
  SpawnSettings() {
    (void)::posix_spawn_file_actions_init(&actions_);
    (void)::posix_spawnattr_init(&attributes_);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;
  ~SpawnSettings() {
    (void)::posix_spawn_file_actions_destroy(&actions_);
    (void)::posix_spawnattr_destroy(&attributes_);
  }

  void stream(int fd, int as) { (void)::posix_spawn_file_actions_adddup2(&actions_, fd, as); }
  void directory(const std::string& path) { (void)::posix_spawn_file_actions_addchdir_np(&actions_, path.c_str()); }
  /// A process group of its own; all signals unblocked and with their default actions.
  void fresh_group_and_signals() {
    sigset_t none;
    sigset_t all;
    ::sigemptyset(&none);
    ::sigfillset(&all);
    (void)::posix_spawnattr_setsigmask(&attributes_, &none);
    (void)::posix_spawnattr_setsigdefault(&attributes_, &all);
    (void)::posix_spawnattr_setpgroup(&attributes_, 0);
    (void)::posix_spawnattr_setflags(&attributes_,
                                     POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }

  const posix_spawn_file_actions_t* actions() const { return &actions_; }
  const posix_spawnattr_t* attributes() const { return &attributes_; }

 private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

/// Takes what a pipe holds now. False when its writers are gone.
Result<bool> drain(const UniqueFd& pipe, std::string& into, std::size_t max_bytes) {
  if (!pipe) return false;
  std::array<char, 16384> buffer{};
  while (true) {
    const ssize_t got = ::read(pipe.get(), buffer.data(), buffer.size());
    if (got < 0) {
      const int error = errno;
      if (error == EINTR) continue;
      if (error == EAGAIN) return true;
      return fail_errno(error, "reading a program's output");
    }
    if (got == 0) return false;
    into.append(buffer.data(), static_cast<std::size_t>(got));
    if (into.size() > max_bytes) return fail(Kind::no_space, fmt::format("more than {} bytes of output", max_bytes));
  }
}

int as_a_shell_says(int wait_status) {
  return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
}

}  // namespace

Result<Subprocess> Subprocess::start(const Command& command) {
  if (command.argv.empty()) return fail(Kind::invalid_input, "a command without a program");
  TRY(const UniqueFd input, make_input(command.input));
  TRY(Pipe output, make_pipe());
  TRY(Pipe errors, make_pipe());

  SpawnSettings settings;
  settings.stream(input.get(), STDIN_FILENO);
  settings.stream(command.output_fd < 0 ? output.write.get() : command.output_fd, STDOUT_FILENO);
  settings.stream(errors.write.get(), STDERR_FILENO);
  if (!command.working_directory.empty()) settings.directory(command.working_directory);
  settings.fresh_group_and_signals();

  std::vector<std::string> argv_texts = command.argv;
  std::vector<std::string> environment_texts = command.environment.value_or(std::vector<std::string>());
  const std::vector<char*> argv = pointers_to(argv_texts);
  const std::vector<char*> environment = pointers_to(environment_texts);
  Subprocess started;
  pid_t pid = -1;
  const int error = ::posix_spawnp(&pid, argv[0], settings.actions(), settings.attributes(), argv.data(),
                                   command.environment ? environment.data() : environ);
  if (error != 0) return fail_errno(error, "starting " + command.argv[0]);
  started.pid_ = pid;
  started.undo_.emplace([pid] { (void)::kill(-pid, SIGKILL); });
  started.exit_ = UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!started.exit_) {
    const int pidfd_error = errno;
    return fail_errno(pidfd_error, "watching " + command.argv[0]);  // the destructor kills it
  }
  started.output_ = std::move(output.read);
  started.errors_ = std::move(errors.read);
  started.on_errors_ = command.on_errors;
  started.name_ = command.argv[0];
  started.time_limit_ = command.time_limit;
  started.max_output_bytes_ = command.max_output_bytes;
  return started;
}

Subprocess::Subprocess(Subprocess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      undo_(std::move(other.undo_)),
      exit_(std::move(other.exit_)),
      output_(std::move(other.output_)),
      errors_(std::move(other.errors_)),
      on_errors_(std::move(other.on_errors_)),
      name_(std::move(other.name_)),
      time_limit_(other.time_limit_),
      max_output_bytes_(other.max_output_bytes_) {}

Subprocess& Subprocess::operator=(Subprocess&& other) noexcept {
  if (this == &other) return *this;
  kill();
  pid_ = std::exchange(other.pid_, -1);
  undo_ = std::move(other.undo_);
  exit_ = std::move(other.exit_);
  output_ = std::move(other.output_);
  errors_ = std::move(other.errors_);
  on_errors_ = std::move(other.on_errors_);
  name_ = std::move(other.name_);
  time_limit_ = other.time_limit_;
  max_output_bytes_ = other.max_output_bytes_;
  return *this;
}

Subprocess::~Subprocess() {
  kill();
}

void Subprocess::kill() {
  if (pid_ < 0) return;
  (void)::kill(-pid_, SIGKILL);  // not reaped yet, so the group's number cannot have been given to others
  undo_.reset();
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
}

Result<CommandResult> Subprocess::wait() {
  if (pid_ < 0) return fail(Kind::invalid_input, name_ + " has been waited for already");
  const auto start = system_clock().boot_time();
  CommandResult result;
  while (true) {
    int poll_ms = -1;
    if (time_limit_) {
      const auto left =
          *time_limit_ - std::chrono::duration_cast<std::chrono::milliseconds>(system_clock().boot_time() - start);
      if (left.count() <= 0) {
        kill();
        return fail(Kind::cancelled,
                    fmt::format("{} did not end within {} ms and was killed", name_, time_limit_->count()));
      }
      poll_ms = static_cast<int>(std::min<std::int64_t>(left.count(), 60'000));
    }
    std::array<pollfd, 3> watched{pollfd{exit_.get(), POLLIN, 0}, pollfd{output_.get(), POLLIN, 0},
                                  pollfd{errors_.get(), POLLIN, 0}};
    if (::poll(watched.data(), watched.size(), poll_ms) < 0) {
      const int error = errno;
      if (error == EINTR) continue;
      return fail_errno(error, "waiting for " + name_);
    }
    const bool ended = (watched[0].revents & POLLIN) != 0;
    TRY(const bool output_open, drain(output_, result.output, max_output_bytes_), name_);
    const std::size_t errors_before = result.errors.size();
    TRY(const bool errors_open, drain(errors_, result.errors, max_output_bytes_), name_);
    if (on_errors_ && result.errors.size() > errors_before) {
      on_errors_(std::string_view(result.errors).substr(errors_before));
    }
    if (ended) break;                   // what its children still hold open is theirs; they are killed with the group
    if (!output_open) output_.reset();  // poll passes over negative descriptors
    if (!errors_open) errors_.reset();
  }
  (void)::kill(-pid_, SIGKILL);  // children that it left behind
  undo_.reset();
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  result.exit_status = as_a_shell_says(status);
  return result;
}

Result<CommandResult> run(const Command& command) {
  TRY(Subprocess process, Subprocess::start(command));
  return process.wait();
}

Result<std::string> run_checked(const Command& command) {
  TRY(CommandResult result, run(command));
  if (result.exit_status == 0) return std::move(result.output);
  std::string_view tail = result.errors;
  while (!tail.empty() && tail.back() == '\n') tail.remove_suffix(1);
  if (tail.size() > 2000) tail = tail.substr(tail.size() - 2000);
  return fail(Kind::io, fmt::format("{} ended with exit status {}{}{}", command.argv[0], result.exit_status,
                                    tail.empty() ? "" : ": ", tail));
}

std::optional<std::string> find_program(const std::string& program) {
  const char* path = std::getenv("PATH");
  std::string_view rest = path != nullptr ? path : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  while (!rest.empty()) {
    const std::size_t colon = rest.find(':');
    std::string candidate = std::string(rest.substr(0, colon)) + "/" + program;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    rest = colon == std::string_view::npos ? std::string_view() : rest.substr(colon + 1);
  }
  return std::nullopt;
}

}  // namespace base
