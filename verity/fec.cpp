#include "verity/fec.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "base/processors.hpp"
#include "verity/reed_solomon.hpp"

namespace verity {

using base::BlockDevice;
using base::fail;
using base::Kind;
using base::MutableByteView;
using base::Result;

namespace {

constexpr std::uint64_t max_offset = std::uint64_t{1} << 62;

Result<> check_offset(const char* which, std::uint64_t offset, std::uint32_t block_size) {
  if (offset % block_size == 0 && offset <= max_offset) return base::ok();
  return fail(Kind::invalid_input, std::string(which) + " " + std::to_string(offset) +
                                       ": a multiple of the block size " + std::to_string(block_size) +
                                       ", at most 2^62, is needed");
}

/// The part of the covered area that lies on one device.
struct Stretch {
  const BlockDevice& device;
  std::uint64_t device_offset;  // bytes; where `begin` lies on the device
  std::uint64_t begin;          // bytes from the start of the covered area
  std::uint64_t end;

  /// Fills what of [at, at + into.size()) lies in this stretch.
  Result<> read(std::uint64_t at, MutableByteView into) const {
    const std::uint64_t from = std::max(at, begin);
    const std::uint64_t to = std::min(at + into.size(), end);
    if (from >= to) return base::ok();
    return device.read(device_offset + (from - begin), into.subspan(from - at, to - from));
  }
};

/// Encodes neighbouring rounds together, so that data is read in runs rather than in single blocks.
class FecEncoding {
 public:
  FecEncoding(const BlockDevice& data, const BlockDevice& hash_device, const FecLayout& layout, const ReedSolomon& code,
              BlockDevice& fec, const Effort& effort)
      : data_(data),
        hash_device_(hash_device),
        layout_(layout),
        code_(code),
        fec_(fec),
        advance_(effort.advance),
        threads_(effort.threads != 0 ? effort.threads : base::available_processors()) {
    // Small areas are cut finer, so that every thread gets some of the work.
    rounds_at_once_ =
        std::clamp<std::uint64_t>(layout.rounds() / (std::uint64_t{4} * threads_), 1, run_bytes / layout.block_size());
  }

  Result<> run() {
    const std::uint64_t pieces = base::divide_rounding_up(layout_.rounds(), rounds_at_once_);
    base::run_on_threads(static_cast<unsigned>(std::min<std::uint64_t>(threads_, pieces)), [this] { work(); });
    if (failure_) return std::unexpected(*std::move(failure_));
    return base::ok();
  }

 private:
  static constexpr std::uint64_t run_bytes = 64 * 1024;

  void work() {
    while (!stop_) {
      const std::uint64_t first = next_round_.fetch_add(rounds_at_once_);
      if (first >= layout_.rounds()) return;
      if (auto done = encode(first, std::min(rounds_at_once_, layout_.rounds() - first)); !done) {
        stop_ = true;
        const std::lock_guard lock(failing_);
        if (!failure_) failure_ = std::move(done).error();
      }
    }
  }

  Result<> encode(std::uint64_t first_round, std::uint64_t rounds) const {
    const std::size_t width = rounds * layout_.block_size();
    ReedSolomon::Encoder encoder(code_, width);
    base::Bytes run(width);
    for (std::uint64_t symbol = 0; symbol < layout_.data_symbols(); ++symbol) {
      const std::uint64_t block = first_round + symbol * layout_.rounds();
      TRY_DO(read_covered(data_, hash_device_, layout_, block, run));
      encoder.fold(run);
      if (advance_ && block < layout_.covered_blocks()) {
        advance_(std::min(rounds, layout_.covered_blocks() - block) * layout_.block_size());
      }
    }
    base::Bytes parity(rounds * layout_.round_parity_bytes());
    encoder.finish(parity);
    return fec_.write(layout_.params().offset + first_round * layout_.round_parity_bytes(), parity);
  }

  const BlockDevice& data_;
  const BlockDevice& hash_device_;
  const FecLayout& layout_;
  const ReedSolomon& code_;
  BlockDevice& fec_;
  const base::Advance& advance_;
  unsigned threads_;
  std::uint64_t rounds_at_once_;

