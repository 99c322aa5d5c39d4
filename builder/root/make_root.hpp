#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "builder/manifest/manifest.hpp"
#include "image/file_tree.hpp"

namespace builder::root {

struct RootInputs {
  /// What relative paths in the manifest begin in.
  std::string manifest_directory;
  // Paths of programs: the one that the initrd starts; the one that looks after the boot loader, which goes into the
  // root; and this one: what it makes of the rest is the result, too.
  std::string init;
  std::string boot;
  std::string keelson;
};

/// Where in the image are the parts that a UKI is put together from.
struct BootParts {
  std::string kernel_release;  // "6.1.0-41-cloud-amd64"
  std::string kernel;          // paths
  std::string initrd;
  std::string stub;
  std::string boot_loader;
  std::string os_release;
};

/// Makes a manifest's root of the one that its packages were installed into (clean() has been there): lays trees over
/// it, writes files, users, units, containers, os-release and the agent's configuration, builds the initrd, and brings
/// it all into canonical form. Nothing here needs root, or a network, and the same inputs give the same tree.
///
/// Fails: invalid_input (what the manifest asks for and the root cannot give, with the manifest's place; a root that is
///        not in canonical form afterwards: all complaints); not_found, permission, io (files beside the manifest);
///        corrupt, unsupported (archives)
base::Result<image::SourcedTree> make_root(image::SourcedTree packages, const manifest::Manifest& manifest,
                                           const RootInputs& inputs);

/// Where the parts are in a root that make_root() made. Fails: invalid_input (no kernel, or several).
base::Result<BootParts> boot_parts_of(const image::FileTree& root);

/// SHA-256 over all files beside the manifest that make_root() would read, with their names: what a step's key holds.
/// Fails: as reading them.
base::Result<std::string> digest_of_inputs(const manifest::Manifest& manifest, const RootInputs& inputs);

}  // namespace builder::root
