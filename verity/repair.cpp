#include "verity/repair.hpp"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <shared_mutex>
#include <span>
#include <string>
#include <utility>

#include "base/processors.hpp"
#include "verity/reed_solomon.hpp"

namespace verity {

using base::BlockDevice;
using base::Bytes;
using base::ByteView;
using base::fail;
using base::Kind;
using base::MutableByteView;
using base::Result;

namespace {

/// A device as it would be after some blocks had been written.
class Overlay final : public BlockDevice {
 public:
  explicit Overlay(const BlockDevice& below) : below_(below) {}

  const std::string& name() const override { return below_.name(); }
  std::uint64_t size_bytes() const override { return below_.size_bytes(); }
  Result<> read(std::uint64_t offset, MutableByteView into) const override {
    TRY_DO(below_.read(offset, into));
    const std::shared_lock lock(mutex_);
    auto next = written_.upper_bound(offset);
    if (next != written_.begin()) --next;
    for (; next != written_.end() && next->first < offset + into.size(); ++next) {
      const auto& [at, block] = *next;
      const std::uint64_t from = std::max(at, offset);
      const std::uint64_t to = std::min(at + block.size(), offset + into.size());
      if (from < to) std::ranges::copy(ByteView(block).subspan(from - at, to - from), &into[from - offset]);
    }
    return base::ok();
  }
  /// Always whole blocks here, so that no two of them overlap.
  Result<> write(std::uint64_t offset, ByteView from) override {
    const std::lock_guard lock(mutex_);
    written_[offset].assign(from.begin(), from.end());
    return base::ok();
  }
  Result<> flush() override { return base::ok(); }

 private:
  const BlockDevice& below_;
  mutable std::shared_mutex mutex_;
  std::map<std::uint64_t, Bytes> written_;
};

/// A bad block of a round; `symbol` is its bytes' position in their codewords.
struct Suspect {
  BadBlock place;
  unsigned symbol;
};

/// One round's codewords: rows of a block each, of which byte b of every row makes codeword b, and their parity.
class Round {
 public:
  Round(const ReedSolomon& code, std::size_t block_size)
      : code_(code),
        block_size_(block_size),
        rows_(code.data_size() * block_size),
        parity_(code.roots() * block_size),
        encoder_(code, block_size),
        remainders_(parity_.size()) {}

  MutableByteView row(std::size_t symbol) { return MutableByteView(rows_).subspan(symbol * block_size_, block_size_); }
  /// As it lies on the FEC device: `roots` bytes for each codeword.
  MutableByteView parity() { return parity_; }

  /// What becomes of each row when every codeword is decoded, or left as it is where that is not possible. Empty are
  /// the rows that stay as they are.
  std::vector<Bytes> decoded(std::span<const unsigned> erasures) {
    for (std::size_t symbol = 0; symbol < code_.data_size(); ++symbol) encoder_.fold(row(symbol));
    encoder_.finish(remainders_);
    for (std::size_t i = 0; i < parity_.size(); ++i) remainders_[i] ^= parity_[i];

    std::vector<Bytes> result(codeword_size);
    for (std::size_t b = 0; b < block_size_; ++b) {
      const auto remainder = ByteView(remainders_).subspan(b * code_.roots(), code_.roots());
      const auto corrections = code_.corrections(remainder, erasures);
      if (!corrections) continue;
      for (const auto& [position, difference] : *corrections) {
        if (position >= code_.data_size()) continue;  // parity
        Bytes& content = result[position];
        if (content.empty()) content.assign(row(position).begin(), row(position).end());
        content[b] ^= difference;
      }
    }
    return result;
  }

 private:
  const ReedSolomon& code_;
  std::size_t block_size_;
  Bytes rows_;
  Bytes parity_;
  ReedSolomon::Encoder encoder_;
  Bytes remainders_;  // of the codewords, as the parity lies; zero where nothing is wrong
};

class Repair {
 public:
  Repair(BlockDevice& data, BlockDevice& hash_device, const FecLayout& layout, const ReedSolomon& code,
         const BlockDevice& fec, const HashTreeVerifier& verifier, const Effort& effort)
      : data_(data),
        hash_device_(hash_device),
        layout_(layout),
        code_(code),
        fec_(fec),
        verifier_(verifier),
        effort_(effort),
        bad_(layout.covered_blocks()) {}

