#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "builder/packages/control.hpp"
#include "builder/packages/lock.hpp"
#include "image/file_tree.hpp"

namespace builder::outputs {

/// A package as the image's own database knows it.
struct InstalledPackage {
  std::string name;
  std::string version;
  std::string architecture;
  std::string source;  // the source package's name
  std::string source_version;
  std::string maintainer;
  std::string homepage;
  std::string summary;           // the first line of its description
  std::uint64_t size_bytes = 0;  // of its files that are in the image
};

/// Reads the database of an image's root, which may be of any form: /usr/lib/sysimage/dpkg, /var/lib/dpkg or
/// /usr/share/factory/var/lib/dpkg. By name and architecture. Empty where there is none.
/// Fails: corrupt (the database); as the contents' readers do.
base::Result<std::vector<InstalledPackage>> installed_packages(const image::SourcedTree& root);

}  // namespace builder::outputs
