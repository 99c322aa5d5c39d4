#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "base/advance.hpp"
#include "base/partial_file.hpp"
#include "base/result.hpp"
#include "image/disk_layout.hpp"
#include "image/esp.hpp"
#include "image/fat.hpp"
#include "image/identifiers.hpp"
#include "verity/root_hash.hpp"
#include "verity/signature_partition.hpp"

namespace image {

/// What a disk is put together from.
struct DiskParts {
  ImageIdentity identity;
  verity::RootHash root_hash;
  std::string root_image;  // path
  std::string hash_tree;   // path: superblock and tree, as compose_root() writes them
  /// Without it the partition stays empty: the UKI's command line is then all that vouches for the root hash.
  std::optional<verity::SignaturePartition> signature;
  Esp esp;
  std::chrono::sys_seconds timestamp;  // of the files on the ESP
};

struct DiskOptions {
  LayoutSizes sizes;
  /// The share of the root slot, in percent, that the image must leave for the versions to come.
  unsigned headroom_percent = 30;
  base::Durability durability = base::Durability::power_cut_safe;
  base::Advance advance;  // told the bytes of root image and hash tree
};

struct AssembledDisk {
  DiskLayout layout;
  FatSummary esp;
};

/// Writes a whole disk image: partition table, ESP, the image in slot A; slot B is empty. The same parts give the same
/// bytes. What is zero is not written, so the file is sparse. It gets its name when it is complete and durable.
///
/// That the hash tree belongs to the root hash is looked at down to the first data block; checking every block is
/// verify_image()'s work.
/// Fails: invalid_input (a size, an image that leaves too little headroom, with both sizes; a hash tree or a signature
///        of something else); corrupt (no hash tree); no_space (the ESP's files; the file system of `path`); io; as
///        esp_entries() and write_fat() do.
base::Result<AssembledDisk> assemble_disk(const DiskParts& parts, const DiskOptions& options, const std::string& path);

/// Whether an image of `image_bytes` leaves the headroom that is demanded. Fails: invalid_input, with both sizes:
/// "the root takes 1.9 GiB of a slot of 2.0 GiB: only 5 % is left, 30 % are demanded".
base::Result<> check_headroom(std::uint64_t image_bytes, std::uint64_t slot_bytes, unsigned headroom_percent);

}  // namespace image
