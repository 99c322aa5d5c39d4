#pragma once

#include <functional>
#include <string>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "builder/packages/control.hpp"

namespace builder::packages {

/// What a .deb says about itself.
struct DebFacts {
  std::string name;
  std::string version;
  std::string architecture;
  Paragraph control;
};

/// Reads the control file of a package. Fails: not_found, permission, io; corrupt (libarchive's words, no control file,
/// a name, version or architecture that cannot be one). Source: deb(5).
base::Result<DebFacts> read_deb(const std::string& path);

/// Writes the same package with its files uncompressed: dpkg takes it as it is, and whoever has several processors has
/// spared it the one long thing that it does on one. Fails: as above; no_space.
base::Result<> write_uncompressed(const std::string& deb, const std::string& to);

/// Unpacks the files of a package into a directory, as dpkg would without its database: owners, permissions, links. A
/// link to a directory, where the package has a directory, stays. Fails: as above; no_space, permission.
base::Result<> unpack_files(const std::string& deb, const std::string& directory);

/// A package without files, of which only the control file says something. The same text gives the same bytes.
base::Result<base::Bytes> make_empty_deb(const std::string& control);

}  // namespace builder::packages
