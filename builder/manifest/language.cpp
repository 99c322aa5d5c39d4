#include <algorithm>
#include <cctype>
#include <string_view>

#include "builder/manifest/manifest.hpp"

namespace builder::manifest {

namespace {

bool all(std::string_view text, bool (*good)(char)) {
  return std::ranges::all_of(text, good);
}
bool lower_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/// Fits for a partition label and a file name on the ESP (image::ImageIdentity).
bool is_label_part(std::string_view text) {
  return !text.empty() && text.size() <= 34 && lower_or_digit(text.front()) &&
         all(text, [](char c) { return lower_or_digit(c) || c == '.' || c == '-'; });
}
constexpr const char* label_pattern = "^[a-z0-9][a-z0-9.-]{0,33}$";

/// Debian Policy 5.6.1; a version may stand behind "=".
bool is_package(std::string_view text) {
  const std::string_view name = text.substr(0, text.find('='));
  return name.size() >= 2 && lower_or_digit(name.front()) &&
         all(name, [](char c) { return lower_or_digit(c) || c == '+' || c == '.' || c == '-' || c == ':'; }) &&
         all(text, [](char c) { return c > ' ' && c < 0x7f; }) && !text.ends_with('=');
}

bool is_absolute_path(std::string_view text) {
  if (!text.starts_with('/') || text.size() > 4095 || text.find('\0') != std::string_view::npos) return false;
  for (std::string_view rest = text; !rest.empty();) {
    rest.remove_prefix(1);
    const std::string_view part = rest.substr(0, rest.find('/'));
    if (part == "." || part == ".." || part.size() > 255) return false;
    rest.remove_prefix(part.size());
  }
  return true;
}
constexpr const char* path_pattern = "^/";

/// Below a kernel's modules; ends up in a pattern of dpkg's, so nothing in it may mean anything there.
bool is_module_directory(std::string_view text) {
  return text.size() <= 255 && is_absolute_path("/" + std::string(text)) && !text.starts_with('/') &&
         all(text, [](char c) { return lower_or_digit(c) || c == '/' || c == '_' || c == '-'; });
}
constexpr const char* module_directory_pattern = "^[a-z0-9_-]+(/[a-z0-9_-]+)*$";

bool is_mode(std::string_view text) {
  return text.size() >= 3 && text.size() <= 5 && all(text, [](char c) { return c >= '0' && c <= '7'; }) &&
         (text.size() < 5 || text.front() == '0');
}

/// What useradd of Debian takes.
bool is_user_name(std::string_view text) {
  const auto begins = [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; };
  return !text.empty() && text.size() <= 32 && begins(text.front()) &&
         all(text, [](char c) { return lower_or_digit(c) || c == '_' || c == '-'; });
}
constexpr const char* user_pattern = "^[a-z_][a-z0-9_-]{0,31}$";

bool is_unit_name(std::string_view text) {
  constexpr std::string_view types[] = {".service", ".socket",    ".timer", ".target", ".mount",
                                        ".path",    ".automount", ".slice", ".swap"};
  return text.size() <= 255 &&
         all(text,
             [](char c) {
               return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
                      std::string_view(R"(:-_.\@)").find(c) != std::string_view::npos;
             }) &&
         std::ranges::any_of(types,
                             [&](std::string_view type) { return text.size() > type.size() && text.ends_with(type); });
}
constexpr const char* unit_pattern =
    R"(^[A-Za-z0-9:_.\\@-]+\.(service|socket|timer|target|mount|path|automount|slice|swap)$)";

/// RFC 1123, one label.
bool is_host_name(std::string_view text) {
  return !text.empty() && text.size() <= 63 && text.front() != '-' && text.back() != '-' &&
         all(text, [](char c) { return lower_or_digit(c) || c == '-'; });
}

bool is_url(std::string_view text) {
  return text.starts_with("http://") || text.starts_with("https://") || text.starts_with("file:///");
}

bool is_cmdline_word(std::string_view text) {
  return !text.empty() && all(text, [](char c) { return c >= ' ' && c < 0x7f; });
}

bool is_oci_archive(std::string_view text) {
  return text.starts_with("oci-archive:") && text.size() > std::string_view("oci-archive:").size();
}

bool is_not_empty(std::string_view text) {
  return !text.empty();
}

Schema some_text(const char* what) {
  return text(what, "^(.|\\n)+$", &is_not_empty);
}
Schema unit_name() {
  return text("the name of a systemd unit, such as containerd.service", unit_pattern, &is_unit_name);
}
Schema path_in_root() {
  return text(R"(an absolute path without "." and "..")", path_pattern, &is_absolute_path);
}
Schema user_name(const char* what) {
  return text(what, user_pattern, &is_user_name);
}

Schema check_schema() {
  return map("a check",
             {{"unit", unit_name(), false, "The unit must be active"},
              {"http", text("a URL", "^https?://", &is_url), false, "The URL must answer with 2xx or 3xx"},
              {"command", some_text("a command"), false, "The command must succeed"},
              {"file", path_in_root(), false, "The file must be there"},
              {"dbus", some_text("a D-Bus name"), false, "The name must have an owner on the system bus"},
              {"timeout", duration(), false, "How long it may take (10s)"}},
             {"unit", "http", "command", "file", "dbus"});
}

std::vector<Field> content_fields() {
  return {{"content", text("text"), false, "What the file holds"},
          {"source", some_text("a path"), false, "The file to take it from, relative to the manifest"}};
}

std::vector<Field> with_content(std::vector<Field> fields) {
  for (Field& field : content_fields()) fields.push_back(std::move(field));
  return fields;
}

Schema build_language() {
  constexpr std::uint64_t mib = std::uint64_t{1} << 20;
  constexpr std::uint64_t max_id = 0xfffffffe;
  return map(
      "a manifest",
      {
          {"keelson", integer("the version of the language, 1", 1, 1), true, "The version of the language: 1"},
          {"include", list(some_text("a file")), false, "Manifests that are read first; this one is merged into them"},
          {"variables", dictionary("variables", text("text")), false, "${name} in any text is replaced by these"},
          {"per_arch", dictionary("a manifest per architecture", map("a manifest", {})), false,
           "What counts for one architecture only: {x86-64: {...}}"},
          {"image",
           map("image",
               {{"id",
                 text("an image id of a-z 0-9 . -, beginning with a letter or digit", label_pattern, &is_label_part),
                 true, "The image's name; with its version at most 36 characters"},
                {"version",
                 text("a version of a-z 0-9 . -, beginning with a letter or digit", label_pattern, &is_label_part),
                 true, "The image's version"},
                {"arch", choice("an architecture", {"x86-64"}), false, "The architecture (x86-64)"},
                {"name", some_text("a name"), false, "How the image is called where people read it"}}),
           true, "Which image this is"},
          {"packages",
           map("packages",
               {{"debian",
                 map("packages.debian",
                     {{"suite", some_text("a suite"), true, "The suite, such as bookworm"},
                      {"mirror", either({choice("host", {"host"}), list(some_text("a line of sources.list"))}), false,
                       "host: the host's own apt configuration (the default); or lines of sources.list"},
                      {"install",
                       list(text("a package, or package=version", "^[a-z0-9][a-z0-9+.:-]+(=.+)?$", &is_package)), false,
                       "Packages to install, besides the essential ones"},
                      {"recommends", boolean(), false, "Install what packages recommend, too (false)"},
                      {"documentation", boolean(), false, "Keep manuals and what is in /usr/share/doc (false)"}}),
                 true, "Packages of Debian"},
                {"local", list(some_text("a file")), false,
                 "Packages that lie beside the manifest: .deb files, globs"}}),
           true, "What is installed"},
          {"scripts", choice("how maintainer scripts are treated", {"sandbox", "declarative"}), false,
           "sandbox: run them in one (the default); declarative: apply what they are known to do"},
          {"kernel",
           map("kernel",
               {{"package", text("a package", "^[a-z0-9][a-z0-9+.-]+$", &is_package), false,
                 "The kernel's package (linux-image-cloud-amd64)"},
                {"cmdline", list(text("a word of the kernel's command line", {}, &is_cmdline_word)), false,
                 "Words for the kernel's command line"},
                {"modules", list(some_text("a module")), false, "Modules for the initrd, besides those that it needs"},
                {"without",
                 list(text("a directory of modules, such as drivers/gpu", module_directory_pattern,
                           &is_module_directory)),
                 false, "Directories below /lib/modules/VERSION/kernel that are not installed"}}),
           false, "The kernel"},
          {"files",
           list(map("a file",
                    with_content({{"path", path_in_root(), true, "Where it goes"},
                                  {"mode", text("permissions such as \"0644\"", "^0?[0-7]{3,4}$", &is_mode), false,
                                   "Its permissions (0644)"},
                                  {"owner", user_name("a user"), false, "Its owner (root)"},
                                  {"group", user_name("a group"), false, "Its group (root)"}}),
                    {"content", "source"})),
           false, "Files to write"},
          {"trees",
           list(either(
               {some_text("a directory or archive"),
                map("a tree", {{"source", some_text("a directory or archive"), true, "A directory, tar or OCI archive"},
                               {"target", path_in_root(), false, "Where it goes (/)"}})})),
           false, "Directories, tar archives and OCI archives to lay over the root"},
          {"users",
           list(map("a user",
                    {{"name", user_name("a user's name"), true, "The user's name"},
                     {"uid", integer("a number", 1, max_id), false, "Its number (the next from 1000 on)"},
                     {"groups", list(user_name("a group")), false, "Further groups"},
                     {"shell", path_in_root(), false, "The login shell (/bin/bash)"},
                     {"home", path_in_root(), false, "The home directory (/var/home/<name>)"},
                     {"ssh_keys", list(some_text("a public key")), false, "Keys that may log in"},
                     {"password_hash", some_text("a hash as in shadow(5)"), false, "The password (none: locked)"}})),
           false, "Users to make"},
          {"groups",
           list(map("a group", {{"name", user_name("a group's name"), true, "The group's name"},
                                {"gid", integer("a number", 1, max_id), false, "Its number (the next from 1000 on)"}})),
           false, "Groups to make"},
          {"units",
           map("units", {{"files",
                          list(map("a unit file", with_content({{"name", unit_name(), true, "The unit's name"}}),
                                   {"content", "source"})),
                          false, "Unit files to add"},
                         {"enable", list(unit_name()), false, "Units to enable"},
                         {"disable", list(unit_name()), false, "Units not to enable, whatever their packages wish"},
                         {"mask", list(unit_name()), false, "Units that cannot be started"}}),
           false, "systemd's units"},
          {"containers",
           list(map(
               "a container",
               {{"name", text("a name of a-z 0-9 . -", label_pattern, &is_label_part), true, "The container's name"},
                {"image", text("oci-archive:FILE", "^oci-archive:.", &is_oci_archive), true, "Its image"},
                {"unit", boolean(), false, "Make a unit that runs it (true)"},
                {"arguments", list(some_text("an argument")), false, "Arguments of its program"}})),
           false, "Containers that are in the image"},
          {"os_release", dictionary("os_release", text("text")), false, "Further lines of os-release"},
          {"hostname", text("a host's name", "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", &is_host_name), false,
           "The host's name as long as nothing else gives it one"},
          {"etc",
           list(map("a rule for /etc", {{"path", path_in_root(), true, "Files that it is for, a glob"},
                                        {"policy", choice("a policy", {"merge", "local", "vendor", "keyed", "fail"}),
                                         true, "What an update does with a file that the host has changed"}})),
           false, "How updates treat the host's own changes"},
          {"partitions",
           map("partitions",
               {{"esp", size(64 * mib, 16384 * mib), false, "The ESP's size (512MiB)"},
                {"root", size(64 * mib, std::uint64_t{1} << 40), false, "The size of each root slot (2GiB)"},
                {"headroom", percent(0, 90), false, "What a root must leave of its slot (30%)"},
                {"sector_size", choice("a sector's size", {"512", "4096"}), false,
                 "Of the disks that the image is for, in bytes (512)"}}),
           false, "The disk"},
          {"compression", choice("a compression", {"none", "lz4hc"}), false, "Of the root (none)"},
          {"boot",
           map("boot", {{"tries", integer("a number", 1, 99), false, "How often a new version may try to come up (3)"},
                        {"secure_boot", boolean(), false, "Sign boot loader and UKI for Secure Boot (true)"},
                        {"timeout", duration(), false, "How long the boot menu is shown (0s)"}}),
           false, "Boot"},
          {"keys", some_text("a directory"), false, "The directory with the keys, as keelson keys new makes it (keys)"},
          {"update",
           map("update",
               {{"url", text("a URL", "^(https?://|file:///)", &is_url), true, "Where releases are published"},
                {"channel", text("a channel's name of a-z 0-9 . -", label_pattern, &is_label_part), true,
                 "The channel that hosts follow"}}),
           false, "Where updates come from"},
          {"health",
           map("health", {{"soak", duration(), false, "How long all must stay well (60s)"},
                          {"checks", list(check_schema()), false, "What must be well"}}),
           false, "When a version is good"},
          {"outputs", list(choice("an output", {"raw", "qcow2", "vhd", "vmdk"})), false, "Disk images to write (raw)"},
          {"budget",
           map("budget",
               {{"root", size(1, std::uint64_t{1} << 40), false, "The most that the root may take"},
                {"packages", integer("a number", 1, 100'000), false, "The most packages"},
                {"setuid", list(path_in_root()), false, "The only files that may be set-user-ID or set-group-ID"}}),
           false, "Limits that fail the build"},
      });
}

}  // namespace

const Schema& language() {
  static const Schema schema = build_language();
  return schema;
}

}  // namespace builder::manifest
