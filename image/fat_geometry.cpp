#include "image/fat_geometry.hpp"

#include <algorithm>
#include <string>

#include "base/bytes.hpp"

namespace image {

using base::divide_rounding_up;
using base::fail;
using base::Kind;
using base::Result;

namespace {

constexpr std::uint64_t table_entry_size = 4;
constexpr std::uint32_t min_reserved_sectors =
    32;  // fatgen103: "typically 32"; what its table of cluster sizes assumes
constexpr unsigned tables = 2;

// FAT32 begins at 65525 clusters. fatgen103 advises to keep 16 clusters away from that number, because of readers that
// count wrongly by 1, 2, 8, 10 or 16.
constexpr std::uint32_t min_clusters = 65525 + 16;
constexpr std::uint32_t max_clusters = 0x0ffffff5;  // numbers from 0x0ffffff7 on mean something else

/// The table DskTableFAT32 of fatgen103, in bytes.
std::uint32_t usual_cluster_bytes(std::uint64_t size_bytes) {
  constexpr std::uint64_t mib = std::uint64_t{1} << 20;
  constexpr std::uint64_t gib = std::uint64_t{1} << 30;
  if (size_bytes <= 260 * mib) return 512;
  if (size_bytes <= 8 * gib) return 4096;
  if (size_bytes <= 16 * gib) return 8192;
  if (size_bytes <= 32 * gib) return 16384;
  return 32768;
}

/// Fewest sectors that hold an entry for each cluster of the `sectors` which remain beside both tables, and two more.
std::uint64_t table_sectors_for(std::uint64_t sectors, std::uint64_t sectors_per_cluster, std::uint64_t sector_size) {
  const std::uint64_t sectors_mapped = sector_size / table_entry_size * sectors_per_cluster;
  return divide_rounding_up(sectors + 2 * sectors_per_cluster, sectors_mapped + tables);
}

}  // namespace

Result<FatGeometry> FatGeometry::of(std::uint64_t size_bytes, std::uint32_t sector_size) {
  if (sector_size != 512 && sector_size != 4096) {
    return fail(Kind::invalid_input,
                "sectors of " + std::to_string(sector_size) + " bytes; 512 and 4096 are supported");
  }
  if (size_bytes % sector_size != 0) {
    return fail(Kind::invalid_input, "a FAT32 volume of " + std::to_string(size_bytes) +
                                         " bytes, which is no multiple of its sectors of " +
                                         std::to_string(sector_size) + " bytes");
  }
  if (const std::uint64_t least = min_fat_bytes(sector_size); size_bytes < least) {
    return fail(Kind::invalid_input, "a FAT32 volume of " + std::to_string(size_bytes) + " bytes; with sectors of " +
                                         std::to_string(sector_size) + " bytes it has at least " +
                                         std::to_string(least));
  }
  const std::uint64_t total = size_bytes / sector_size;
  const std::uint64_t per_cluster = std::max(usual_cluster_bytes(size_bytes), sector_size) / sector_size;
  const std::uint64_t per_table = table_sectors_for(total - min_reserved_sectors, per_cluster, sector_size);
  const std::uint64_t data_start =
      divide_rounding_up(min_reserved_sectors + tables * per_table, per_cluster) * per_cluster;
  const std::uint64_t clusters = (total - data_start) / per_cluster;
  if (total > UINT32_MAX || clusters > max_clusters) {
    return fail(Kind::invalid_input, "a FAT32 volume of " + std::to_string(size_bytes) +
                                         " bytes is beyond what FAT32 "
                                         "can count");
  }
  return FatGeometry{
      .sector_size = sector_size,
      .total_sectors = static_cast<std::uint32_t>(total),
      .sectors_per_cluster = static_cast<std::uint32_t>(per_cluster),
      .reserved_sectors = static_cast<std::uint32_t>(data_start - tables * per_table),
      .table_sectors = static_cast<std::uint32_t>(per_table),
      .clusters = static_cast<std::uint32_t>(clusters),
  };
}

std::uint64_t min_fat_bytes(std::uint32_t sector_size) {
  const std::uint64_t per_table =
      divide_rounding_up((min_clusters + FatGeometry::first_cluster) * table_entry_size, sector_size);
  return (min_reserved_sectors + tables * per_table + min_clusters) * sector_size;
}

}  // namespace image
