#include "builder/packages/lock.hpp"

#include <algorithm>
#include <ctime>
#include <map>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/json.hpp"
#include "builder/packages/version.hpp"

namespace builder::packages {

using base::fail;
using base::Json;
using base::Kind;
using base::Result;

namespace {

/// One object of the text, with the place that errors name.
class Object {
 public:
  static Result<Object> of(const Json& json, std::string place, std::vector<std::string_view> known) {
    if (!json.is_object()) return fail(Kind::invalid_input, place + ": an object is expected");
    for (const auto& [key, value] : json.items()) {
      if (std::ranges::find(known, key) == known.end()) {
        return fail(Kind::invalid_input, fmt::format("{}/{}: unknown", place, key));
      }
    }
    return Object(json, std::move(place));
  }

  const std::string& place() const { return place_; }
  std::string place_of(std::string_view key) const { return fmt::format("{}/{}", place_, key); }
  bool has(std::string_view key) const { return json_->contains(key); }

  Result<const Json*> member(std::string_view key) const {
    const auto at = json_->find(key);
    if (at == json_->end()) return fail(Kind::invalid_input, place_of(key) + ": missing");
    return &*at;
  }
  Result<std::string> text(std::string_view key, std::size_t max_bytes = 4096) const {
    TRY(const Json* value, member(key));
    if (!value->is_string()) return fail(Kind::invalid_input, place_of(key) + ": a text is expected");
    auto text = value->get<std::string>();
    if (text.empty() || text.size() > max_bytes) {
      return fail(Kind::invalid_input, fmt::format("{}: from 1 to {} bytes are expected", place_of(key), max_bytes));
    }
    if (std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) < ' '; })) {
      return fail(Kind::invalid_input, place_of(key) + ": it has a control character");
    }
    return text;
  }
  Result<std::uint64_t> number(std::string_view key) const {
    TRY(const Json* value, member(key));
    if (!value->is_number_unsigned()) {
      return fail(Kind::invalid_input, place_of(key) + ": a whole number from 0 on is expected");
    }
    return value->get<std::uint64_t>();
  }
  Result<bool> flag(std::string_view key) const {
    TRY(const Json* value, member(key));
    if (!value->is_boolean()) return fail(Kind::invalid_input, place_of(key) + ": true or false is expected");
    return value->get<bool>();
  }
  Result<base::Sha256Digest> sha256(std::string_view key) const {
    TRY(const std::string hex, text(key, 64));
    const auto bytes = base::from_hex(hex);
    base::Sha256Digest digest{};
    if (!bytes || bytes->size() != digest.size() || base::to_hex(*bytes) != hex) {
      return fail(Kind::invalid_input, place_of(key) + ": 64 lower-case hexadecimal digits are expected");
    }
    std::ranges::copy(*bytes, digest.begin());
    return digest;
  }
  Result<const Json*> list(std::string_view key, std::size_t max_items) const {
    TRY(const Json* value, member(key));
    if (!value->is_array() || value->size() > max_items) {
      return fail(Kind::invalid_input, fmt::format("{}: a list of at most {} is expected", place_of(key), max_items));
    }
    return value;
  }
  Result<std::vector<std::string>> texts(std::string_view key) const {
    TRY(const Json* items, list(key, max_locked_packages));
    std::vector<std::string> read;
    read.reserve(items->size());
    for (const Json& item : *items) {
      if (!item.is_string()) return fail(Kind::invalid_input, place_of(key) + ": a list of texts is expected");
      read.push_back(item.get<std::string>());
    }
    return read;
  }

 private:
  Object(const Json& json, std::string place) : json_(&json), place_(std::move(place)) {}

  const Json* json_;
  std::string place_;
};

constexpr const char* time_format = "%Y-%m-%dT%H:%M:%SZ";

std::string text_of(std::chrono::sys_seconds time) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}Z", fmt::gmtime(time.time_since_epoch().count()));
}

