#pragma once

#include <string>
#include <vector>

#include "base/progress.hpp"
#include "base/result.hpp"
#include "builder/packages/lock.hpp"
#include "builder/packages/sources.hpp"

namespace builder::packages {

/// The packages that have ever been built from, by their SHA-256: a build works when the mirror has moved on, and
/// without any network. Several programs may use one at the same time.
class Archive {
 public:
  /// A directory; made when something is put in.
  explicit Archive(std::string directory) : directory_(std::move(directory)) {}

  const std::string& directory() const { return directory_; }
  /// Where the package is, or would be.
  std::string path_of(const base::Sha256Digest& sha256) const;
  bool has(const LockedPackage& package) const;

  /// Brings all packages of a lock that are not there: from the sources in parallel, each checked against its SHA-256
  /// before it gets its name; local ones from the directory that their paths begin in. What is there already is read
  /// and checked, too, and brought again where it is not what its name says.
  ///
  /// Fails: not_found (no source has it; names the package and each URL); corrupt (a source sends something else);
  ///        io (network), no_space, permission; invalid_input (a local package has changed since the lock was made)
  base::Result<> bring(const Lock& lock, const std::vector<Source>& sources, const std::string& local_directory,
                       base::ProgressStyle progress) const;

 private:
  std::string directory_;
};

}  // namespace builder::packages
