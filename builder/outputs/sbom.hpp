#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "builder/outputs/package_database.hpp"
#include "image/identifiers.hpp"
#include "verity/root_hash.hpp"

namespace builder::outputs {

struct SbomFacts {
  const image::ImageIdentity& identity;
  const verity::RootHash& root_hash;
  std::string commit;
  std::string suite;
  std::chrono::sys_seconds date;
};

/// The software bill of materials of an image, SPDX 2.3 in JSON: the image, and each package with its version, its
/// supplier, its source package, a package URL and the SHA-256 of the .deb that it came from. The namespace is derived
/// from the root hash, the time is the lock's: the same image has the same bill.
/// Source: spdx.github.io/spdx-spec/v2.3; package-url.github.io (type deb)
std::string spdx_bill(const SbomFacts& facts, const std::vector<InstalledPackage>& installed,
                      const packages::Lock& lock);

}  // namespace builder::outputs
