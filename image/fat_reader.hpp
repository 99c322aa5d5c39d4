#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/block_device.hpp"
#include "base/bytes.hpp"
#include "base/result.hpp"

namespace image {

/// A file or directory on a FAT32 volume.
struct FatNode {
  std::string path;  // "EFI/BOOT/BOOTX64.EFI"
  bool is_directory = false;
  std::uint32_t first_cluster = 0;
  std::uint32_t size_bytes = 0;  // of a file

  friend bool operator==(const FatNode&, const FatNode&) = default;
};

/// Reads FAT32 volumes, whoever wrote them and why. Chains that go round, directories that hold themselves, sizes
/// beyond the volume and endless lists end in an error: memory and time are bounded by what a caller allows and by
/// fixed numbers (65536 files and directories, 2 MiB for one directory, 32 levels).
///
/// Only what is looked at is checked; fsck.vfat finds more.
/// Source: Microsoft, "FAT: General Overview of On-Disk Format" 1.03 (2000)
class FatReader {
 public:
  /// volume  the whole volume from its boot sector on; must outlive the reader
  /// Fails: corrupt (no FAT, impossible numbers); unsupported (FAT12, FAT16, exFAT; another version); io.
  static base::Result<FatReader> open(const base::BlockDevice& volume);

  std::uint32_t volume_id() const { return volume_id_; }
  /// Bytes from the boot sector to the end of the last cluster.
  std::uint64_t size_bytes() const { return cluster_offset(clusters_ + 2); }

  /// Everything on the volume, each directory before what is in it, in the order of the directories.
  /// Fails: corrupt (names the directory), io.
  base::Result<std::vector<FatNode>> list() const;

  /// The content of a file that list() found. Fails: invalid_input (a directory; more than `max_bytes`), corrupt, io.
  base::Result<base::Bytes> read(const FatNode& file, std::size_t max_bytes) const;

 private:
  class Table;
  FatReader() = default;

  std::uint64_t cluster_bytes() const { return std::uint64_t{sectors_per_cluster_} * sector_size_; }
  std::uint64_t cluster_offset(std::uint32_t cluster) const {
    return data_offset_ + (std::uint64_t{cluster} - 2) * cluster_bytes();
  }
  base::Result<base::Bytes> read_chain(std::uint32_t first, std::uint64_t size_bytes) const;
  base::Result<base::Bytes> read_directory(std::uint32_t first) const;

  const base::BlockDevice* volume_ = nullptr;
  std::uint32_t sector_size_ = 0;
  std::uint32_t sectors_per_cluster_ = 0;
  std::uint32_t clusters_ = 0;
  std::uint32_t root_cluster_ = 0;
  std::uint32_t volume_id_ = 0;
  std::uint64_t table_offset_ = 0;
  std::uint64_t data_offset_ = 0;
};

/// Whether two paths are one to FAT, as far as ASCII goes: upper and lower case are not told apart.
bool same_fat_path(std::string_view a, std::string_view b);

}  // namespace image
