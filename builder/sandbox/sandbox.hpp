#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/progress.hpp"
#include "base/result.hpp"
#include "image/file_tree.hpp"

namespace builder::sandbox {

/// What is installed.
struct Installation {
  std::vector<std::string> debs;  // paths, sorted by package name: the order in which scripts run follows from it
  std::chrono::sys_seconds date;  // SOURCE_DATE_EPOCH of the scripts
  /// Patterns of paths that are not unpacked (dpkg's --path-exclude); not for essential packages.
  std::vector<std::string> excluded;
};

/// Whether this host can run a sandbox: as root, or in a user namespace. Fails: permission, not_found; says what to
/// install or to change.
base::Result<> check_host();

/// Installs packages into an empty root, running their maintainer scripts, and returns what they made of it. The
/// scripts see namespaces of their own (mounts, processes, IPC, host name, no network, without root also users), a /dev
/// of six devices, no /sys, and no service is started. The root lies in memory and goes with the namespaces, so that
/// nothing stays behind, however this ends.
///
/// What mmdebstrap does, in fewer steps: unpack what is essential so that scripts can run; dpkg --install it; dpkg
/// --unpack the rest and configure it. The packages are decompressed beforehand, on all processors.
///
/// program   the keelson to run inside: /proc/self/exe for the program itself
/// Fails: as check_host(); io (a maintainer script that fails, with dpkg's last lines); no_space (of memory); corrupt
///        (a .deb); as image::read_tar()
base::Result<image::SourcedTree> install(const Installation& what, const std::string& program,
                                         base::ProgressStyle progress);

/// The verb by which the program finds itself inside; not for people.
inline constexpr const char* inner_verb = "sandbox-install";
/// What happens inside: reads the installation as JSON from standard input, writes the root as a tar archive to
/// standard output and what it is at to standard error.
base::Result<> install_inside();

}  // namespace builder::sandbox
