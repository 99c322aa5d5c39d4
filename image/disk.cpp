#include "image/disk.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/block_device.hpp"
#include "base/human.hpp"
#include "base/partial_file.hpp"
#include "verity/geometry.hpp"
#include "verity/hash_tree.hpp"
#include "verity/superblock.hpp"

namespace image {

using base::BlockDevice;
using base::ByteView;
using base::fail;
using base::FileDevice;
using base::Kind;
using base::ok;
using base::Result;

namespace {

constexpr std::size_t piece_size = std::size_t{1} << 20;
constexpr std::size_t hole_size = 4096;  // what is zero and this large becomes a hole
constexpr const char* esp_label = "ESP";

/// Each byte is its neighbour, and the first is zero: at the speed of memcmp, for gigabytes pass through here.
bool is_zero(ByteView bytes) {
  return bytes.empty() ||
         (bytes.front() == std::byte{0} && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

/// Writes the blocks that are not zero, neighbours at once.
Result<> write_sparse(BlockDevice& to, std::uint64_t offset, ByteView bytes) {
  std::size_t begin = 0;  // of the run that is to be written
  for (std::size_t at = 0; at < bytes.size(); at += hole_size) {
    const std::size_t size = std::min(hole_size, bytes.size() - at);
    if (!is_zero(bytes.subspan(at, size))) continue;
    if (at > begin) TRY_DO(to.write(offset + begin, bytes.subspan(begin, at - begin)));
    begin = at + size;
  }
  if (begin >= bytes.size()) return ok();
  return to.write(offset + begin, bytes.subspan(begin));
}

Result<> copy(const BlockDevice& from, BlockDevice& to, std::uint64_t offset, const base::Advance& advance) {
  base::Bytes piece(piece_size);
  for (std::uint64_t at = 0; at < from.size_bytes(); at += piece_size) {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(piece_size, from.size_bytes() - at));
    const base::MutableByteView view = base::MutableByteView(piece).first(size);
    TRY_DO(from.read(at, view));
    TRY_DO(write_sparse(to, offset + at, view));
    if (advance) advance(size);
  }
  return ok();
}

Result<> check_belongs(const BlockDevice& data, const BlockDevice& tree, const verity::RootHash& root_hash) {
  TRY(verity::Superblock superblock, verity::read_superblock(tree, 0));
  TRY(const verity::Geometry geometry, verity::Geometry::of(std::move(superblock.params), superblock.data_blocks));
  if (geometry.data_bytes() != data.size_bytes()) {
    return fail(Kind::invalid_input, fmt::format("{} is the hash tree of {} bytes, {} has {}", tree.name(),
                                                 geometry.data_bytes(), data.name(), data.size_bytes()));
  }
  TRY(const std::uint64_t offset,
      verity::tree_offset(0, verity::HasSuperblock::yes, geometry.params().hash_block_size));
  TRY(const auto verifier, verity::HashTreeVerifier::create(data, tree, offset, geometry, root_hash));
  TRY(const verity::VerifyReport report, verifier.verify_range(0, 1));
  if (report.intact()) return ok();
  return fail(Kind::invalid_input,
              fmt::format("{} and {} do not belong to the root hash {}: {}", data.name(), tree.name(), root_hash.hex(),
                          verity::describe(report.bad_blocks.front(), data.name(), tree.name())));
}

/// What goes into slot A, opened and found to be of one image.
struct SlotContent {
  std::unique_ptr<FileDevice> root;
  std::unique_ptr<FileDevice> tree;
  base::Bytes signature;  // empty: none
};

Result<SlotContent> open_content(const DiskParts& parts, const DiskOptions& options) {
  SlotContent content;
  TRY(content.root, FileDevice::open(parts.root_image, base::Access::read_only));
  TRY_DO(check_headroom(content.root->size_bytes(), options.sizes.root_bytes, options.headroom_percent));
  TRY(content.tree, FileDevice::open(parts.hash_tree, base::Access::read_only));
  TRY_DO(check_belongs(*content.root, *content.tree, parts.root_hash));
  if (!parts.signature) return content;
  if (parts.signature->root_hash != parts.root_hash) {
    return fail(Kind::invalid_input, fmt::format("the signature is of the root hash {}, the image has {}",
                                                 parts.signature->root_hash.hex(), parts.root_hash.hex()));
  }
  TRY(content.signature, parts.signature->encode());
  return content;
}

Result<> check_fits(const char* what, std::uint64_t size_bytes, const Partition& partition) {
  if (size_bytes <= partition.size_bytes) return ok();
  return fail(Kind::invalid_input, fmt::format("the {} takes {} bytes, partition {} has {}", what, size_bytes,
                                               partition.number, partition.size_bytes));
}

Result<> fill_slot(const SlotContent& content, const PartitionTable& table, Slot slot, BlockDevice& disk,
                   const base::Advance& advance) {
  const SlotNumbers numbers = numbers_of(slot);
  const Partition& root = table.partitions[numbers.root - 1];  // design_layout() numbers them from 1 on, in order
  const Partition& tree = table.partitions[numbers.verity - 1];
  const Partition& signature = table.partitions[numbers.signature - 1];
  TRY_DO(check_fits("hash tree", content.tree->size_bytes(), tree));
  TRY_DO(check_fits("signature", content.signature.size(), signature));
  TRY_DO(copy(*content.root, disk, root.offset_bytes, advance));
  TRY_DO(copy(*content.tree, disk, tree.offset_bytes, advance));
  return write_sparse(disk, signature.offset_bytes, content.signature);
}

Result<FatSummary> write_esp(const DiskParts& parts, const DiskOptions& options, const Partition& partition,
                             BlockDevice& disk) {
  TRY(const std::vector<FatEntry> entries, esp_entries(parts.esp));
  const FatVolume volume{.id = derive_fat_volume_id(parts.identity),
                         .label = esp_label,
                         .size_bytes = partition.size_bytes,
                         .sector_size = options.sizes.sector_size,
                         .timestamp = parts.timestamp};
  return write_fat(volume, entries, disk, partition.offset_bytes);
}

}  // namespace

Result<> check_headroom(std::uint64_t image_bytes, std::uint64_t slot_bytes, unsigned headroom_percent) {
  const std::string sizes =
      fmt::format("the root takes {} ({} bytes) of a slot of {} ({} bytes)", base::human_bytes(image_bytes),
                  image_bytes, base::human_bytes(slot_bytes), slot_bytes);
  if (headroom_percent > 99) {
    return fail(Kind::invalid_input, fmt::format("a headroom of {} %; 0 to 99 are possible", headroom_percent));
  }
  if (image_bytes > slot_bytes) return fail(Kind::invalid_input, sizes + ": it does not fit");
  // Slots have at most 2^50 bytes (design_layout), so nothing overflows.
  const std::uint64_t left = slot_bytes - image_bytes;
  if (left * 100 >= slot_bytes * headroom_percent) return ok();
  return fail(Kind::invalid_input, fmt::format("{}: only {} % is left, {} % are demanded", sizes,
                                               left * 100 / slot_bytes, headroom_percent));
}

Result<AssembledDisk> assemble_disk(const DiskParts& parts, const DiskOptions& options, const std::string& path) {
  const std::string frame = "writing the disk " + path;
  TRY(const SlotContent content, open_content(parts, options), frame);
  TRY(DiskLayout layout, design_layout(parts.identity, parts.root_hash, content.root->size_bytes(), options.sizes),
      frame);
  TRY(base::PartialFile file, base::PartialFile::create(path), frame);
  TRY(const auto disk, file.device(layout.size_bytes), frame);
  TRY_DO(fill_slot(content, layout.table, Slot::a, *disk, options.advance), frame);
  TRY(const FatSummary esp, write_esp(parts, options, layout.table.partitions[esp_number - 1], *disk),
      frame + ": the ESP");
  TRY_DO(write_partition_table(*disk, layout.table), frame);
  TRY_DO(file.complete(options.durability), frame);
  return AssembledDisk{std::move(layout), esp};
}

}  // namespace image
