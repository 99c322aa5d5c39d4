#pragma once

#include "base/result.hpp"
#include "builder/manifest/manifest.hpp"
#include "builder/root/draft.hpp"
#include "builder/root/oci_archive.hpp"

namespace builder::root {

// A preloaded container lies in the image as what it will run from: its files, one layer over the other, in
// /usr/lib/keelson/containers/<name>/rootfs, and an OCI runtime specification beside them. So it is verified block by
// block like everything else, starts without being unpacked, shares equal files with the rest, and an update of it
// carries only what changed. containerd runs it (`ctr run --config`), since it is what a node of a cluster has anyway:
// one runtime, one place to look.

/// Adds one container: files, specification and, unless the manifest says otherwise, a unit keelson-container-<name>
/// that runs it and is enabled.
/// Fails: invalid_input (the image names no program; a user that its /etc/passwd does not know; containerd is not
///        installed in the root)
base::Result<> add_container(Draft& root, const manifest::Container& container, OciImage image);

/// The runtime specification (config.json). Network and host name are the host's, the root is read-only, /tmp, /run and
/// /var/tmp are in memory; no new privileges, Docker's capabilities.
/// Source: opencontainers/runtime-spec, config.md, config-linux.md
base::Result<std::string> runtime_specification(const manifest::Container& container, const OciConfig& config,
                                                const std::string& root_path, const std::string& passwd);

}  // namespace builder::root
