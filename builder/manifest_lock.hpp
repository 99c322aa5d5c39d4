#pragma once

#include <string>

#include "base/progress.hpp"
#include "base/result.hpp"
#include "builder/cache/cache.hpp"
#include "builder/manifest/manifest.hpp"
#include "builder/packages/lock.hpp"

namespace builder {

/// What a manifest asks for: its packages, its kernel's, and the boot loader's.
packages::PackageRequest request_of(const manifest::Manifest& manifest);

/// "<manifest>.lock".
std::string lock_path_of(const std::string& manifest_path);
/// The directory that relative paths in a manifest begin in.
std::string directory_of(const std::string& manifest_path);

/// Reads a lock. Fails: not_found, permission, io; invalid_input, unsupported (names the file and the place in it).
base::Result<packages::Lock> read_lock(const std::string& path);

/// Which versions a new lock takes.
enum class LockVersions {
  stay,  // those of the earlier lock, as long as the sources have them; the newest of what is new
  newest
};

/// Chooses a manifest's packages. Fails: as packages::read_sources() and packages::resolve().
base::Result<packages::Lock> make_lock(const manifest::Manifest& manifest, const std::string& manifest_directory,
                                       const packages::Lock* earlier, LockVersions versions, const cache::Cache& cache,
                                       base::ProgressStyle progress);

/// Whether a lock was made for what the manifest asks for. Fails: invalid_input, with what differs and what to do.
base::Result<> check_request(const packages::Lock& lock, const packages::PackageRequest& request,
                             const std::string& lock_path);

}  // namespace builder
