// The ear of the stories inside a guest: runs the scripts that come through a virtio-serial port, and says how they
// ended. A static program, so that it needs nothing of the root that it is in.
//
//   to the host     HELLO <boot id>\n                          at each start
//   from the host   RUN <bytes>\n<script>
//   to the host     DONE <exit status> <bytes>\n<output>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

namespace {

namespace fs = std::filesystem;

std::string line_of(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

/// The driver may come after us.
int open_port() {
  while (true) {
    std::error_code error;
    for (const fs::directory_entry& port : fs::directory_iterator("/sys/class/virtio-ports", error)) {
      if (line_of(port.path() / "name") != "org.keelson.story") continue;
      const int fd = ::open(("/dev/" + port.path().filename().string()).c_str(), O_RDWR | O_CLOEXEC);
      if (fd >= 0) return fd;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

void say(int port, const std::string& text) {
  for (std::size_t at = 0; at < text.size();) {
    const ssize_t put = ::write(port, text.data() + at, text.size() - at);
    if (put < 0 && errno != EINTR && errno != EAGAIN) std::_Exit(1);
    if (put > 0) at += static_cast<std::size_t>(put);
  }
}

std::string hear(int port, std::size_t count) {
  std::string text(count, '\0');
  for (std::size_t at = 0; at < count;) {
    const ssize_t got = ::read(port, text.data() + at, count - at);
    if (got < 0 && errno != EINTR && errno != EAGAIN) std::_Exit(1);
    if (got > 0) at += static_cast<std::size_t>(got);
    // Nobody listens on the host's side.
    if (got == 0) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return text;
}

std::string hear_line(int port) {
  std::string line;
  for (std::string next = hear(port, 1); next != "\n"; next = hear(port, 1)) line += next;
  return line;
}

/// Runs it with its output in memory, which nobody has to empty and no grandchild can hold open.
void run(int port, std::string script) {
  const int output = ::memfd_create("output", MFD_CLOEXEC);
  char shell[] = "/bin/sh";
  char option[] = "-c";
  char* const argv[] = {shell, option, script.data(), nullptr};
  const pid_t child = ::fork();
  if (child == 0) {
    const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    (void)::dup2(nothing, STDIN_FILENO);
    (void)::dup2(output, STDOUT_FILENO);
    (void)::dup2(output, STDERR_FILENO);
    ::execv(shell, argv);
    ::_exit(127);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  const int said = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  std::string text(static_cast<std::size_t>(::lseek(output, 0, SEEK_END)), '\0');
  if (::pread(output, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) text.clear();
  ::close(output);
  say(port, "DONE " + std::to_string(said) + " " + std::to_string(text.size()) + "\n" + text);
}

}  // namespace

int main() {
  const int port = open_port();
  say(port, "HELLO " + line_of("/proc/sys/kernel/random/boot_id") + "\n");
  while (true) {
    const std::string line = hear_line(port);
    std::size_t size = 0;
    constexpr std::size_t word = 4;  // "RUN "
    if (line.size() <= word || std::from_chars(line.data() + word, line.data() + line.size(), size).ec != std::errc()) {
      continue;
    }
    run(port, hear(port, size));
  }
}
