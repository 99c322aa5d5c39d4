#include "image/disk_layout.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "base/bytes.hpp"
#include "image/discoverable_partitions.hpp"
#include "verity/geometry.hpp"
#include "verity/superblock.hpp"

namespace image {

using base::fail;
using base::Kind;
using base::Result;

namespace {

constexpr std::uint64_t max_partition_bytes = std::uint64_t{1} << 50;
/// In front of the first partition and behind the last: room for a copy of the table with sectors of either size.
constexpr std::uint64_t margin_bytes = mib;
constexpr std::size_t salt_bytes = 32;
constexpr const char* empty_label = "_empty";

Result<> check_size(const char* what, std::uint64_t bytes) {
  if (bytes != 0 && bytes % mib == 0 && bytes <= max_partition_bytes) return base::ok();
  return fail(Kind::invalid_input, std::string(what) + " of " + std::to_string(bytes) +
                                       " bytes: a partition takes whole MiB, 1 at least and 1 PiB at most");
}

Result<> check_sizes(const LayoutSizes& sizes, std::uint64_t root_image_bytes) {
  if (sizes.sector_size != 512 && sizes.sector_size != 4096) {
    return fail(Kind::invalid_input,
                "sectors of " + std::to_string(sizes.sector_size) + " bytes; 512 and 4096 are possible");
  }
  TRY_DO(check_size("an ESP", sizes.esp_bytes));
  TRY_DO(check_size("a root partition", sizes.root_bytes));
  TRY_DO(check_size("a signature partition", sizes.signature_bytes));
  if (root_image_bytes > sizes.root_bytes) {
    return fail(Kind::invalid_input, "the root image takes " + std::to_string(root_image_bytes) +
                                         " bytes, its slot has " + std::to_string(sizes.root_bytes));
  }
  return base::ok();
}

std::vector<PartitionChange> changes_to(Slot slot, const std::string& label, const SlotUuids& uuids,
                                        std::uint64_t flags) {
  const SlotNumbers numbers = numbers_of(slot);
  return {{.number = numbers.root, .uuid = uuids.root, .label = label, .flags = flags},
          {.number = numbers.verity, .uuid = uuids.verity, .label = label, .flags = flags},
          {.number = numbers.signature, .uuid = uuids.signature, .label = label, .flags = flags}};
}

/// Puts partitions one behind the other.
class Row {
 public:
  void add(std::uint32_t number, const base::Uuid& type, std::uint64_t size_bytes) {
    partitions_.push_back({.number = number, .type = type, .offset_bytes = end_, .size_bytes = size_bytes});
    end_ += size_bytes;
  }
  void add_slot(Slot slot, const LayoutSizes& sizes, std::uint64_t verity_bytes) {
    const SlotNumbers numbers = numbers_of(slot);
    add(numbers.root, partition_type::root_x86_64, sizes.root_bytes);
    add(numbers.verity, partition_type::root_verity_x86_64, verity_bytes);
    add(numbers.signature, partition_type::root_verity_signature_x86_64, sizes.signature_bytes);
  }
  /// The numbers are 1, 2, 3, ... in this order.
  void apply(const std::vector<PartitionChange>& changes) {
    for (const PartitionChange& change : changes) {
      Partition& partition = partitions_[change.number - 1];
      partition.uuid = *change.uuid;
      partition.label = *change.label;
      partition.flags = *change.flags;
    }
  }
  std::uint64_t end() const { return end_; }
  std::vector<Partition> take() { return std::move(partitions_); }

 private:
  std::vector<Partition> partitions_;
  std::uint64_t end_ = margin_bytes;
};

const Partition* find(const PartitionTable& table, std::uint32_t number, const base::Uuid& type) {
  const auto found = std::ranges::find(table.partitions, number, &Partition::number);
  return found != table.partitions.end() && found->type == type ? &*found : nullptr;
}

}  // namespace

Result<std::uint64_t> verity_partition_bytes(std::uint64_t root_bytes) {
  const verity::HashTreeParams params{.salt = base::Bytes(salt_bytes)};
  TRY(const verity::Geometry geometry, verity::Geometry::of_bytes(params, root_bytes));
  TRY(const std::uint64_t tree_offset,
      verity::tree_offset(0, verity::HasSuperblock::yes, geometry.params().hash_block_size));
  return base::divide_rounding_up(tree_offset + geometry.tree_bytes(), mib) * mib;
}

Result<DiskLayout> design_layout(const ImageIdentity& identity, const verity::RootHash& root_hash,
                                 std::uint64_t root_image_bytes, const LayoutSizes& sizes) {
  const std::string frame = "laying out the disk of " + identity.label();
  TRY_DO(check_sizes(sizes, root_image_bytes), frame);
  TRY(const std::uint64_t verity_bytes, verity_partition_bytes(sizes.root_bytes), frame);
  Row row;
  row.add(esp_number, partition_type::esp, sizes.esp_bytes);
  row.add_slot(Slot::a, sizes, verity_bytes);
  row.add_slot(Slot::b, sizes, verity_bytes);
  row.apply({{.number = esp_number, .uuid = derive_uuid(identity, role::esp_partition), .label = "esp", .flags = 0}});
  row.apply(mark_filled(Slot::a, identity, root_hash));
  row.apply(mark_empty(Slot::b, empty_slot_uuids(identity)));
  const std::uint64_t size_bytes = row.end() + margin_bytes;
  return DiskLayout{.table = {.disk_uuid = derive_uuid(identity, role::disk),
                              .sector_size = sizes.sector_size,
                              .partitions = row.take()},
                    .size_bytes = size_bytes};
}

std::vector<PartitionChange> mark_filled(Slot slot, const ImageIdentity& identity, const verity::RootHash& root_hash) {
  const SlotUuids uuids{.root = data_partition_uuid(root_hash),
                        .verity = hash_partition_uuid(root_hash),
                        .signature = derive_uuid(identity, role::signature_partition)};
  return changes_to(slot, identity.label(), uuids, partition_flag::read_only);
}

std::vector<PartitionChange> mark_empty(Slot slot, const SlotUuids& uuids) {
  return changes_to(slot, empty_label, uuids, partition_flag::read_only | partition_flag::no_auto);
}

SlotUuids empty_slot_uuids(const ImageIdentity& identity) {
  return {.root = derive_uuid(identity, role::empty_root_partition),
          .verity = derive_uuid(identity, role::empty_verity_partition),
          .signature = derive_uuid(identity, role::empty_signature_partition)};
}

bool SlotOnDisk::is_empty() const {
  return root.label == empty_label;
}

verity::RootHash SlotOnDisk::root_hash() const {
  return root_hash_of(root.uuid, verity.uuid);
}

std::vector<SlotOnDisk> slots_of(const PartitionTable& table) {
  std::vector<SlotOnDisk> slots;
  for (const Slot slot : {Slot::a, Slot::b}) {
    const SlotNumbers numbers = numbers_of(slot);
    const Partition* root = find(table, numbers.root, partition_type::root_x86_64);
    const Partition* verity = find(table, numbers.verity, partition_type::root_verity_x86_64);
    const Partition* signature = find(table, numbers.signature, partition_type::root_verity_signature_x86_64);
    if (root == nullptr || verity == nullptr || signature == nullptr) continue;
    slots.push_back({.slot = slot, .root = *root, .verity = *verity, .signature = *signature});
  }
  return slots;
}

const char* to_string(Slot slot) {
  return slot == Slot::a ? "A" : "B";
}

}  // namespace image
