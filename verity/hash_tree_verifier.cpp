#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/processors.hpp"
#include "verity/chunk_plan.hpp"
#include "verity/fit.hpp"
#include "verity/hash_tree.hpp"
#include "verity/salted_sha256.hpp"

namespace verity {

using base::Bytes;
using base::ByteView;
using base::Error;
using base::fail;
using base::Kind;
using base::MutableByteView;
using base::Result;

namespace {

/// Where level `level`'s block `index` lies, as a BadBlock that can be reported.
BadBlock tree_block(const HashTreeVerifier& verifier, unsigned level, std::uint64_t index) {
  const Geometry& geometry = verifier.geometry();
  const std::uint64_t block = geometry.levels()[level].first_block + index;
  return {BadBlock::Area::tree, block, verifier.tree_offset() + block * geometry.params().hash_block_size, level};
}

BadBlock data_block(const HashTreeVerifier& verifier, std::uint64_t block) {
  return {BadBlock::Area::data, block, block * verifier.geometry().params().data_block_size, 0};
}

/// What the tree demands of a block, unless the tree itself is bad on the way down to it.
struct Demand {
  ByteView digest;
  std::optional<BadBlock> hidden_by;
};

/// One thread's way from the root hash down: of each level the block that it looked at last, checked.
class CheckedPath {
 public:
  CheckedPath(const HashTreeVerifier& verifier, const SaltedSha256& sha256)
      : verifier_(verifier), sha256_(sha256), levels_(verifier.geometry().levels().size()) {}

  /// The demand that `level` makes of entry `index` of what lies below it. One level above the top stands the root
  /// hash. The view holds until the next call.
  Result<Demand> demand(std::size_t level, std::uint64_t index) {
    if (level == levels_.size()) return Demand{verifier_.root_hash().bytes, {}};
    const std::uint64_t per_block = verifier_.geometry().digests_per_block();
    TRY(const std::optional<BadBlock> bad, look_at(level, index / per_block));
    if (bad) return Demand{{}, bad};
    return Demand{ByteView(levels_[level].content).subspan(index % per_block * digest_size, digest_size), {}};
  }

 private:
  struct Seen {
    std::optional<std::uint64_t> index;
    Bytes content;
  };

  Result<std::optional<BadBlock>> look_at(std::size_t level, std::uint64_t index) {
    Seen& seen = levels_[level];
    if (seen.index == index) return std::nullopt;
    seen.index.reset();
    TRY(const Demand demanded, demand(level + 1, index));
    if (demanded.hidden_by) return demanded.hidden_by;

    const BadBlock place = tree_block(verifier_, static_cast<unsigned>(level), index);
    seen.content.resize(verifier_.geometry().params().hash_block_size);
    TRY_DO(verifier_.tree_device().read(place.offset, seen.content));
    RootHash digest;
    sha256_.digest(seen.content, seen.content.size(), digest.bytes);
    if (!std::ranges::equal(digest.bytes, demanded.digest)) return place;
    seen.index = index;
    return std::nullopt;
  }

  const HashTreeVerifier& verifier_;
  const SaltedSha256& sha256_;
  std::vector<Seen> levels_;
};

/// The findings of all threads, each place once.
class Findings {
 public:
  explicit Findings(BadBlockSink found = {}) : found_(std::move(found)) {}

  void add(const BadBlock& bad) {
    const std::lock_guard lock(mutex_);
    // Only blocks above level 0 are met by more than one thread; they are few enough to remember them all.
    if (bad.area == BadBlock::Area::tree && bad.level > 0 && !upper_.insert(bad).second) return;
    ++count_;
    if (found_) found_(bad);
    lowest_.insert(bad);
    if (lowest_.size() > VerifyReport::max_listed) lowest_.erase(std::prev(lowest_.end()));
  }
  void add_counts(std::uint64_t checked, std::uint64_t unknown) {
    checked_ += checked;
    unknown_ += unknown;
  }
  void fail_with(Error error) {
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = std::move(error);
    failed_ = true;
  }
  bool failed() const { return failed_; }

