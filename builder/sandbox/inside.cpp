#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/file.hpp"
#include "base/json.hpp"
#include "base/partial_file.hpp"
#include "base/processors.hpp"
#include "base/subprocess.hpp"
#include "builder/packages/deb.hpp"
#include "builder/packages/dependencies.hpp"
#include "builder/sandbox/protocol.hpp"

namespace builder::sandbox {

using base::fail;
using base::Kind;
using base::Result;

namespace {

namespace fs = std::filesystem;

constexpr std::size_t max_task_bytes = std::size_t{64} << 20;
constexpr const char* debs_inside = "/run/keelson";

void say(const std::string& what) {
  fmt::print(stderr, "{}{}\n", progress_mark, what);
  (void)std::fflush(stderr);
}

Result<> mount_at(const std::string& path, const char* source, const char* type, unsigned long flags,
                  const char* options) {
  if (::mount(source, path.c_str(), type, flags, options) == 0) return base::ok();
  const int error = errno;
  return base::fail_errno(error, fmt::format("mounting {} on {}", source, path));
}

Result<> make_directory(const std::string& path, mode_t mode = 0755) {
  if (::mkdir(path.c_str(), mode) == 0 && ::chmod(path.c_str(), mode) == 0) return base::ok();
  const int error = errno;
  if (error == EEXIST) return base::ok();
  return base::fail_errno(error, "making the directory " + path);
}

Result<> make_link(const std::string& target, const std::string& path) {
  if (::symlink(target.c_str(), path.c_str()) == 0) return base::ok();
  const int error = errno;
  if (error == EEXIST) return base::ok();
  return base::fail_errno(error, "making the link " + path);
}

Result<> write_file(const std::string& path, std::string_view text, mode_t mode = 0644) {
  TRY(base::File file, base::File::open(path, O_WRONLY | O_CREAT | O_TRUNC, mode));
  return file.write_all(0, base::bytes_of(text));
}

/// A root in which dpkg can begin: /usr merged, a database without packages, nothing that starts services.
Result<> make_skeleton(const std::string& root) {
  TRY_DO(make_directory(root));
  TRY_DO(make_directory(root + "/usr"));
  for (const char* merged : {"bin", "sbin", "lib", "lib32", "lib64", "libx32"}) {
    TRY_DO(make_directory(fmt::format("{}/usr/{}", root, merged)));
    TRY_DO(make_link(fmt::format("usr/{}", merged), fmt::format("{}/{}", root, merged)));
  }
  for (const char* directory : {"/dev", "/etc", "/proc", "/run", "/var", "/var/lib", "/var/lib/dpkg",
                                "/var/lib/dpkg/info", "/var/lib/dpkg/updates", "/var/lib/dpkg/triggers"}) {
    TRY_DO(make_directory(root + directory));
  }
  TRY_DO(make_directory(root + "/tmp", 01777));
  TRY_DO(make_directory(root + debs_inside));
  TRY_DO(write_file(root + "/var/lib/dpkg/status", ""));
  TRY_DO(write_file(root + "/var/lib/dpkg/available", ""));
  return write_file(root + "/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0755);
}

/// /proc of these processes, and a /dev of what every program expects.
Result<> mount_kernel_files(const std::string& root) {
  if (!mount_at(root + "/proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr)) {
    // Where a container hides parts of /proc, a new one is not allowed.
    TRY_DO(mount_at(root + "/proc", "/proc", nullptr, MS_BIND | MS_REC, nullptr));
  }
  const std::string dev = root + "/dev";
  TRY_DO(mount_at(dev, "tmpfs", "tmpfs", MS_NOSUID, "mode=755"));
  for (const char* device : {"null", "zero", "full", "random", "urandom", "tty"}) {
    TRY_DO(write_file(fmt::format("{}/{}", dev, device), ""));
    TRY_DO(
        mount_at(fmt::format("{}/{}", dev, device), fmt::format("/dev/{}", device).c_str(), nullptr, MS_BIND, nullptr));
  }
  TRY_DO(make_directory(dev + "/shm", 01777));
  TRY_DO(make_directory(dev + "/pts"));
  TRY_DO(make_link("/proc/self/fd", dev + "/fd"));
  TRY_DO(make_link("/proc/self/fd/0", dev + "/stdin"));
  TRY_DO(make_link("/proc/self/fd/1", dev + "/stdout"));
  return make_link("/proc/self/fd/2", dev + "/stderr");
}

/// The packages, and which of them scripts cannot do without.
struct Plan {
  std::vector<std::string> first;  // paths of essential packages and what they need
  std::vector<std::string> rest;
};

Result<Plan> plan_for(const std::vector<std::string>& debs) {
  std::vector<packages::Paragraph> controls(debs.size());
  for (std::size_t i = 0; i < debs.size(); ++i) {
    TRY(packages::DebFacts facts, packages::read_deb(debs[i]));
    controls[i] = std::move(facts.control);
  }
  const std::set<std::size_t> essential = packages::essential_closure(controls);
  Plan plan;
  for (std::size_t i = 0; i < debs.size(); ++i) (essential.contains(i) ? plan.first : plan.rest).push_back(debs[i]);
  return plan;
}

/// Where a package lies inside, uncompressed.
std::string inside_name(const std::string& deb) {
  return std::string(debs_inside) + "/" + fs::path(deb).filename().string();
}

Result<> decompress(const std::vector<std::string>& debs, const std::string& root) {
  std::atomic<std::size_t> next = 0;
  std::mutex guard;
  std::optional<base::Error> failure;
  base::run_on_threads(0, [&] {
    for (std::size_t at = next++; at < debs.size(); at = next++) {
      auto done = packages::write_uncompressed(debs[at], root + inside_name(debs[at]));
      if (done) continue;
      const std::scoped_lock locked(guard);
      failure = std::move(done).error();
    }
  });
  return failure ? base::Result<>(std::unexpected(*std::move(failure))) : base::ok();
}

class Root {
 public:
  Root(std::string path, const std::vector<std::string>& excluded) : path_(std::move(path)) {
    for (const std::string& pattern : excluded) dpkg_.push_back("--path-exclude=" + pattern);
  }
  explicit Root(std::string path) : Root(std::move(path), {}) {}

  /// Runs a program of the root's, in it. What it says goes to our standard error.
  Result<> run(std::vector<std::string> argv, int output_fd = STDERR_FILENO) const {
    const std::string name = argv.front();
    argv.insert(argv.begin(), {"chroot", path_});
    TRY(const base::CommandResult done,
        base::run({.argv = std::move(argv), .output_fd = output_fd, .on_errors = [](std::string_view text) {
                     fmt::print(stderr, "{}", text);
                     (void)std::fflush(stderr);
                   }}));
    if (done.exit_status == 0) return base::ok();
    return fail(Kind::io, fmt::format("{} ended with exit status {}", name, done.exit_status));
  }

  Result<> dpkg(const char* action, const std::vector<std::string>& debs) const {
    std::vector<std::string> argv = dpkg_;
    argv.insert(argv.end(), {"--force-depends", action});
    for (const std::string& deb : debs) argv.push_back(inside_name(deb));
    return run(std::move(argv));
  }
  Result<> configure() const {
    std::vector<std::string> argv = dpkg_;
    argv.insert(argv.end(), {"--configure", "--pending"});
    return run(std::move(argv));
  }

 private:
  std::string path_;
  std::vector<std::string> dpkg_ = {"dpkg", "--force-unsafe-io", "--force-confnew"};
};

Result<> install_packages(const Plan& plan, const std::vector<std::string>& excluded, const std::string& path) {
  const Root root(path, excluded);
  say(fmt::format("unpacking {} packages", plan.first.size() + plan.rest.size()));
  TRY_DO(decompress(plan.first, path));
  base::Result<> rest_ready = base::ok();
  std::jthread meanwhile([&] { rest_ready = decompress(plan.rest, path); });
  for (const std::string& deb : plan.first) TRY_DO(packages::unpack_files(path + inside_name(deb), path));
  // Not before: packages have directories for these, and a mounted /proc has an owner that nobody can change.
  TRY_DO(mount_kernel_files(path));
  TRY_DO(root.dpkg("--install", plan.first));
  meanwhile.join();
  TRY_DO(rest_ready);
  if (!plan.rest.empty()) TRY_DO(root.dpkg("--unpack", plan.rest));
  say(fmt::format("configuring {} packages", plan.first.size() + plan.rest.size()));
  return root.configure();
}

/// What the installation needed and an image does not.
Result<> tidy_up(const std::string& root) {
  std::error_code error;
  fs::remove_all(root + debs_inside, error);
  fs::remove(root + "/usr/sbin/policy-rc.d", error);
  return error ? base::Result<>(base::fail_errno(error.value(), "tidying up")) : base::ok();
}

}  // namespace

std::vector<std::string> script_environment(std::chrono::sys_seconds date) {
  return {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
          "HOME=/root",
          "LC_ALL=C.UTF-8",
          "TZ=UTC",
          "DEBIAN_FRONTEND=noninteractive",
          "DEBCONF_NONINTERACTIVE_SEEN=true",
          "SYSTEMD_OFFLINE=1",
          "INITRD=No",  // of Debian's kernel packages: no initrd by their scripts
          fmt::format("SOURCE_DATE_EPOCH={}", date.time_since_epoch().count())};
}

std::string to_json(const Installation& what, const std::string& mount_point) {
  return base::Json{{"mount_point", mount_point},
                    {"date", what.date.time_since_epoch().count()},
                    {"debs", what.debs},
                    {"excluded", what.excluded}}
      .dump();
}

namespace {

Result<std::vector<std::string>> texts_in(const base::Json& task, const char* key) {
  const auto list = task.find(key);
  if (list == task.end() || !list->is_array()) return fail(Kind::invalid_input, fmt::format("no list \"{}\"", key));
  std::vector<std::string> texts;
  for (const base::Json& text : *list) {
    if (!text.is_string()) return fail(Kind::invalid_input, fmt::format("\"{}\" is a list of texts", key));
    texts.push_back(text.get<std::string>());
  }
  return texts;
}

}  // namespace

Result<InsideTask> parse_task(std::string_view json) {
  TRY(const base::Json task, base::parse_json(json, {.max_bytes = max_task_bytes}));
  InsideTask read;
  TRY(read.mount_point, base::json_text(task, "mount_point"));
  if (!task.contains("date") || !task["date"].is_number_integer()) return fail(Kind::invalid_input, "no date");
  read.what.date = std::chrono::sys_seconds(std::chrono::seconds(task["date"].get<std::int64_t>()));
  TRY(read.what.debs, texts_in(task, "debs"));
  TRY(read.what.excluded, texts_in(task, "excluded"));
  return read;
}

Result<> install_inside() {
  TRY(const std::string json, base::read_all(STDIN_FILENO, "standard input", max_task_bytes));
  TRY(const InsideTask task, parse_task(json));
  ::umask(022);
  constexpr std::string_view host_name = "localhost";  // ours alone: scripts that ask get the same answer everywhere
  if (::sethostname(host_name.data(), host_name.size()) != 0) {
    const int error = errno;
    return base::fail_errno(error, "setting the host name");
  }
  TRY(const Plan plan, plan_for(task.what.debs));
  TRY_DO(mount_at(task.mount_point, "tmpfs", "tmpfs", 0, "mode=755,size=90%,nr_inodes=0"));
  const std::string root = task.mount_point + "/root";
  TRY_DO(make_skeleton(root));
  TRY_DO(install_packages(plan, task.what.excluded, root));
  TRY_DO(tidy_up(root));
  say("reading the root");
  return Root(root).run({"tar", "--create", "--file=-", "--one-file-system", "--numeric-owner", "--sort=name",
                         "--xattrs", "--xattrs-include=*", "--format=pax", "--directory=/", "."},
                        STDOUT_FILENO);
}

}  // namespace builder::sandbox
