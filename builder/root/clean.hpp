#pragma once

#include "base/result.hpp"
#include "builder/root/draft.hpp"

namespace builder::root {

struct CleanOptions {
  /// Keep /usr/share/doc, man pages and info files. Licences stay in any case.
  bool documentation = false;
};

/// Takes out of a root that packages were installed into what differs from one installation to the next, or between
/// hosts, and what is made anew by itself: logs, caches, backup copies, machine ids, host keys, random seeds, dates of
/// passwords, compiled Python. The package database moves to /usr/lib/sysimage/dpkg, for it belongs to the version, not
/// to the host; /var/lib/dpkg becomes a link there.
/// Sources: debuerreotype's and mmdebstrap's lists; shared/traps T9, T10, T12.
base::Result<> clean(Draft& root, const CleanOptions& options);

/// Where the package database is in an image.
inline constexpr const char* package_database = "/usr/lib/sysimage/dpkg";

}  // namespace builder::root
