#include "builder/root/containers.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/json.hpp"
#include "base/lines.hpp"
#include "builder/root/accounts.hpp"
#include "image/file_content.hpp"

namespace builder::root {

using base::fail;
using base::Json;
using base::Kind;
using base::Result;

namespace {

constexpr std::size_t max_passwd_bytes = std::size_t{1} << 20;
constexpr const char* containers_directory = "/usr/lib/keelson/containers";

struct Identity {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
};

/// "", "1000", "1000:1000", "nginx", "nginx:nginx" of an image's configuration; names by its own /etc/passwd.
Result<Identity> identity_of(const std::string& user, const std::string& passwd) {
  if (user.empty()) return Identity{};
  const std::vector<std::string> parts = base::split(user, ':');
  Identity identity;
  if (const auto uid = number_in(parts[0])) {
    identity.uid = *uid;
    identity.gid = 0;
  } else if (const auto entry = find_user({.passwd = passwd}, parts[0])) {
    identity = {entry->uid, entry->gid};
  } else {
    return fail(Kind::invalid_input, fmt::format("its user {} is not in its /etc/passwd", user));
  }
  if (parts.size() > 1) {
    const auto gid = number_in(parts[1]);
    if (!gid && parts[1] != parts[0]) {
      return fail(Kind::invalid_input, fmt::format("its group {} is no number", parts[1]));
    }
    if (gid) identity.gid = *gid;
  }
  return identity;
}

Json mount(const char* at, const char* type, const char* source, std::vector<std::string> options) {
  return {{"destination", at}, {"type", type}, {"source", source}, {"options", std::move(options)}};
}

std::string unit_text(const manifest::Container& container) {
  return fmt::format(
      "# Made by keelson.\n"
      "[Unit]\nDescription=Container {0}\nAfter=containerd.service network-online.target\n"
      "Requires=containerd.service\nWants=network-online.target\n\n"
      "[Service]\nExecStartPre=-/usr/bin/ctr --namespace keelson task kill --signal SIGKILL {0}\n"
      "ExecStartPre=-/usr/bin/ctr --namespace keelson container delete {0}\n"
      "ExecStart=/usr/bin/ctr --namespace keelson run --rm --config {1}/{0}/config.json {0}\n"
      "ExecStop=/usr/bin/ctr --namespace keelson task kill --signal SIGTERM {0}\n"
      "Restart=always\nRestartSec=2\n\n[Install]\nWantedBy=multi-user.target\n",
      container.name, containers_directory);
}

Result<std::string> passwd_of(const image::SourcedTree& root) {
  TRY(auto text, image::read_file(root, "/etc/passwd", max_passwd_bytes), "its root");
  return std::move(text).value_or("");
}

Result<> add(Draft& root, const manifest::Container& container, OciImage image) {
  if (!root.has("/usr/bin/ctr")) {
    return fail(Kind::invalid_input, "the root has no containerd to run it; add it to packages.debian.install");
  }
  const std::string directory = fmt::format("{}/{}", containers_directory, container.name);
  TRY(const std::string passwd, passwd_of(image.root));
  TRY(std::string specification, runtime_specification(container, image.config, directory + "/rootfs", passwd));
  TRY_DO(root.lay_over(std::move(image.root), directory + "/rootfs"));
  // Where the runtime mounts something: it cannot make a directory in a root that cannot be written.
  for (const char* place : {"/proc", "/dev", "/sys", "/tmp", "/run", "/var", "/var/tmp"}) {
    const std::string path = directory + "/rootfs" + place;
    if (!root.has(path)) TRY_DO(root.directory(path, {.permissions = 0755}));
  }
  TRY_DO(root.write(directory + "/config.json", std::move(specification)));
  if (!container.unit) return base::ok();
  const std::string unit = fmt::format("keelson-container-{}.service", container.name);
  TRY_DO(root.write("/usr/lib/systemd/system/" + unit, unit_text(container)));
  return root.link("/etc/systemd/system/multi-user.target.wants/" + unit, "/usr/lib/systemd/system/" + unit);
}

}  // namespace

Result<std::string> runtime_specification(const manifest::Container& container, const OciConfig& config,
                                          const std::string& root_path, const std::string& passwd) {
  std::vector<std::string> arguments = config.entrypoint;
  const std::vector<std::string>& more = container.arguments.empty() ? config.command : container.arguments;
  arguments.insert(arguments.end(), more.begin(), more.end());
  if (arguments.empty()) {
    return fail(Kind::invalid_input, "the image names no program; give some in the container's arguments");
  }
  TRY(const Identity identity, identity_of(config.user, passwd));
  std::vector<std::string> environment = config.environment;
  const bool has_path =
      std::ranges::any_of(environment, [](const std::string& each) { return each.starts_with("PATH="); });
  if (!has_path) environment.emplace_back("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
  const Json capabilities = {"CAP_AUDIT_WRITE", "CAP_CHOWN",  "CAP_DAC_OVERRIDE",     "CAP_FOWNER", "CAP_FSETID",
                             "CAP_KILL",        "CAP_MKNOD",  "CAP_NET_BIND_SERVICE", "CAP_SETGID", "CAP_SETFCAP",
                             "CAP_SETPCAP",     "CAP_SETUID", "CAP_SYS_CHROOT"};
  const bool is_root = identity.uid == 0;
  Json held = {{"bounding", capabilities}};
  if (is_root) {
    held["effective"] = capabilities;
    held["permitted"] = capabilities;
  }
  Json specification = {
      {"ociVersion", "1.0.2"},
      {"process",
       {{"terminal", false},
        {"user", {{"uid", identity.uid}, {"gid", identity.gid}}},
        {"args", arguments},
        {"env", environment},
        {"cwd", config.working_directory.empty() ? "/" : config.working_directory},
        {"capabilities", held},
        {"noNewPrivileges", true}}},
      {"root", {{"path", root_path}, {"readonly", true}}},
      {"mounts",
       {mount("/proc", "proc", "proc", {"nosuid", "noexec", "nodev"}),
        mount("/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}),
        mount("/dev/pts", "devpts", "devpts",
              {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}),
        mount("/dev/shm", "tmpfs", "shm", {"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}),
        mount("/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}),
        mount("/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", "ro"}),
        mount("/sys/fs/cgroup", "cgroup", "cgroup", {"nosuid", "noexec", "nodev", "relatime", "ro"}),
        mount("/tmp", "tmpfs", "tmpfs", {"nosuid", "nodev", "mode=1777"}),
        mount("/run", "tmpfs", "tmpfs", {"nosuid", "nodev", "mode=755"}),
        mount("/var/tmp", "tmpfs", "tmpfs", {"nosuid", "nodev", "mode=1777"})}},
      {"linux",
       {{"resources", {{"devices", Json::array({Json{{"allow", false}, {"access", "rwm"}}})}}},
        {"namespaces", Json::array({Json{{"type", "pid"}}, Json{{"type", "ipc"}}, Json{{"type", "mount"}},
                                    Json{{"type", "cgroup"}}})},
        {"maskedPaths",
         {"/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
          "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi"}},
        {"readonlyPaths", {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}}}},
  };
  return specification.dump(2) + "\n";
}

Result<> add_container(Draft& root, const manifest::Container& container, OciImage image) {
  auto added = add(root, container, std::move(image));
  if (added) return added;
  return std::unexpected(
      std::move(added).error().while_doing(fmt::format("{}: container {}", container.place.text(), container.name)));
}

}  // namespace builder::root
