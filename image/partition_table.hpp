#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/block_device.hpp"
#include "base/result.hpp"
#include "base/uuid.hpp"

// GUID partition tables, read and written by ourselves; libfdisk, libblkid and gptfdisk are the judges in the tests.
// libfdisk works on a descriptor, not on a BlockDevice, so no test could cut its power; it always overwrites the backup
// first, even where that is the only sound copy; it takes random UUIDs where none are given; and the initramfs, which
// reads tables too, is a small static program. The format is two small structures.

namespace image {

struct Partition {
  std::uint32_t number = 0;  // from 1: its place in the table, and the number in its device's name
  base::Uuid type;
  base::Uuid uuid;
  std::string label;  // UTF-8; at most 36 UTF-16 units, no control characters where we write it
  std::uint64_t offset_bytes = 0;
  std::uint64_t size_bytes = 0;
  std::uint64_t flags = 0;  // see partition_flag

  friend bool operator==(const Partition&, const Partition&) = default;
};

struct PartitionTable {
  base::Uuid disk_uuid;
  std::uint32_t sector_size = 512;    // bytes; 512 or 4096
  std::vector<Partition> partitions;  // by number

  friend bool operator==(const PartitionTable&, const PartitionTable&) = default;
};

/// How the two copies of a table were found.
enum class TableCopies {
  agree,
  differ,  // both sound: a write was cut between them. The primary counts, as for firmware and kernel
  backup_damaged,
  primary_damaged,  // the table is the backup's
};

struct TableOnDisk {
  PartitionTable table;
  TableCopies copies = TableCopies::agree;
  std::string damage;  // what is wrong with the damaged copy; empty when none is
};

/// Reads the table of a whole disk or disk image. Every count and place is checked against the disk before it is used;
/// a copy counts only if its checksums hold and its partitions lie on the disk without touching each other.
///
/// sector_size  the disk's, where it is known; otherwise 512 is tried, then 4096, as readers of disk images do
/// Fails:       not_found (no trace of a GPT); corrupt, unsupported (what is wrong with each copy); invalid_input
///              (sector size); io
base::Result<TableOnDisk> read_partition_table(const base::BlockDevice& disk,
                                               std::optional<std::uint32_t> sector_size = std::nullopt);

/// Writes a new table with room for 128 partitions: backup, flush, protective MBR and primary, flush. The bytes depend
/// on the table and on the disk's size alone. Fails: invalid_input (names the partition: label, UUID used twice,
/// overlap, beyond the disk, not on a sector; sector size); no_space (disk smaller than a table); io. Nothing is
/// written unless the whole table is good.
base::Result<> write_partition_table(base::BlockDevice& disk, const PartitionTable& table);

/// What to change of one partition; what is absent stays.
struct PartitionChange {
  std::uint32_t number = 0;
  std::optional<base::Uuid> uuid;
  std::optional<std::string> label;
  std::optional<std::uint64_t> flags;
};

/// Changes partitions of a table on disk, all or none, and leaves every other byte of its entries alone. One copy,
/// flush, the other copy, flush: the copy that was relied on for reading is written last, so a cut at any write leaves
/// a table that reads as before or as wanted. The backup goes to the end of the disk, wherever it was before. Durable
/// on return.
///
/// The kernel goes on showing the labels and UUIDs that it read earlier.
/// Fails: as read_partition_table; not_found (no such partition); invalid_input (label; UUID zero or already used on
/// this disk); no_space (a partition lies where the backup belongs)
base::Result<> change_partitions(base::BlockDevice& disk, std::span<const PartitionChange> changes,
                                 std::optional<std::uint32_t> sector_size = std::nullopt);

}  // namespace image
