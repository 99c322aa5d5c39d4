#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
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

std::uint64_t tree_block_offset(const Geometry& geometry, std::uint64_t tree_offset, unsigned level,
                                std::uint64_t index) {
  return tree_offset + (geometry.levels()[level].first_block + index) * geometry.params().hash_block_size;
}

/// The levels above level 0, filled from left to right; one block of each is in memory.
class UpperLevels {
 public:
  UpperLevels(const Geometry& geometry, const SaltedSha256& sha256, base::BlockDevice& tree, std::uint64_t tree_offset)
      : geometry_(geometry),
        sha256_(sha256),
        tree_(tree),
        tree_offset_(tree_offset),
        filling_(geometry.levels().size()) {}

  /// The next digests for `level`, where 0 is never asked for. One level above the top is the root hash.
  Result<> add(std::size_t level, ByteView digests) {
    if (level == filling_.size()) {
      std::ranges::copy(digests, root_.bytes.begin());
      return base::ok();
    }
    Filling& filling = filling_[level];
    for (; !digests.empty(); digests = digests.subspan(digest_size)) {
      const ByteView digest = digests.first(digest_size);
      filling.block.insert(filling.block.end(), digest.begin(), digest.end());
      ++filling.digests;
      const bool last = filling.digests == geometry_.levels()[level - 1].block_count;
      if (last || filling.digests % geometry_.digests_per_block() == 0) TRY_DO(complete(level));
    }
    return base::ok();
  }

  const RootHash& root_hash() const { return root_; }

 private:
  struct Filling {
    Bytes block;
    std::uint64_t digests = 0;  // in this level so far
    std::uint64_t blocks = 0;   // written
  };

  Result<> complete(std::size_t level) {
    Filling& filling = filling_[level];
    filling.block.resize(geometry_.params().hash_block_size);  // zeros behind the last digest
    TRY_DO(tree_.write(tree_block_offset(geometry_, tree_offset_, static_cast<unsigned>(level), filling.blocks),
                       filling.block));
    ++filling.blocks;
    Bytes digest(digest_size);
    sha256_.digest(filling.block, filling.block.size(), digest);
    filling.block.clear();
    return add(level + 1, digest);
  }

  const Geometry& geometry_;
  const SaltedSha256& sha256_;
  base::BlockDevice& tree_;
  std::uint64_t tree_offset_;
  std::vector<Filling> filling_;
  RootHash root_;
};

/// What threads share: each brings the digests of one chunk, in any order; the upper levels take them in order.
class Assembly {
 public:
  Assembly(Geometry geometry, base::BlockDevice& tree, std::uint64_t tree_offset, const Effort& effort)
      : geometry_(std::move(geometry)),
        plan_(geometry_),
        sha256_(geometry_.params().salt),
        tree_(tree),
        tree_offset_(tree_offset),
        advance_(effort.advance),
        threads_(static_cast<unsigned>(std::min<std::uint64_t>(
            effort.threads == 0 ? base::available_processors() : effort.threads, plan_.chunk_count()))),
        upper_(geometry_, sha256_, tree, tree_offset) {}

  const Geometry& geometry() const { return geometry_; }
  const ChunkPlan& plan() const { return plan_; }
  unsigned threads() const { return threads_; }
  bool failed() const { return failed_; }

  /// Digests of a piece of data, for the level 0 blocks of its chunk.
  void hash(ByteView data, Bytes& leaves) const {
    const std::size_t block_size = geometry_.params().data_block_size;
    const std::size_t before = leaves.size();
    leaves.resize(before + data.size() / block_size * digest_size);
    sha256_.digest(data, block_size, MutableByteView(leaves).subspan(before));
    if (advance_) advance_(data.size());
  }

  /// The digests of all data blocks of `chunk`: writes its level 0 blocks and hands their digests up.
  Result<> complete(std::uint64_t chunk, Bytes leaves) {
    if (geometry_.levels().empty()) return hand_up(chunk, std::move(leaves));  // one block: its digest is the root hash
    const std::size_t block_size = geometry_.params().hash_block_size;
    leaves.resize(base::divide_rounding_up(leaves.size(), block_size) * block_size);
    TRY_DO(tree_.write(tree_block_offset(geometry_, tree_offset_, 0, chunk * plan_.leaves_per_chunk()), leaves));
    Bytes digests(leaves.size() / block_size * digest_size);
    sha256_.digest(leaves, block_size, digests);
    return hand_up(chunk, std::move(digests));
  }

