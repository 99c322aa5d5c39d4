#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/digest.hpp"
#include "base/partial_file.hpp"
#include "base/result.hpp"
#include "image/erofs/writer.hpp"
#include "image/file_tree.hpp"
#include "verity/geometry.hpp"
#include "verity/hash_tree.hpp"

namespace image {

/// Where a composed root goes.
struct RootFiles {
  std::string image;
  std::string hash_tree;  // superblock and tree; empty: none is made
};

struct RootOptions {
  erofs::Options erofs;
  base::Bytes salt;                     // of the hash tree
  std::optional<base::Uuid> hash_uuid;  // of its superblock; without it, derived from the root hash
  base::Durability durability = base::Durability::power_cut_safe;
  bool file_digest = false;  // whether the image's SHA-256 is wanted: one more digest of every byte, on the way to disk
  verity::Effort effort;     // its threads compress, too; advance is told what erofs::compose() tells
};

struct ComposedRoot {
  erofs::Composed image;
  std::optional<verity::RootHash> root_hash;
  std::optional<base::Sha256Digest> file_digest;  // SHA-256 of the image's file
};

/// Composes the EROFS image of a tree and, in the same pass, its dm-verity hash tree. Both files are written beside
/// their names and renamed when both are complete: nothing half-written is ever found under those names. Fails: as
/// erofs::compose(); no_space, permission, io.
base::Result<ComposedRoot> compose_root(const FileTree& tree, const ContentSource& contents, const RootOptions& options,
                                        const RootFiles& files);

}  // namespace image
