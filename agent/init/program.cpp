#include "agent/init/program.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "base/file.hpp"
#include "base/unique_fd.hpp"

namespace agent::init {

using base::fail;
using base::fail_errno;
using base::Kind;
using base::Result;

namespace {

constexpr std::uint64_t max_output = 4096;

/// In the child: never returns. Only what is safe after fork.
[[noreturn]] void become(char* const* argv, int output) {
  static const char path[] = "PATH=/usr/sbin:/usr/bin";
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast): execve takes it so, and does not write
  char* const environment[] = {const_cast<char*>(path), nullptr};
  (void)::setpgid(0, 0);
  const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (nothing >= 0) (void)::dup2(nothing, STDIN_FILENO);
  (void)::dup2(output, STDOUT_FILENO);
  (void)::dup2(output, STDERR_FILENO);
  ::execve(argv[0], argv, environment);
  ::_exit(127);
}

enum class Waited { ended, too_long };

Result<Waited> wait_for_end(pid_t child, std::chrono::milliseconds limit) {
  // The system call has a wrapper from glibc 2.36 on.
  const base::UniqueFd end(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  pollfd waiting{.fd = end.get(), .events = POLLIN, .revents = 0};
  int ready = end ? ::poll(&waiting, 1, static_cast<int>(limit.count())) : -1;
  while (end && ready < 0 && errno == EINTR) ready = ::poll(&waiting, 1, static_cast<int>(limit.count()));
  if (ready < 0) {
    const int error = errno;
    return fail_errno(error, "waiting for it");
  }
  return ready == 0 ? Waited::too_long : Waited::ended;
}

/// Collects the child; in any case it is gone afterwards.
Result<int> exit_status_of(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno == EINTR) continue;
    const int error = errno;
    return fail_errno(error, "waiting for it");
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

std::string end_of(const base::File& output) {
  const auto size = output.size();
  if (!size) return "";
  std::string text(std::min(*size, max_output), '\0');
  if (!output.read_exactly(*size - text.size(), std::as_writable_bytes(std::span(text)))) return "";
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

}  // namespace

bool has_program(const std::string& path) {
  return ::access(path.c_str(), X_OK) == 0;
}

Result<ProgramEnd> run_program(const std::vector<std::string>& argv, std::chrono::seconds time_limit) {
  const std::string& name = argv.at(0);
  if (::access(name.c_str(), X_OK) != 0) {
    const int error = errno;
    return fail_errno(error, "running " + name);
  }
  // Into memory, not into a pipe: nobody has to empty it, and what a child of the child holds open does not hold us up.
  base::UniqueFd memory(::memfd_create("output", MFD_CLOEXEC));
  if (!memory) {
    const int error = errno;
    return fail_errno(error, "running " + name);
  }
  const base::File output = base::File::adopt(std::move(memory), "the output of " + name);
  std::vector<std::string> words = argv;
  std::vector<char*> pointers;
  pointers.reserve(words.size() + 1);
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);

  const pid_t child = ::fork();
  if (child < 0) {
    const int error = errno;
    return fail_errno(error, "running " + name);
  }
  if (child == 0) become(pointers.data(), output.fd());
  (void)::setpgid(child, child);  // whoever of the two comes first
  const auto waited = wait_for_end(child, time_limit);
  if (!waited || *waited == Waited::too_long) (void)::kill(-child, SIGKILL);
  TRY(const int status, exit_status_of(child), "running " + name);
  TRY_DO(waited, "running " + name);
  if (*waited == Waited::too_long) {
    return fail(Kind::cancelled, name + " has not ended after " + std::to_string(time_limit.count()) + " s");
  }
  return ProgramEnd{status, end_of(output)};
}

}  // namespace agent::init
