#include "builder/sandbox/sandbox.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <optional>

#include <fmt/format.h>

#include "base/file.hpp"
#include "base/interrupt.hpp"
#include "base/json.hpp"
#include "base/log.hpp"
#include "base/subprocess.hpp"
#include "base/unique_fd.hpp"
#include "builder/sandbox/protocol.hpp"
#include "image/tar_source.hpp"

namespace builder::sandbox {

using base::fail;
using base::Kind;
using base::Result;

namespace {

constexpr std::chrono::hours install_limit{2};
constexpr std::size_t max_log_bytes = std::size_t{64} << 20;
constexpr std::size_t shown_lines = 25;

bool is_root() {
  return ::geteuid() == 0;
}

/// An empty directory to mount on.
class MountPoint {
 public:
  static Result<MountPoint> make() {
    const char* given = std::getenv("TMPDIR");  // NOLINT(concurrency-mt-unsafe): nobody changes it
    std::string path = std::string(given != nullptr && *given != '\0' ? given : "/tmp") + "/keelson-sandbox.XXXXXX";
    if (::mkdtemp(path.data()) == nullptr) {
      const int error = errno;
      return base::fail_errno(error, "making the directory " + path);
    }
    return MountPoint(std::move(path));
  }
  MountPoint(MountPoint&& other) noexcept : path_(std::exchange(other.path_, {})), undo_(std::move(other.undo_)) {}
  MountPoint(const MountPoint&) = delete;
  MountPoint& operator=(const MountPoint&) = delete;
  MountPoint& operator=(MountPoint&&) = delete;
  ~MountPoint() {
    if (!path_.empty()) ::rmdir(path_.c_str());
  }
  const std::string& path() const { return path_; }

 private:
  explicit MountPoint(std::string path) : path_(std::move(path)), undo_([at = path_] { ::rmdir(at.c_str()); }) {}

  std::string path_;
  base::UndoOnInterrupt undo_;
};

/// The last lines of what the scripts said.
std::string last_lines(std::string_view log) {
  while (log.ends_with('\n')) log.remove_suffix(1);
  std::size_t begin = log.size();
  for (std::size_t lines = 0; begin > 0; --begin) {
    if (log[begin - 1] == '\n' && ++lines == shown_lines) break;
  }
  return std::string(log.substr(begin));
}

/// What is said inside: marks of progress, and the rest, which is the scripts'.
class Listener {
 public:
  explicit Listener(base::ProgressStyle style) : style_(style) {}

  void hear(std::string_view text) {
    partial_ += text;
    for (std::size_t end = partial_.find('\n'); end != std::string::npos; end = partial_.find('\n')) {
      line(partial_.substr(0, end));
      partial_.erase(0, end + 1);
    }
  }
  const std::string& log() const { return log_; }

 private:
  void line(const std::string& line) {
    if (!line.starts_with(progress_mark)) {
      base::log_debug("{}", line);
      log_ += line + "\n";
      return;
    }
    shown_.reset();  // its line ends before the next begins
    shown_.emplace(style_, line.substr(progress_mark.size()), 0);
  }

  base::ProgressStyle style_;
  std::optional<base::Progress> shown_;
  std::string partial_;
  std::string log_;
};

std::vector<std::string> namespaces() {
  std::vector<std::string> argv = {"unshare", "--mount",      "--propagation", "private", "--pid",
                                   "--fork",  "--kill-child", "--ipc",         "--uts",   "--net"};
  if (!is_root()) argv.insert(argv.end(), {"--user", "--map-root-user", "--map-auto"});
  return argv;
}

}  // namespace

Result<> check_host() {
  if (!base::find_program("unshare")) return fail(Kind::not_found, "unshare is missing (package util-linux)");
  if (!is_root() && !base::find_program("newuidmap")) {
    return fail(Kind::not_found,
                "to install packages without being root newuidmap is needed (package uidmap), and lines for you in "
                "/etc/subuid and /etc/subgid");
  }
  std::vector<std::string> argv = namespaces();
  argv.emplace_back("true");
  TRY(const base::CommandResult tried, base::run({.argv = argv, .time_limit = std::chrono::seconds(30)}));
  if (tried.exit_status == 0) return base::ok();
  return fail(Kind::permission,
              fmt::format("this host does not let {} make the namespaces that packages are installed in: {}",
                          is_root() ? "root" : "you", last_lines(tried.errors)) +
                  (is_root() ? "; in a container, it must be privileged"
                             : "; see user.max_user_namespaces, kernel.unprivileged_userns_clone and /etc/subuid, or "
                               "build as root"));
}

Result<image::SourcedTree> install(const Installation& what, const std::string& program, base::ProgressStyle progress) {
  TRY_DO(check_host());
  TRY(const MountPoint mount_point, MountPoint::make());
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    const int error = errno;
    return base::fail_errno(error, "creating a pipe");
  }
  const base::UniqueFd read_end(ends[0]);
  base::UniqueFd write_end(ends[1]);

  std::vector<std::string> argv = namespaces();
  argv.insert(argv.end(), {program, inner_verb});
  Listener listener(progress);
  TRY(base::Subprocess inside,
      base::Subprocess::start({.argv = argv,
                               .environment = script_environment(what.date),
                               .input = to_json(what, mount_point.path()),
                               .output_fd = write_end.get(),
                               .on_errors = [&](std::string_view text) { listener.hear(text); },
                               .time_limit = install_limit,
                               .max_output_bytes = max_log_bytes}));
  write_end.reset();
  auto ended = std::async(std::launch::async, [&] { return inside.wait(); });
  auto tree = image::read_tar(read_end.get(), "the installed root");
  const auto result = ended.get();
  if (!result) return std::unexpected(result.error());
  if (result->exit_status != 0) {
    const std::string log = last_lines(listener.log());
    const Kind kind = log.contains("No space left on device") ? Kind::no_space : Kind::io;
    return fail(kind, fmt::format("installing the packages failed:\n{}", log));
  }
  return tree;
}

}  // namespace builder::sandbox