  void fail_with(Error error) {
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = std::move(error);
    failed_ = true;
    moved_on_.notify_all();
  }

  /// When all threads are done.
  Result<RootHash> finish() {
    if (error_) return std::unexpected(*error_);
    return upper_.root_hash();
  }

 private:
  Result<> hand_up(std::uint64_t chunk, Bytes digests) {
    std::unique_lock lock(mutex_);
    waiting_.emplace(chunk, std::move(digests));
    for (auto next = waiting_.begin(); next != waiting_.end() && next->first == next_chunk_; next = waiting_.begin()) {
      TRY_DO(upper_.add(geometry_.levels().empty() ? 0 : 1, next->second));
      waiting_.erase(next);
      ++next_chunk_;
      moved_on_.notify_all();
    }
    // A thread that is far ahead waits for the slowest, so that the digests that are kept stay few.
    const std::uint64_t window = std::uint64_t{8} * threads_;
    moved_on_.wait(lock, [&] { return failed_ || chunk < next_chunk_ + window; });
    return base::ok();
  }

  const Geometry geometry_;
  const ChunkPlan plan_;
  const SaltedSha256 sha256_;
  base::BlockDevice& tree_;
  const std::uint64_t tree_offset_;
  const base::Advance advance_;
  const unsigned threads_;

  std::mutex mutex_;
  std::condition_variable moved_on_;
  UpperLevels upper_;
  std::map<std::uint64_t, Bytes> waiting_;  // by chunk
  std::uint64_t next_chunk_ = 0;
  std::optional<Error> error_;
  std::atomic<bool> failed_ = false;
};

}  // namespace

/// Takes in the stream, cuts it into chunks, and lets threads hash them.
class HashTreeBuilder::Pipeline {
 public:
  Pipeline(Geometry geometry, base::BlockDevice& tree, std::uint64_t tree_offset, const Effort& effort)
      : assembly_(std::move(geometry), tree, tree_offset, effort) {
    for (unsigned i = 0; i < assembly_.threads(); ++i) threads_.emplace_back([this] { work(); });
  }
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;
  ~Pipeline() {
    if (!threads_.empty()) (void)stop();  // left unfinished: nobody asks for the root hash
  }

  Result<> append(ByteView data) {
    if (data.size() > assembly_.geometry().data_bytes() - appended_) {
      return fail(Kind::invalid_input, "more data than the " + std::to_string(assembly_.geometry().data_bytes()) +
                                           " bytes that the hash tree was laid out for");
    }
    appended_ += data.size();
    while (!data.empty()) {
      if (filling_.empty()) filling_ = take_buffer();
      const ByteView part = data.first(std::min(data.size(), chunk_bytes() - filling_.size()));
      filling_.insert(filling_.end(), part.begin(), part.end());
      data = data.subspan(part.size());
      if (filling_.size() == chunk_bytes()) {
        give_chunk(std::move(filling_));
        filling_.clear();
        ++chunk_;
      }
    }
    return assembly_.failed() ? std::unexpected(stop().error()) : base::ok();
  }

  Result<RootHash> finish() {
    if (appended_ != assembly_.geometry().data_bytes()) {
      return fail(Kind::invalid_input, "only " + std::to_string(appended_) + " of the " +
                                           std::to_string(assembly_.geometry().data_bytes()) +
                                           " bytes that the hash tree was laid out for");
    }
    return stop();
  }

 private:
  struct Job {
    std::uint64_t chunk = 0;
    Bytes data;
  };

  /// Bytes in the chunk that is being filled now.
  std::size_t chunk_bytes() const {
    return assembly_.plan().block_count(chunk_) * assembly_.geometry().params().data_block_size;
  }