Result<std::chrono::sys_seconds> time_in(const Object& object, std::string_view key) {
  TRY(const std::string text, object.text(key, 32));
  std::tm parts{};
  const char* end = ::strptime(text.c_str(), time_format, &parts);
  if (end == nullptr || *end != '\0') {
    return fail(Kind::invalid_input, object.place_of(key) + ": a time such as 2026-01-31T12:00:00Z is expected");
  }
  return std::chrono::sys_seconds(std::chrono::seconds(::timegm(&parts)));
}

/// Below the root of an archive, and nowhere else.
bool is_pool_path(std::string_view path) {
  return !path.starts_with('/') && !fmt::format("/{}/", path).contains("/../") && !path.contains("://");
}

Result<PackageRequest> read_request(const Json& json) {
  TRY(const Object object, Object::of(json, "/request", {"suite", "architecture", "sources", "install", "recommends"}));
  PackageRequest request;
  TRY(request.suite, object.text("suite"));
  TRY(request.architecture, object.text("architecture", 32));
  if (object.has("sources")) {
    TRY(request.sources, object.texts("sources"));
  }
  TRY(request.install, object.texts("install"));
  TRY(request.recommends, object.flag("recommends"));
  return request;
}

Result<LockedIndex> read_index(const Json& json, std::size_t number) {
  TRY(const Object object, Object::of(json, fmt::format("/indexes/{}", number), {"suite", "date", "sha256"}));
  LockedIndex index;
  TRY(index.suite, object.text("suite"));
  TRY(index.date, object.text("date", 64));
  TRY(index.sha256, object.sha256("sha256"));
  return index;
}

Result<LockedPackage> read_package(const Json& json, std::size_t number) {
  TRY(const Object object, Object::of(json, fmt::format("/packages/{}", number),
                                      {"name", "version", "architecture", "size", "sha256", "path", "local"}));
  LockedPackage package;
  TRY(package.name, object.text("name", 255));
  TRY(package.version, object.text("version", 255));
  TRY(package.architecture, object.text("architecture", 32));
  TRY(package.size_bytes, object.number("size"));
  TRY(package.sha256, object.sha256("sha256"));
  TRY(package.path, object.text("path"));
  if (object.has("local")) {
    TRY(package.local, object.flag("local"));
  }
  if (!package.local && !is_pool_path(package.path)) {
    return fail(Kind::invalid_input, object.place_of("path") + ": a path below an archive's root is expected");
  }
  for (const std::string* word : {&package.name, &package.version, &package.architecture}) {
    if (word->find_first_of("/ ") != std::string::npos || word->starts_with('.')) {
      return fail(Kind::invalid_input,
                  fmt::format("{}: \"{}\" cannot be in a package's file name", object.place(), *word));
    }
  }
  return package;
}

auto key_of(const LockedPackage& package) {
  return std::pair(package.name, package.architecture);
}

}  // namespace

Result<Lock> parse_lock(std::string_view json) {
  TRY(const Json text, base::parse_json(json, {.max_bytes = max_lock_bytes, .max_depth = 8}));
  if (text.is_object() && text.contains("keelson-lock") && text["keelson-lock"] != lock_format) {
    return fail(Kind::unsupported,
                fmt::format("it has format {}, and this keelson reads {}", text["keelson-lock"].dump(), lock_format));
  }
  TRY(const Object object, Object::of(text, "", {"keelson-lock", "request", "date", "indexes", "packages"}));
  TRY_DO(object.number("keelson-lock"));
  Lock lock;
  TRY(const Json* request, object.member("request"));
  TRY(lock.request, read_request(*request));
  TRY(lock.date, time_in(object, "date"));
  TRY(const Json* indexes, object.list("indexes", 1000));
  for (const Json& each : *indexes) {
    TRY(LockedIndex index, read_index(each, lock.indexes.size()));
    lock.indexes.push_back(std::move(index));
  }
  TRY(const Json* packages, object.list("packages", max_locked_packages));
  for (const Json& each : *packages) {
    TRY(LockedPackage package, read_package(each, lock.packages.size()));
    if (!lock.packages.empty() && key_of(lock.packages.back()) >= key_of(package)) {
      return fail(Kind::invalid_input,
                  fmt::format("/packages/{}: {} is there twice, or not in order", lock.packages.size(), package.name));
    }
    lock.packages.push_back(std::move(package));
  }
  return lock;
}

