#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "base/block_device.hpp"
#include "base/bytes.hpp"
#include "base/result.hpp"

namespace image {

/// What is in a file, so that a large one need not be in memory.
class FatContent {
 public:
  /// Fills `into` from `offset`; asked only for ranges inside of the size.
  using Read = std::function<base::Result<>(std::uint64_t offset, base::MutableByteView into)>;

  /// Bytes that the caller keeps alive.
  static FatContent view(base::ByteView bytes);
  static FatContent owned(std::string text);
  static FatContent source(std::uint64_t size_bytes, Read read);

  std::uint64_t size_bytes() const { return size_bytes_; }
  base::Result<> read(std::uint64_t offset, base::MutableByteView into) const { return read_(offset, into); }

 private:
  FatContent(std::uint64_t size_bytes, Read read) : size_bytes_(size_bytes), read_(std::move(read)) {}

  std::uint64_t size_bytes_;
  Read read_;
};

struct FatEntry {
  std::string path;  // UTF-8, "EFI/BOOT/BOOTX64.EFI"; directories on the way need no entry of their own
  std::optional<FatContent> content;  // nothing: a directory
};

struct FatVolume {
  std::uint32_t id = 0;
  std::string label;  // at most 11 characters of A-Z, 0-9, blank and $%'-_@~`!(){}^#&; empty: none
  std::uint64_t size_bytes = 0;
  std::uint32_t sector_size = 512;     // or 4096
  std::chrono::sys_seconds timestamp;  // of every file and directory; FAT holds 1980 to 2107, others become the nearest
};

struct FatSummary {
  std::uint64_t cluster_bytes = 0;
  std::uint64_t clusters = 0;
  std::uint64_t used_clusters = 0;
};

/// Writes a FAT32 volume from `offset` of `to` on. The same volume and entries give the same bytes, always, in whatever
/// order the entries come: directories are sorted bytewise, each directory and file takes one run of clusters
/// (directories first), times are UTC, nothing is random.
///
/// to      reads as zeros in the range of the volume; only what is not zero is written. Not flushed.
/// Fails:  invalid_input (names that FAT cannot hold or takes for one, geometry, label, a file of 4 GiB, a directory of
///         more than 65536 entries), no_space (the message has both sizes), io; what a content's source fails with
/// Off-spec: "hidden sectors" is 0 wherever the volume lies, so that its bytes do not depend on the partition table.
///         Only a BIOS would look at it.
base::Result<FatSummary> write_fat(const FatVolume& volume, std::span<const FatEntry> entries, base::BlockDevice& to,
                                   std::uint64_t offset);

}  // namespace image