  std::atomic<std::uint64_t> next_round_ = 0;
  std::atomic<bool> stop_ = false;
  std::mutex failing_;
  std::optional<base::Error> failure_;
};

Result<> check_size(const BlockDevice& device, std::uint64_t needed, const char* for_what, Kind kind) {
  if (needed <= device.size_bytes()) return base::ok();
  return fail(kind, device.name() + " has " + std::to_string(device.size_bytes()) + " bytes; " + for_what + " needs " +
                        std::to_string(needed));
}

Result<> check_overlap(const BlockDevice& covered, std::uint64_t end, const BlockDevice& fec, std::uint64_t offset) {
  if (&covered != &fec || offset >= end) return base::ok();
  return fail(Kind::invalid_input, "FEC parity at offset " + std::to_string(offset) + " of " + fec.name() +
                                       " would overwrite what it covers, which ends at " + std::to_string(end));
}

}  // namespace

Result<FecLayout> FecLayout::of(Geometry geometry, std::uint64_t tree_offset, std::uint64_t metadata_end,
                                FecParams params) {
  const std::uint32_t block_size = geometry.params().data_block_size;
  if (block_size != geometry.params().hash_block_size) {
    return fail(Kind::invalid_input, "FEC needs data and hash blocks of the same size, not " +
                                         std::to_string(block_size) + " and " +
                                         std::to_string(geometry.params().hash_block_size) + " bytes");
  }
  TRY_DO(ReedSolomon::create(params.roots));
  TRY_DO(check_offset("tree offset", tree_offset, block_size));
  TRY_DO(check_offset("FEC offset", params.offset, block_size));
  TRY_DO(check_offset("metadata end", metadata_end / block_size * block_size, block_size));
  // A single data block has no tree: the hash device may then end with its superblock, before the tree would begin.
  const std::uint64_t metadata_blocks = metadata_end > tree_offset ? (metadata_end - tree_offset) / block_size : 0;
  if (metadata_blocks * block_size < geometry.tree_bytes()) {
    return fail(Kind::invalid_input, "the metadata that FEC covers ends at byte " + std::to_string(metadata_end) +
                                         ", before the hash tree of " + std::to_string(geometry.tree_bytes()) +
                                         " bytes at offset " + std::to_string(tree_offset) + " does");
  }
  return FecLayout(std::move(geometry), params, tree_offset, metadata_blocks);
}

FecLayout::FecLayout(Geometry geometry, FecParams params, std::uint64_t tree_offset, std::uint64_t metadata_blocks)
    : geometry_(std::move(geometry)), params_(params), tree_offset_(tree_offset), metadata_blocks_(metadata_blocks) {}

std::uint64_t FecLayout::data_symbols() const {
  return codeword_size - params_.roots;
}

std::uint64_t FecLayout::rounds() const {
  return base::divide_rounding_up(covered_blocks(), data_symbols());
}

std::uint64_t FecLayout::metadata_end() const {
  return metadata_blocks_ == 0 ? 0 : tree_offset_ + metadata_blocks_ * block_size();
}

Result<> check_covered(const BlockDevice& data, const BlockDevice& hash_device, const FecLayout& layout) {
  TRY_DO(check_size(data, layout.geometry().data_bytes(), "the data that FEC covers", Kind::corrupt));
  return check_size(hash_device, layout.metadata_end(), "the metadata that FEC covers", Kind::corrupt);
}

Result<> read_covered(const BlockDevice& data, const BlockDevice& hash_device, const FecLayout& layout,
                      std::uint64_t first, MutableByteView into) {
  const std::uint64_t data_end = layout.geometry().data_bytes();
  const std::uint64_t at = first * layout.block_size();
  const std::uint64_t covered_end = layout.covered_bytes();
  if (at > covered_end || into.size() > covered_end - at) std::ranges::fill(into, std::byte{0});
  TRY_DO((Stretch{data, 0, 0, data_end}.read(at, into)));
  return Stretch{hash_device, layout.tree_offset(), data_end, covered_end}.read(at, into);
}

Result<> encode_fec(const BlockDevice& data, const BlockDevice& hash_device, const FecLayout& layout, BlockDevice& fec,
                    const Effort& effort) {
  const FecParams& params = layout.params();
  TRY(const ReedSolomon code, ReedSolomon::create(params.roots));
  TRY_DO(check_covered(data, hash_device, layout));
  TRY_DO(check_size(fec, params.offset + layout.parity_bytes(), "the FEC parity", Kind::no_space));
  TRY_DO(check_overlap(data, layout.geometry().data_bytes(), fec, params.offset));
  TRY_DO(check_overlap(hash_device, layout.metadata_end(), fec, params.offset));
  return FecEncoding(data, hash_device, layout, code, fec, effort).run();
}

}  // namespace verity