  Result<RepairReport> run() {
    TRY(VerifyReport remaining, find_bad(effort_.advance));
    while (!remaining.intact()) {
      const std::size_t before = repaired_.size();
      const unsigned threads = effort_.threads != 0 ? effort_.threads : base::available_processors();
      next_round_ = 0;
      base::run_on_threads(static_cast<unsigned>(std::min<std::uint64_t>(threads, layout_.rounds())),
                           [this] { work(); });
      if (failure_) return std::unexpected(*std::move(failure_));
      if (repaired_.size() == before) break;
      TRY(remaining, find_bad({}));  // a repaired tree block may have revealed others
    }
    TRY_DO(flush());
    return RepairReport{{repaired_.begin(), repaired_.end()}, std::move(remaining)};
  }

 private:
  Result<VerifyReport> find_bad(const base::Advance& advance) {
    bad_.assign(bad_.size(), false);
    return verifier_.verify_all({.threads = effort_.threads, .advance = advance}, [this](const BadBlock& bad) {
      bad_[bad.area == BadBlock::Area::data ? bad.block : layout_.geometry().data_blocks() + bad.block] = true;
    });
  }

  /// One thread's rounds. No other touches the blocks of a round, but for the tree blocks that judge.
  void work() {
    Round round(code_, layout_.block_size());
    while (!stop_) {
      const std::uint64_t number = next_round_.fetch_add(1);
      if (number >= layout_.rounds()) return;
      if (auto done = repair_round(number, round); !done) {
        stop_ = true;
        const std::lock_guard lock(mutex_);
        if (!failure_) failure_ = std::move(done).error();
      }
    }
  }

  /// `round`: room for one.
  Result<> repair_round(std::uint64_t number, Round& round) {
    std::vector<Suspect> suspects = suspects_of(number);
    if (!suspects.empty()) TRY_DO(read_round(number, round));
    for (std::size_t before = 0; !suspects.empty() && suspects.size() != before;) {
      before = suspects.size();
      std::vector<unsigned> erasures;
      erasures.reserve(suspects.size());
      for (const Suspect& suspect : suspects) erasures.push_back(suspect.symbol);
      if (erasures.size() <= code_.roots()) TRY_DO(take_what_is_good(round.decoded(erasures), round, suspects));
      // Believed after all, a block with few wrong bytes leaves parity for blocks of which nobody knows.
      if (!suspects.empty()) TRY_DO(take_what_is_good(round.decoded({}), round, suspects));
    }
    return base::ok();
  }

  std::vector<Suspect> suspects_of(std::uint64_t number) const {
    std::vector<Suspect> suspects;
    for (unsigned symbol = 0; symbol < layout_.data_symbols(); ++symbol) {
      const std::uint64_t covered = number + symbol * layout_.rounds();
      if (covered >= bad_.size()) break;
      if (bad_[covered]) suspects.push_back({place_of(covered), symbol});
    }
    return suspects;
  }

  Result<> read_round(std::uint64_t number, Round& round) const {
    for (std::uint64_t symbol = 0; symbol < layout_.data_symbols(); ++symbol) {
      TRY_DO(read_covered(data_, hash_device_, layout_, number + symbol * layout_.rounds(), round.row(symbol)));
    }
    TRY_DO(fec_.read(layout_.params().offset + number * layout_.round_parity_bytes(), round.parity()),
           "reading FEC parity");
    return base::ok();
  }

