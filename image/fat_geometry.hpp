#pragma once

#include <cstdint>

#include "base/result.hpp"

namespace image {

/// Where the parts of a FAT32 volume lie: reserved sectors, two file allocation tables, clusters.
/// Source: Microsoft, "FAT: General Overview of On-Disk Format" 1.03 (2000), called fatgen103 below.
struct FatGeometry {
  std::uint32_t sector_size = 0;  // bytes: 512 or 4096
  std::uint32_t total_sectors = 0;
  std::uint32_t sectors_per_cluster = 0;
  std::uint32_t reserved_sectors = 0;  // 32, and as many more as align the first cluster to a multiple of its size
  std::uint32_t table_sectors = 0;     // of each of the two tables
  std::uint32_t clusters = 0;

  /// Clusters by the size of the volume as in Microsoft's table, but never smaller than a sector.
  /// Fails: invalid_input for a sector size but 512 and 4096, a size that is no multiple of it, too small a volume
  /// (the message states both sizes) and too large a one.
  static base::Result<FatGeometry> of(std::uint64_t size_bytes, std::uint32_t sector_size);

  std::uint64_t cluster_bytes() const { return std::uint64_t{sectors_per_cluster} * sector_size; }
  /// Offset of table 0 or 1 in the volume.
  std::uint64_t table_offset(unsigned table) const {
    return (reserved_sectors + std::uint64_t{table} * table_sectors) * sector_size;
  }
  /// Offset of a cluster in the volume; the first is number 2.
  std::uint64_t cluster_offset(std::uint32_t cluster) const {
    return table_offset(2) + (cluster - first_cluster) * cluster_bytes();
  }

  static constexpr std::uint32_t first_cluster = 2;
};

/// The smallest FAT32 volume, in bytes: 34098688 (32.5 MiB) with sectors of 512, 269119488 (256.7 MiB) with 4096.
/// Readers tell FAT32 from FAT16 by the number of clusters alone, and small volumes would be read as FAT16. Only FAT32
/// is written here: it is what the UEFI specification names for the ESP, and an ESP is larger.
std::uint64_t min_fat_bytes(std::uint32_t sector_size);

}  // namespace image
