#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/block_device.hpp"
#include "base/result.hpp"
#include "builder/outputs/package_database.hpp"
#include "image/file_tree.hpp"
#include "image/inspect.hpp"

namespace builder::diff {

/// What one wants to know of an image in order to compare it with another one.
struct ImageView {
  std::string path;
  std::map<std::string, std::string> facts;     // "version", "root hash", "root size": for people
  std::map<std::string, std::string> sections;  // of the UKI: name to "size sha256"
  std::string cmdline;
  std::map<std::string, std::string> partitions;  // "2 node_1.0.0" to type and size
  /// Of a disk the root in slot A, of a root image itself; nothing of a release or a UKI.
  std::optional<image::SourcedTree> root;
  std::vector<outputs::InstalledPackage> packages;

  std::vector<std::shared_ptr<const base::BlockDevice>> devices;  // that the root reads from
};

/// Opens a raw disk, an EROFS root, a UKI or a release. Fails: as the readers of these do; unsupported (something
/// else).
base::Result<ImageView> open_view(const std::string& path);

}  // namespace builder::diff