  /// Writes the suspects that came out right, puts them right in `round`, and strikes them from the list.
  Result<> take_what_is_good(const std::vector<Bytes>& decoded, Round& round, std::vector<Suspect>& suspects) {
    std::vector<Suspect> still;
    for (const Suspect& suspect : suspects) {
      const Bytes& content = decoded[suspect.symbol];
      TRY(const bool good, accepted(suspect.place, content));
      if (!good) {
        still.push_back(suspect);
        continue;
      }
      TRY_DO(write(suspect.place, content));
      std::ranges::copy(content, round.row(suspect.symbol).begin());
    }
    suspects = std::move(still);
    return base::ok();
  }

  /// Whether the tree demands `content` there; a tree block above that has turned bad demands nothing.
  Result<bool> accepted(const BadBlock& place, const Bytes& content) {
    if (content.empty()) return false;
    const std::shared_lock lock(mutex_);
    Result<bool> verdict = verifier_.accepts(place, content);
    if (!verdict && verdict.error().kind() == Kind::corrupt) return false;
    return verdict;
  }

  Result<> write(const BadBlock& place, const Bytes& content) {
    const std::lock_guard lock(mutex_);
    BlockDevice& device = place.area == BadBlock::Area::data ? data_ : hash_device_;
    TRY_DO(device.write(place.offset, content), "repairing " + describe(place, data_.name(), hash_device_.name()));
    repaired_.insert(place);
    return base::ok();
  }

  /// Of a data or a tree block, counted as FEC does.
  BadBlock place_of(std::uint64_t covered) const {
    const Geometry& geometry = layout_.geometry();
    const std::uint64_t block_size = layout_.block_size();
    if (covered < geometry.data_blocks()) return {BadBlock::Area::data, covered, covered * block_size, 0};
    const std::uint64_t block = covered - geometry.data_blocks();
    unsigned level = 0;
    while (block < geometry.levels()[level].first_block) ++level;
    return {BadBlock::Area::tree, block, layout_.tree_offset() + block * block_size, level};
  }

  Result<> flush() {
    const auto wrote_in = [this](BadBlock::Area area) {
      return std::ranges::any_of(repaired_, [area](const BadBlock& block) { return block.area == area; });
    };
    if (wrote_in(BadBlock::Area::data)) TRY_DO(data_.flush());
    if (wrote_in(BadBlock::Area::tree)) TRY_DO(hash_device_.flush());
    return base::ok();
  }

  BlockDevice& data_;
  BlockDevice& hash_device_;
  const FecLayout& layout_;
  const ReedSolomon& code_;
  const BlockDevice& fec_;
  const HashTreeVerifier& verifier_;
  const Effort& effort_;
  std::vector<bool> bad_;  // of each covered block: what the last verification found

  std::atomic<std::uint64_t> next_round_ = 0;
  std::atomic<bool> stop_ = false;
  std::shared_mutex mutex_;  // shared by those who read the tree to judge; also guards what follows
  std::set<BadBlock> repaired_;
  std::optional<base::Error> failure_;
};

}  // namespace

Result<RepairReport> repair(BlockDevice& data, BlockDevice& hash_device, const FecLayout& layout, const RootHash& root,
                            const BlockDevice& fec, RepairMode mode, const Effort& effort) {
  if (mode == RepairMode::dry_run) {
    Overlay data_after(data);
    Overlay hash_after(hash_device);
    return repair(data_after, hash_after, layout, root, fec, RepairMode::write, effort);
  }
  TRY_DO(check_covered(data, hash_device, layout));
  if (const std::uint64_t needed = layout.params().offset + layout.parity_bytes(); fec.size_bytes() < needed) {
    return fail(Kind::corrupt, fec.name() + " has " + std::to_string(fec.size_bytes()) +
                                   " bytes; the FEC parity needs " + std::to_string(needed));
  }
  TRY(const ReedSolomon code, ReedSolomon::create(layout.params().roots));
  TRY(const HashTreeVerifier verifier,
      HashTreeVerifier::create(data, hash_device, layout.tree_offset(), layout.geometry(), root));
  return Repair(data, hash_device, layout, code, fec, verifier, effort).run();
}

}  // namespace verity
