#include "builder/manifest/manifest.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "image/identifiers.hpp"

namespace builder::manifest {

using base::Result;

namespace {

// Everything here has passed check_value(): kinds and forms are as the language says.

std::string text_of(const Value& map, std::string_view key, const std::string& otherwise = {}) {
  const Value* value = map.find(key);
  return value != nullptr ? value->scalar : otherwise;
}

std::optional<std::string> optional_text(const Value& map, std::string_view key) {
  const Value* value = map.find(key);
  return value != nullptr ? std::optional(value->scalar) : std::nullopt;
}

bool flag(const Value& map, std::string_view key, bool otherwise) {
  const Value* value = map.find(key);
  return value != nullptr ? value->scalar == "true" : otherwise;
}

std::optional<std::uint64_t> number(const Value& map, std::string_view key,
                                    std::optional<std::uint64_t> (*parse)(std::string_view) = &parse_integer) {
  const Value* value = map.find(key);
  return value != nullptr ? parse(value->scalar) : std::nullopt;
}

std::optional<std::uint32_t> id_number(const Value& map, std::string_view key) {
  const auto value = number(map, key);
  return value ? std::optional(static_cast<std::uint32_t>(*value)) : std::nullopt;
}

std::vector<std::string> texts(const Value& map, std::string_view key) {
  std::vector<std::string> result;
  if (const Value* value = map.find(key)) {
    for (const Value& item : value->items) result.push_back(item.scalar);
  }
  return result;
}

/// The items of a list, or none.
const std::vector<Value>& items(const Value& map, std::string_view key) {
  static const std::vector<Value> none;
  const Value* value = map.find(key);
  return value != nullptr ? value->items : none;
}

/// A map below, or an empty one.
const Value& below(const Value& map, std::string_view key) {
  static const Value none;
  const Value* value = map.find(key);
  return value != nullptr ? *value : none;
}

Content content_of(const Value& map) {
  return {text_of(map, "content"), optional_text(map, "source"), map.place};
}

std::chrono::milliseconds milliseconds(const Value& map, std::string_view key, std::chrono::milliseconds otherwise) {
  const auto value = number(map, key, &parse_duration);
  return value ? std::chrono::milliseconds(*value) : otherwise;
}

void read_packages(const Value& root, Manifest& manifest) {
  const Value& packages = below(root, "packages");
  const Value& debian = below(packages, "debian");
  manifest.debian.suite = text_of(debian, "suite");
  if (const Value* mirror = debian.find("mirror"); mirror != nullptr && mirror->kind == Value::Kind::list) {
    manifest.debian.sources = texts(debian, "mirror");
  }
  manifest.debian.install = texts(debian, "install");
  manifest.debian.recommends = flag(debian, "recommends", false);
  manifest.debian.documentation = flag(debian, "documentation", false);
  manifest.local_packages = texts(packages, "local");
  if (text_of(root, "scripts") == "declarative") manifest.scripts = Scripts::declarative;
  const Value& kernel = below(root, "kernel");
  manifest.kernel_package = text_of(kernel, "package", manifest.kernel_package);
  manifest.cmdline = texts(kernel, "cmdline");
  manifest.initrd_modules = texts(kernel, "modules");
  manifest.without_modules = texts(kernel, "without");
}

void read_content(const Value& root, Manifest& manifest) {
  for (const Value& file : items(root, "files")) {
    const std::string mode = text_of(file, "mode", "0644");
    manifest.files.push_back({text_of(file, "path"), content_of(file),
                              static_cast<std::uint16_t>(std::stoul(mode, nullptr, 8)), text_of(file, "owner", "root"),
                              text_of(file, "group", "root")});
  }
  for (const Value& tree : items(root, "trees")) {
    if (tree.kind == Value::Kind::scalar) {
      manifest.trees.push_back({.source = tree.scalar, .place = tree.place});
    } else {
      manifest.trees.push_back({text_of(tree, "source"), text_of(tree, "target", "/"), tree.place});
    }
  }
  for (const Value& user : items(root, "users")) {
    manifest.users.push_back({text_of(user, "name"), id_number(user, "uid"), texts(user, "groups"),
                              text_of(user, "shell", "/bin/bash"), optional_text(user, "home"), texts(user, "ssh_keys"),
                              optional_text(user, "password_hash"), user.place});
  }
  for (const Value& group : items(root, "groups")) {
    manifest.groups.push_back({text_of(group, "name"), id_number(group, "gid")});
  }
  const Value& units = below(root, "units");
  for (const Value& file : items(units, "files")) {
    manifest.units.files.push_back({text_of(file, "name"), content_of(file)});
  }
  manifest.units.enable = texts(units, "enable");
  manifest.units.disable = texts(units, "disable");
  manifest.units.mask = texts(units, "mask");
  for (const Value& container : items(root, "containers")) {
    manifest.containers.push_back({text_of(container, "name"), text_of(container, "image"),
                                   flag(container, "unit", true), texts(container, "arguments"), container.place});
  }
  for (const Entry& entry : below(root, "os_release").entries) manifest.os_release[entry.key] = entry.value.scalar;
  manifest.hostname = text_of(root, "hostname");
  for (const Value& rule : items(root, "etc")) {
    manifest.etc.push_back({text_of(rule, "path"), text_of(rule, "policy")});
  }
}

void read_health(const Value& root, Manifest& manifest) {
  const Value& health = below(root, "health");
  manifest.soak = milliseconds(health, "soak", manifest.soak);
  for (const Value& check : items(health, "checks")) {
    for (const auto& [name, kind] : {std::pair{"unit", CheckKind::unit},
                                     {"http", CheckKind::http},
                                     {"command", CheckKind::command},
                                     {"file", CheckKind::file},
                                     {"dbus", CheckKind::dbus}}) {
      const Value* subject = check.find(name);
      if (subject == nullptr) continue;
      manifest.health_checks.push_back(
          {kind, subject->scalar, milliseconds(check, "timeout", std::chrono::seconds(10))});
    }
  }
}

void read_outputs(const Value& root, Manifest& manifest) {
  if (root.find("outputs") == nullptr) return;
  manifest.outputs.clear();
  for (const std::string& name : texts(root, "outputs")) {
    for (const auto& [known, format] : {std::pair{"raw", OutputFormat::raw},
                                        {"qcow2", OutputFormat::qcow2},
                                        {"vhd", OutputFormat::vhd},
                                        {"vmdk", OutputFormat::vmdk}}) {
      if (name == known && std::ranges::find(manifest.outputs, format) == manifest.outputs.end()) {
        manifest.outputs.push_back(format);
      }
    }
  }
}

/// What no single value shows.
void check_whole(const Value& root, const Manifest& manifest, Complaints& complaints) {
  if (const auto identity = image::ImageIdentity::of(manifest.id, manifest.version); !identity) {
    complaints.add(below(root, "image").place, identity.error().message());
  }
  std::set<std::string> paths;
  for (const File& file : manifest.files) {
    if (!paths.insert(file.path).second) complaints.add(file.content.place, file.path + " is written a second time");
  }
  std::set<std::string> users;
  for (const User& user : manifest.users) {
    if (!users.insert(user.name).second) complaints.add(user.place, "the user " + user.name + " is made a second time");
  }
  for (const Entry& entry : below(root, "os_release").entries) {
    const bool good = std::ranges::all_of(
        entry.key, [](char c) { return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; });
    if (!good) complaints.add(entry.place, "\"" + entry.key + "\" cannot be a key of os-release: A-Z, 0-9 and _ only");
  }
  for (const auto& [name, bytes] : {std::pair{"esp", manifest.esp_bytes}, {"root", manifest.root_bytes}}) {
    const Value* value = below(root, "partitions").find(name);
    if (value != nullptr && bytes % (std::uint64_t{1} << 20) != 0) {
      complaints.add(value->place,
                     fmt::format("\"partitions.{}\" is {} bytes; a partition has whole MiB", name, bytes));
    }
  }
}

}  // namespace

Result<Manifest> manifest_of(const Value& effective) {
  Complaints complaints;
  check_value(effective, language(), complaints);
  if (!complaints.none()) return std::unexpected(complaints.error());

  Manifest manifest;
  const Value& image = below(effective, "image");
  manifest.id = text_of(image, "id");
  manifest.version = text_of(image, "version");
  manifest.arch = text_of(image, "arch", manifest.arch);
  manifest.pretty_name = text_of(image, "name", fmt::format("{} {}", manifest.id, manifest.version));
  read_packages(effective, manifest);
  read_content(effective, manifest);

  const Value& partitions = below(effective, "partitions");
  manifest.esp_bytes = number(partitions, "esp", &parse_size).value_or(manifest.esp_bytes);
  manifest.root_bytes = number(partitions, "root", &parse_size).value_or(manifest.root_bytes);
  manifest.sector_size = text_of(partitions, "sector_size", "512") == "4096" ? 4096 : 512;
  manifest.headroom_percent =
      static_cast<unsigned>(number(partitions, "headroom", &parse_percent).value_or(manifest.headroom_percent));
  if (text_of(effective, "compression") == "lz4hc") manifest.compression = Compression::lz4hc;

  const Value& boot = below(effective, "boot");
  manifest.boot_tries = static_cast<unsigned>(number(boot, "tries").value_or(manifest.boot_tries));
  manifest.secure_boot = flag(boot, "secure_boot", manifest.secure_boot);
  manifest.boot_timeout = std::chrono::duration_cast<std::chrono::seconds>(milliseconds(boot, "timeout", {}));
  manifest.keys = text_of(effective, "keys", manifest.keys);
  manifest.keys_named = effective.find("keys") != nullptr;

  const Value& update = below(effective, "update");
  manifest.update_url = text_of(update, "url");
  manifest.update_channel = text_of(update, "channel");
  read_health(effective, manifest);
  read_outputs(effective, manifest);

  const Value& budget = below(effective, "budget");
  manifest.budget.root_bytes = number(budget, "root", &parse_size);
  manifest.budget.packages = number(budget, "packages");
  if (budget.find("setuid") != nullptr) manifest.budget.setuid = texts(budget, "setuid");

  check_whole(effective, manifest, complaints);
  if (!complaints.none()) return std::unexpected(complaints.error());
  return manifest;
}

Result<Manifest> read_manifest(const std::string& path, const LoadOptions& options) {
  TRY(const Value effective, load_effective(path, options));
  return manifest_of(effective);
}

}  // namespace builder::manifest
