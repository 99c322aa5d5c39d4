#pragma once

#include <string>
#include <vector>

#include "base/digest.hpp"
#include "base/result.hpp"
#include "image/file_tree.hpp"

namespace builder::root {

/// What an OCI image says about running it, as far as it matters here.
struct OciConfig {
  std::vector<std::string> entrypoint;
  std::vector<std::string> command;
  std::vector<std::string> environment;
  std::string working_directory;
  std::string user;
};

struct OciImage {
  OciConfig config;
  std::string manifest_digest;  // "sha256:..."
  image::SourcedTree root;      // its layers, one over the other, whiteouts honoured
};

/// Reads an image for this architecture out of an OCI archive (a tar of an image layout, as `skopeo copy ...
/// oci-archive:x.tar` and `podman save --format oci-archive` write it), or of a directory with such a layout. Each blob
/// is checked against its digest.
///
/// Fails: not_found, permission, io; corrupt (a blob that is not what its digest says, malformed JSON; names the blob);
///        invalid_input (no OCI layout; several images; none for linux/amd64); unsupported (a media type)
/// Source: opencontainers/image-spec, image-layout.md, manifest.md, layer.md
base::Result<OciImage> read_oci_archive(const std::string& path);

}  // namespace builder::root
