#pragma once

#include <string>
#include <vector>

#include "base/progress.hpp"
#include "base/result.hpp"
#include "builder/packages/lock.hpp"
#include "builder/packages/sources.hpp"

namespace builder::packages {

/// A package that lies beside the manifest.
struct LocalPackage {
  std::string path;          // as the manifest names it
  std::string path_to_file;  // where it is
};

struct ResolveOptions {
  std::vector<Source> sources;
  std::vector<LocalPackage> local;
  /// Versions to stay with as long as the sources have them: an earlier lock's.
  std::vector<LockedPackage> stay_with;
  /// Where apt keeps the indexes, so that they need not be fetched again. Used by one process at a time.
  std::string state_directory;
  /// A file of settings for apt.conf: how to fetch.
  std::string fetch_settings;
};

/// Chooses the packages of a request, as apt does on a machine that has none: the essential ones, those that are asked
/// for, and all that they need. The indexes are fetched anew and their signatures checked; nothing else is fetched.
///
/// In every choice, besides: usr-is-merged, so that no program has to merge /usr; and a package of ours in the place of
/// an initramfs generator (stand_in_deb()), which an image does not need.
///
/// Fails: invalid_input (a package that there is not, with what may be meant; packages that exclude each other; apt's
///        words); untrusted (an index without a good signature, or one that has expired); io (the network); not_found
///        (no apt-get); busy (another process uses the state directory)
base::Result<Lock> resolve(const PackageRequest& request, const ResolveOptions& options,
                           base::ProgressStyle progress = base::ProgressStyle::silent);

/// The package that stands for linux-initramfs-tool, and its file name.
inline constexpr const char* stand_in_package = "keelson-initrd";
inline constexpr const char* stand_in_file = "keelson-initrd_1_all.deb";
base::Result<base::Bytes> stand_in_deb();

/// The line of a package for an index (Packages) of which the files lie beside it. Fails: as read_deb(), io.
base::Result<std::string> index_entry(const std::string& deb, const std::string& file_name);

}  // namespace builder::packages