  Result<VerifyReport> report() {
    if (error_) return std::unexpected(*std::move(error_));
    return VerifyReport{{lowest_.begin(), lowest_.end()}, count_, checked_, unknown_};
  }

 private:
  const BadBlockSink found_;
  std::mutex mutex_;
  std::set<BadBlock> lowest_;  // ordered: tree before data, ascending
  std::set<BadBlock> upper_;
  std::uint64_t count_ = 0;
  std::atomic<std::uint64_t> checked_ = 0;
  std::atomic<std::uint64_t> unknown_ = 0;
  std::optional<Error> error_;
  std::atomic<bool> failed_ = false;
};

/// One thread's work: a path, and buffers that are used again.
class RangeChecker {
 public:
  RangeChecker(const HashTreeVerifier& verifier, const SaltedSha256& sha256)
      : verifier_(verifier), sha256_(sha256), path_(verifier, sha256) {}

  Result<> check(std::uint64_t first, std::uint64_t count, const base::Advance& advance, Findings& findings) {
    const std::uint64_t block_size = verifier_.geometry().params().data_block_size;
    const std::uint64_t blocks_per_piece = read_piece_bytes / block_size;
    while (count > 0) {
      const std::uint64_t now = std::min(blocks_per_piece, count);
      piece_.resize(now * block_size);
      TRY_DO(verifier_.data_device().read(first * block_size, piece_));
      TRY_DO(compare(first, piece_, findings));
      if (advance) advance(piece_.size());
      first += now;
      count -= now;
    }
    return base::ok();
  }

  /// Blocks from `first` on, already read.
  Result<> compare(std::uint64_t first, ByteView data, Findings& findings) {
    const std::uint64_t block_size = verifier_.geometry().params().data_block_size;
    const std::uint64_t count = data.size() / block_size;
    digests_.resize(count * digest_size);
    sha256_.digest(data, block_size, digests_);
    std::uint64_t unknown = 0;
    for (std::uint64_t i = 0; i < count; ++i) {
      TRY(const Demand demanded, path_.demand(0, first + i));
      if (demanded.hidden_by) {
        // Everything below the same level 0 block is unknown; go on behind it.
        const std::uint64_t per_block = verifier_.geometry().digests_per_block();
        const std::uint64_t skipped = std::min(per_block - (first + i) % per_block, count - i);
        if (last_hiding_ != demanded.hidden_by) findings.add(*demanded.hidden_by);
        last_hiding_ = demanded.hidden_by;
        unknown += skipped;
        i += skipped - 1;
        continue;
      }
      if (!std::ranges::equal(ByteView(digests_).subspan(i * digest_size, digest_size), demanded.digest)) {
        findings.add(data_block(verifier_, first + i));
      }
    }
    findings.add_counts(count - unknown, unknown);
    return base::ok();
  }