std::string to_json(const Lock& lock) {
  Json request = {{"suite", lock.request.suite}, {"architecture", lock.request.architecture}};
  if (lock.request.sources) request["sources"] = *lock.request.sources;
  request["install"] = lock.request.install;
  request["recommends"] = lock.request.recommends;
  std::string text =
      fmt::format("{{\n  \"keelson-lock\": {},\n  \"request\": {},\n  \"date\": \"{}\",\n  \"indexes\": [", lock_format,
                  request.dump(), text_of(lock.date));
  const char* separator = "\n    ";
  for (const LockedIndex& index : lock.indexes) {
    const Json line = {{"suite", index.suite}, {"date", index.date}, {"sha256", base::to_hex(index.sha256)}};
    text += separator + line.dump();
    separator = ",\n    ";
  }
  text += "\n  ],\n  \"packages\": [";
  separator = "\n    ";
  for (const LockedPackage& package : lock.packages) {
    Json line = {{"name", package.name},
                 {"version", package.version},
                 {"architecture", package.architecture},
                 {"size", package.size_bytes},
                 {"sha256", base::to_hex(package.sha256)},
                 {"path", package.path}};
    if (package.local) line["local"] = true;
    text += separator + line.dump();
    separator = ",\n    ";
  }
  return text + "\n  ]\n}\n";
}

std::vector<LockChange> difference(const Lock& before, const Lock& after) {
  std::map<std::pair<std::string, std::string>, std::pair<const LockedPackage*, const LockedPackage*>> both;
  for (const LockedPackage& package : before.packages) both[key_of(package)].first = &package;
  for (const LockedPackage& package : after.packages) both[key_of(package)].second = &package;
  std::vector<LockChange> changes;
  for (const auto& [key, pair] : both) {
    const auto& [old, now] = pair;
    if (old != nullptr && now != nullptr && old->sha256 == now->sha256) continue;
    LockChange change;
    const bool usual = key.second == after.request.architecture || key.second == "all";
    change.name = usual ? key.first : key.first + ":" + key.second;
    if (old != nullptr) change.before = old->version;
    if (now != nullptr) change.after = now->version;
    change.size_change = static_cast<std::int64_t>(now != nullptr ? now->size_bytes : 0) -
                         static_cast<std::int64_t>(old != nullptr ? old->size_bytes : 0);
    if (old == nullptr) {
      change.kind = LockChange::Kind::added;
    } else if (now == nullptr) {
      change.kind = LockChange::Kind::removed;
    } else {
      const int order = compare_versions(old->version, now->version);
      change.kind = order < 0   ? LockChange::Kind::upgraded
                    : order > 0 ? LockChange::Kind::downgraded
                                : LockChange::Kind::replaced;
    }
    changes.push_back(std::move(change));
  }
  return changes;
}

std::string describe(const std::vector<LockChange>& changes) {
  std::size_t width = 0;
  for (const LockChange& change : changes) width = std::max(width, change.name.size());
  std::string text;
  for (const LockChange& change : changes) {
    std::string versions;
    const char* what = "";
    switch (change.kind) {
      case LockChange::Kind::added:
        what = "added";
        versions = change.after;
        break;
      case LockChange::Kind::removed:
        what = "removed";
        versions = change.before;
        break;
      case LockChange::Kind::upgraded:
        what = "upgraded";
        break;
      case LockChange::Kind::downgraded:
        what = "downgraded";
        break;
      case LockChange::Kind::replaced:
        what = "replaced";
        break;
    }
    if (versions.empty()) versions = change.before + " -> " + change.after;
    text += fmt::format("  {:<10}  {:<{}}  {}\n", what, change.name, width, versions);
  }
  return text;
}

}  // namespace builder::packages
