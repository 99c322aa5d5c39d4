#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/digest.hpp"
#include "base/file.hpp"
#include "base/result.hpp"
#include "image/ostree/repository.hpp"

namespace builder::cache {

/// A step of a build, and everything that decides its result: what it depends on by name, and the digest or text of
/// each. Equal keys are equal results.
struct Step {
  std::string name;  // "packages", "root"
  std::map<std::string, std::string> inputs;

  /// 64 hexadecimal digits: SHA-256 over name and inputs.
  std::string key() const;
};

/// Why a step has to run: which of its inputs are other ones than last time.
struct Reason {
  bool first_time = false;
  std::vector<std::string> changed;  // names of inputs
  std::string text() const;          // "lock changed", "never built before"
};

struct CachedStep {
  std::string name;
  std::string key;
  std::string commit;
  std::chrono::sys_seconds last_used;
};

struct Pruned {
  std::size_t steps = 0;
  std::size_t packages = 0;
  std::uint64_t bytes = 0;
};

/// Results of steps, as commits of an OSTree repository; the archive of packages beside them. Any number of builds may
/// use one at the same time; pruning waits for them to end.
///
///   repo/         OSTree; refs step/<name>/<key> and image/<id>/<version>
///   packages/     .deb files by their SHA-256
///   apt/          apt's indexes
///   last/         the inputs of the last build of each manifest, for --explain
class Cache {
 public:
  /// $KEELSON_CACHE, or keelson in $XDG_CACHE_HOME, or in ~/.cache.
  static std::string usual_directory();
  /// Makes it where there is none. Fails: permission, io, no_space; invalid_input (something else is there).
  static base::Result<Cache> open(const std::string& directory);

  const std::string& directory() const { return directory_; }
  std::string packages_directory() const { return directory_ + "/packages"; }
  std::string apt_directory(const std::string& name) const { return directory_ + "/apt/" + name; }
  image::ostree::Repository& repository() { return repository_; }

  /// The commit of a step that has run before. From now on it counts as used today.
  base::Result<std::optional<std::string>> find(const Step& step) const;
  base::Result<> keep(const Step& step, const std::string& commit);

  /// Compares with the last build of this manifest, and keeps this one's inputs for the next.
  base::Result<Reason> explain(const Step& step, const std::string& manifest) const;
  base::Result<> remember(const Step& step, const std::string& manifest) const;

  base::Result<std::vector<CachedStep>> list() const;
  /// Drops what nobody has used for so long. Fails: busy (a build is running).
  base::Result<Pruned> prune(std::chrono::seconds unused_for, std::chrono::sys_seconds now);

 private:
  Cache(std::string directory, base::File lock, image::ostree::Repository repository)
      : directory_(std::move(directory)), lock_(std::move(lock)), repository_(std::move(repository)) {}

  std::string directory_;
  base::File lock_;  // shared while this lives
  image::ostree::Repository repository_;
};

}  // namespace builder::cache
