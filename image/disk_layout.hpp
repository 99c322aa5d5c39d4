#pragma once

#include <cstdint>
#include <vector>

#include "base/result.hpp"
#include "base/uuid.hpp"
#include "image/identifiers.hpp"
#include "image/partition_table.hpp"
#include "verity/root_hash.hpp"

namespace image {

// Our disks for x86-64: the ESP, two slots of three partitions each, and behind them room for what systemd-repart makes
// on the first boot. Everything begins and ends on a whole MiB, which suits both sector sizes.

inline constexpr std::uint64_t mib = std::uint64_t{1} << 20;
inline constexpr std::uint32_t esp_number = 1;

enum class Slot { a, b };

/// A slot's partitions by their numbers.
struct SlotNumbers {
  std::uint32_t root;
  std::uint32_t verity;
  std::uint32_t signature;
};
constexpr SlotNumbers numbers_of(Slot slot) {
  return slot == Slot::a ? SlotNumbers{2, 3, 4} : SlotNumbers{5, 6, 7};
}

/// The sizes are a promise for the life of a fleet: a slot cannot grow while something lies behind it.
struct LayoutSizes {
  std::uint64_t esp_bytes = 512 * mib;
  std::uint64_t root_bytes = 2048 * mib;
  std::uint64_t signature_bytes = mib;
  std::uint32_t sector_size = 512;
};

/// Bytes of the hash partition beside a root partition of `root_bytes`: superblock and tree for the whole of it,
/// whatever today's image takes, rounded up to a MiB. Fails: invalid_input.
base::Result<std::uint64_t> verity_partition_bytes(std::uint64_t root_bytes);

struct DiskLayout {
  PartitionTable table;
  std::uint64_t size_bytes = 0;  // of the disk that the table is for
};

/// A new disk: the image in slot A, slot B empty, no `var`. Every UUID is the root hash's or derived from `identity`,
/// so the same image has the same disk.
///
/// root_image_bytes  what slot A has to hold
/// Fails:            invalid_input (a size that is no whole MiB, zero, or above 1 PiB; an image larger than its slot;
///                   sector size)
base::Result<DiskLayout> design_layout(const ImageIdentity& identity, const verity::RootHash& root_hash,
                                       std::uint64_t root_image_bytes, const LayoutSizes& sizes = {});

// What a slot's labels, UUIDs and flags say, as changes to a table on disk. Flags, decided by UAPI.2:
// - read-only (60) always, on all three: recommended for verity and signature; a root that verity covers is never
//   written in place either.
// - no-auto (63) on an empty slot, never on a filled one. "The first root partition that does not have the no-auto
// flag"
//   is what a system may mount by itself: no slot that is empty or half written, so that nobody depends on readers that
//   know the label `_empty` (systemd-sysupdate's word); but a whole one, so that systemd-dissect and systemd-nspawn
//   take our images as they are.
// - grow-file-system (59) never: it has no effect beside read-only.

/// The slot holds the whole image: label <id>_<version>, UUIDs by which the root hash finds it.
std::vector<PartitionChange> mark_filled(Slot slot, const ImageIdentity& identity, const verity::RootHash& root_hash);

struct SlotUuids {
  base::Uuid root;
  base::Uuid verity;
  base::Uuid signature;
};
/// The slot holds nothing that may be used: label `_empty`. On a host the UUIDs are random; in an image, where nothing
/// may be, those of empty_slot_uuids.
std::vector<PartitionChange> mark_empty(Slot slot, const SlotUuids& uuids);
SlotUuids empty_slot_uuids(const ImageIdentity& identity);

/// A slot as a table on a disk has it.
struct SlotOnDisk {
  Slot slot = Slot::a;
  Partition root;
  Partition verity;
  Partition signature;

  bool is_empty() const;
  /// What its UUIDs say; means nothing in an empty slot.
  verity::RootHash root_hash() const;
};

/// The slots of which all three partitions are there, with our numbers and types.
std::vector<SlotOnDisk> slots_of(const PartitionTable& table);
const char* to_string(Slot slot);  // "A", "B"

}  // namespace image
