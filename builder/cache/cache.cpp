#include "builder/cache/cache.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/bytes.hpp"
#include "base/file.hpp"
#include "base/json.hpp"
#include "base/partial_file.hpp"

namespace builder::cache {

using base::fail;
using base::Json;
using base::Kind;
using base::Result;

namespace {

namespace fs = std::filesystem;

constexpr std::size_t max_record_bytes = std::size_t{16} << 20;

std::string ref_of(const Step& step) {
  return fmt::format("step/{}/{}", step.name, step.key());
}

std::string record_path(const std::string& directory, const Step& step, const std::string& manifest) {
  return fmt::format("{}/last/{}-{}.json", directory,
                     base::to_hex(base::sha256(base::bytes_of(manifest))).substr(0, 16), step.name);
}

/// A ref's file, whose time says when it was used last.
std::string ref_path(const std::string& directory, const std::string& ref) {
  return fmt::format("{}/repo/refs/heads/{}", directory, ref);
}

std::chrono::sys_seconds time_of(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return {};
  return std::chrono::sys_seconds(std::chrono::seconds(status.st_mtime));
}

}  // namespace

std::string Step::key() const {
  Json json = {{"step", name}};
  for (const auto& [input, value] : inputs) json["inputs"][input] = value;
  const std::string text = json.dump(-1, ' ', true, Json::error_handler_t::replace);
  return base::to_hex(base::sha256(base::bytes_of(text)));
}

std::string Reason::text() const {
  if (first_time) return "not built before";
  if (changed.empty()) return "its result is no longer in the cache";
  return fmt::format("changed: {}", fmt::join(changed, ", "));
}

std::string Cache::usual_directory() {
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nobody changes it
    return std::string(value != nullptr ? value : "");
  };
  if (const std::string given = variable("KEELSON_CACHE"); !given.empty()) return given;
  if (const std::string cache = variable("XDG_CACHE_HOME"); cache.starts_with('/')) return cache + "/keelson";
  const std::string home = variable("HOME");
  return (home.empty() ? "/var/tmp" : home + "/.cache") + "/keelson";
}

Result<Cache> Cache::open(const std::string& directory) {
  const std::string absolute = fs::absolute(directory);
  for (const char* below : {"", "/packages", "/apt", "/last"}) TRY_DO(base::make_directories(absolute + below));
  TRY(base::File lock, base::File::open(absolute + "/lock", O_RDWR | O_CREAT, 0644));
  if (::flock(lock.fd(), LOCK_SH) != 0) {
    const int error = errno;
    return base::fail_errno(error, "locking " + lock.name());
  }
  // A bare repository shares files with what is composed; only root can write one.
  const auto mode = ::geteuid() == 0 ? image::ostree::Mode::bare : image::ostree::Mode::bare_user;
  TRY(image::ostree::Repository repository, image::ostree::Repository::create(absolute + "/repo", mode));
  repository.disable_fsync();  // what is lost is built again
  return Cache(absolute, std::move(lock), std::move(repository));
}

Result<std::optional<std::string>> Cache::find(const Step& step) const {
  auto commit = repository_.resolve(ref_of(step));
  if (!commit) {
    if (commit.error().kind() == Kind::not_found) return std::nullopt;
    return std::unexpected(std::move(commit).error());
  }
  // A crash may have left a ref to a commit that was never written whole; it is built again.
  if (!repository_.load_metadata(image::ostree::ObjectType::commit, *commit)) return std::nullopt;
  (void)::utimensat(AT_FDCWD, ref_path(directory_, ref_of(step)).c_str(), nullptr, 0);
  return std::optional(*std::move(commit));
}

Result<> Cache::keep(const Step& step, const std::string& commit) {
  return repository_.set_ref(ref_of(step), commit);
}

Result<Reason> Cache::explain(const Step& step, const std::string& manifest) const {
  auto text = base::read_file(record_path(directory_, step, manifest), max_record_bytes);
  if (!text) return Reason{.first_time = true};
  const auto record = base::parse_json(*text, {.max_bytes = max_record_bytes});
  if (!record || !record->is_object()) return Reason{.first_time = true};
  Reason reason;
  for (const auto& [name, value] : step.inputs) {
    if (!record->contains(name) || (*record)[name] != value) reason.changed.push_back(name);
  }
  return reason;
}

Result<> Cache::remember(const Step& step, const std::string& manifest) const {
  Json record = Json::object();
  for (const auto& [name, value] : step.inputs) record[name] = value;
  const std::string text = record.dump(1, ' ', true, Json::error_handler_t::replace);
  return base::replace_file(record_path(directory_, step, manifest), base::bytes_of(text));
}

Result<std::vector<CachedStep>> Cache::list() const {
  std::vector<CachedStep> steps;
  const std::string refs = ref_path(directory_, "step");
  std::error_code error;
  for (const auto& entry : fs::recursive_directory_iterator(refs, error)) {
    if (!entry.is_regular_file()) continue;
    const std::string name = entry.path().parent_path().filename();
    const std::string key = entry.path().filename();
    TRY(std::string commit, repository_.resolve(fmt::format("step/{}/{}", name, key)));
    steps.push_back({name, key, std::move(commit), time_of(entry.path())});
  }
  std::ranges::sort(steps, {}, [](const CachedStep& step) { return std::tuple(step.last_used, step.name, step.key); });
  return steps;
}

Result<Pruned> Cache::prune(std::chrono::seconds unused_for, std::chrono::sys_seconds now) {
  if (::flock(lock_.fd(), LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    if (error == EWOULDBLOCK) return fail(Kind::busy, "a build is using the cache " + directory_);
    return base::fail_errno(error, "locking " + lock_.name());
  }
  Pruned pruned;
  TRY(const std::vector<CachedStep> steps, list());
  for (const CachedStep& step : steps) {
    if (now - step.last_used < unused_for) continue;
    TRY_DO(repository_.remove_ref(fmt::format("step/{}/{}", step.name, step.key)));
    ++pruned.steps;
  }
  TRY(pruned.bytes, repository_.prune());
  for (const auto& entry : fs::directory_iterator(packages_directory())) {
    if (!entry.is_regular_file() || now - time_of(entry.path()) < unused_for) continue;
    pruned.bytes += entry.file_size();
    std::error_code error;
    if (fs::remove(entry.path(), error)) ++pruned.packages;
  }
  (void)::flock(lock_.fd(), LOCK_SH);
  return pruned;
}

}  // namespace builder::cache