 private:
  const HashTreeVerifier& verifier_;
  const SaltedSha256& sha256_;
  CheckedPath path_;
  Bytes piece_;
  Bytes digests_;
  std::optional<BadBlock> last_hiding_;  // a level 0 block is met by one thread, but by more than one of its pieces
};

Result<> check_blocks_exist(const Geometry& geometry, std::uint64_t first, std::uint64_t count) {
  if (first <= geometry.data_blocks() && count <= geometry.data_blocks() - first) return base::ok();
  return fail(Kind::invalid_input, "data blocks " + std::to_string(first) + " and the " + std::to_string(count) +
                                       " from there: the tree covers " + std::to_string(geometry.data_blocks()));
}

}  // namespace

HashTreeVerifier::HashTreeVerifier(const base::BlockDevice& data, const base::BlockDevice& tree,
                                   std::uint64_t tree_offset, Geometry geometry, const RootHash& root)
    : data_(&data), tree_(&tree), tree_offset_(tree_offset), geometry_(std::move(geometry)), root_(root) {}

Result<HashTreeVerifier> HashTreeVerifier::create(const base::BlockDevice& data, const base::BlockDevice& tree,
                                                  std::uint64_t tree_offset, Geometry geometry, const RootHash& root) {
  TRY_DO(check_data_fits(geometry, data));
  TRY_DO(check_tree_fits(geometry, tree, tree_offset, Kind::corrupt));
  return HashTreeVerifier(data, tree, tree_offset, std::move(geometry), root);
}

Result<VerifyReport> HashTreeVerifier::verify_all(const Effort& effort, const BadBlockSink& found) const {
  return verify_range(0, geometry_.data_blocks(), effort, found);
}

Result<VerifyReport> HashTreeVerifier::verify_range(std::uint64_t first, std::uint64_t count, const Effort& effort,
                                                    const BadBlockSink& found) const {
  TRY_DO(check_blocks_exist(geometry_, first, count));
  if (count == 0) return VerifyReport();
  const ChunkPlan plan(geometry_);
  const SaltedSha256 sha256(geometry_.params().salt);
  Findings findings(found);

  const std::uint64_t last_chunk = (first + count - 1) / plan.blocks_per_chunk();
  std::atomic<std::uint64_t> next_chunk = first / plan.blocks_per_chunk();
  const std::uint64_t chunks = last_chunk - next_chunk + 1;
  const unsigned wanted = effort.threads == 0 ? base::available_processors() : effort.threads;
  base::run_on_threads(static_cast<unsigned>(std::min<std::uint64_t>(wanted, chunks)), [&] {
    RangeChecker checker(*this, sha256);
    while (!findings.failed()) {
      const std::uint64_t chunk = next_chunk.fetch_add(1);
      if (chunk > last_chunk) return;
      const std::uint64_t begin = std::max(first, plan.first_block(chunk));
      const std::uint64_t end = std::min(first + count, plan.first_block(chunk) + plan.block_count(chunk));
      if (auto done = checker.check(begin, end - begin, effort.advance, findings); !done)
        findings.fail_with(done.error());
    }
  });
  return findings.report();
}

Result<> HashTreeVerifier::read(std::uint64_t first, MutableByteView into) const {
  const std::uint64_t block_size = geometry_.params().data_block_size;
  if (into.size() % block_size != 0) {
    return fail(Kind::invalid_input, std::to_string(into.size()) + " bytes are no whole data blocks");
  }
  TRY_DO(check_blocks_exist(geometry_, first, into.size() / block_size));
  TRY_DO(data_->read(first * block_size, into));
  const SaltedSha256 sha256(geometry_.params().salt);
  Findings findings;
  TRY_DO(RangeChecker(*this, sha256).compare(first, into, findings));
  TRY(const VerifyReport report, findings.report());
  if (!report.intact())
    return fail(Kind::corrupt, describe(report.bad_blocks.front(), data_->name(), tree_->name()) + " is corrupt");
  return base::ok();
}

Result<bool> HashTreeVerifier::accepts(const BadBlock& place, ByteView content) const {
  const bool is_data = place.area == BadBlock::Area::data;
  const std::size_t level = is_data ? 0 : place.level + 1U;
  if (level > geometry_.levels().size()) return fail(Kind::invalid_input, "a tree block above the top level");
  const std::uint64_t index = is_data ? place.block : place.block - geometry_.levels()[place.level].first_block;
  const SaltedSha256 sha256(geometry_.params().salt);
  CheckedPath path(*this, sha256);
  TRY(const Demand demanded, path.demand(level, index));
  if (demanded.hidden_by)
    return fail(Kind::corrupt, describe(*demanded.hidden_by, data_->name(), tree_->name()) + " is corrupt");
  RootHash digest;
  sha256.digest(content, content.size(), digest.bytes);
  return std::ranges::equal(digest.bytes, demanded.digest);
}

std::string describe(const BadBlock& bad, std::string_view data_name, std::string_view tree_name) {
  const bool is_data = bad.area == BadBlock::Area::data;
  std::string text = (is_data ? "data block " : "hash block ") + std::to_string(bad.block);
  if (!is_data) text += " (level " + std::to_string(bad.level) + ")";
  return text + " at offset " + std::to_string(bad.offset) + " of " + std::string(is_data ? data_name : tree_name);
}

}  // namespace verity
