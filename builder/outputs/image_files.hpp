#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/progress.hpp"
#include "base/result.hpp"
#include "builder/keys/keys.hpp"
#include "builder/manifest/manifest.hpp"
#include "image/esp.hpp"
#include "image/ostree/commit.hpp"
#include "image/release.hpp"

namespace builder::outputs {

/// With what an image is signed.
struct Signers {
  keys::Signer root_hash;
  std::optional<keys::Signer> secure_boot;  // boot loader and UKI; without it they stay unsigned
  std::optional<image::EnrollKeys> enroll_keys;
};

/// The names of what is written, in the output directory.
struct FileNames {
  explicit FileNames(const image::ImageIdentity& identity);
  std::string root_image;
  std::string hash_tree;
  std::string uki;
  std::string release;
  std::string raw_disk;
  std::string disk(manifest::OutputFormat format) const;

 private:
  std::string label_;
};

struct WrittenImage {
  image::Release release;
  std::vector<std::string> files;  // names
};

/// Writes the root image and its hash tree, the UKI, the disks and the release of a commit. The same commit, manifest,
/// date and keys (RSA) give the same bytes. Where the manifest leaves no room for it the slot is too small: that is
/// found before a disk is written.
///
/// root    the commit's tree as image::read_commit() gives it with its embedded repository
/// commit  its checksum
/// Fails: invalid_input (headroom, sizes), corrupt (an object of the commit); no_space, permission, io
base::Result<WrittenImage> write_image(const image::CommitTree& root, const std::string& commit,
                                       const manifest::Manifest& manifest, const Signers& signers,
                                       const std::string& directory, base::ProgressStyle progress);

}  // namespace builder::outputs