  Bytes take_buffer() {
    std::unique_lock lock(mutex_);
    const std::size_t most = assembly_.threads() + 1U;  // one for each thread, one to fill
    changed_.wait(lock, [&] { return !free_.empty() || buffers_ < most; });
    if (!free_.empty()) {
      Bytes buffer = std::move(free_.back());
      free_.pop_back();
      return buffer;
    }
    ++buffers_;
    Bytes buffer;
    buffer.reserve(chunk_bytes());
    return buffer;
  }

  void give_chunk(Bytes data) {
    const std::lock_guard lock(mutex_);
    jobs_.push_back({chunk_, std::move(data)});
    changed_.notify_all();
  }

  std::optional<Job> take_job() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !jobs_.empty() || no_more_; });
    if (jobs_.empty()) return std::nullopt;
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    return job;
  }

  void work() {
    while (auto job = take_job()) {
      if (!assembly_.failed()) {
        Bytes leaves;
        assembly_.hash(job->data, leaves);
        if (auto done = assembly_.complete(job->chunk, std::move(leaves)); !done) assembly_.fail_with(done.error());
      }
      job->data.clear();
      const std::lock_guard lock(mutex_);
      free_.push_back(std::move(job->data));
      changed_.notify_all();
    }
  }

  Result<RootHash> stop() {
    {
      const std::lock_guard lock(mutex_);
      no_more_ = true;
      changed_.notify_all();
    }
    threads_.clear();  // joins
    return assembly_.finish();
  }

  Assembly assembly_;
  std::uint64_t appended_ = 0;  // bytes
  std::uint64_t chunk_ = 0;     // that is being filled
  Bytes filling_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> jobs_;
  std::vector<Bytes> free_;
  std::size_t buffers_ = 0;
  bool no_more_ = false;
  std::vector<std::jthread> threads_;
};

HashTreeBuilder::HashTreeBuilder(std::unique_ptr<Pipeline> pipeline) : pipeline_(std::move(pipeline)) {}
HashTreeBuilder::HashTreeBuilder(HashTreeBuilder&&) noexcept = default;
HashTreeBuilder& HashTreeBuilder::operator=(HashTreeBuilder&&) noexcept = default;
HashTreeBuilder::~HashTreeBuilder() = default;

Result<HashTreeBuilder> HashTreeBuilder::create(Geometry geometry, base::BlockDevice& tree, std::uint64_t tree_offset,
                                                const Effort& effort) {
  TRY_DO(check_tree_fits(geometry, tree, tree_offset, Kind::no_space));
  return HashTreeBuilder(std::make_unique<Pipeline>(std::move(geometry), tree, tree_offset, effort));
}

Result<> HashTreeBuilder::append(ByteView data) {
  return pipeline_->append(data);
}

Result<RootHash> HashTreeBuilder::finish() {
  return pipeline_->finish();
}

Result<RootHash> build_hash_tree(const base::BlockDevice& data, const Geometry& geometry, base::BlockDevice& tree,
                                 std::uint64_t tree_offset, const Effort& effort) {
  TRY_DO(check_tree_fits(geometry, tree, tree_offset, Kind::no_space));
  TRY_DO(check_data_fits(geometry, data));
  Assembly assembly(geometry, tree, tree_offset, effort);
  const std::uint64_t block_size = geometry.params().data_block_size;
  std::atomic<std::uint64_t> next_chunk = 0;

  const auto hash_chunk = [&](std::uint64_t chunk, Bytes& piece) -> Result<> {
    Bytes leaves;
    std::uint64_t offset = assembly.plan().first_block(chunk) * block_size;
    const std::uint64_t end = offset + assembly.plan().block_count(chunk) * block_size;
    while (offset < end) {
      piece.resize(std::min<std::uint64_t>(read_piece_bytes, end - offset));
      TRY_DO(data.read(offset, piece));
      assembly.hash(piece, leaves);
      offset += piece.size();
    }
    return assembly.complete(chunk, std::move(leaves));
  };

  base::run_on_threads(assembly.threads(), [&] {
    Bytes piece;
    while (!assembly.failed()) {
      const std::uint64_t chunk = next_chunk.fetch_add(1);
      if (chunk >= assembly.plan().chunk_count()) return;
      if (auto done = hash_chunk(chunk, piece); !done) assembly.fail_with(done.error());
    }
  });
  return assembly.finish();
}

}  // namespace verity
