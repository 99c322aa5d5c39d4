#include "image/erofs/compressed_content.hpp"

#include <algorithm>
#include <bit>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <utility>

#include "base/processors.hpp"
#include "image/erofs/format.hpp"
#include "image/erofs/segment_compressor.hpp"

namespace image::erofs {

using base::Bytes;
using base::ByteView;
using base::divide_rounding_up;
using base::fail;
using base::Kind;
using base::MutableByteView;
using base::Result;

namespace {

constexpr std::uint64_t min_segment = std::uint64_t{1} << 20;
constexpr std::uint64_t clusters_in_a_segment = 4;
constexpr std::uint64_t max_memory = std::uint64_t{128} << 20;

/// One content on its way: what has become of each segment.
struct Job {
  ContentId id = 0;
  std::uint64_t size = 0;
  struct Segment {
    CompressedContent::Piece piece{};
    std::vector<Stretch> stretches;
  };
  std::vector<Segment> segments;
};

/// The contents worth trying, each once, in the order of the tree.
std::vector<Job> jobs_for(const FileTree& tree, std::uint64_t segment_size) {
  std::vector<Job> jobs;
  std::set<ContentId> seen;
  for (const Inode& inode : tree.inodes) {
    if (inode.type != FileType::regular || inode.size <= block_size || !seen.insert(inode.content).second) continue;
    Job& job = jobs.emplace_back();
    job.id = inode.content;
    job.size = inode.size;
    job.segments.resize(divide_rounding_up(inode.size, segment_size));
  }
  return jobs;
}

/// Hands out segments in order and takes in what has become of them. Contents are read under a lock, each from its
/// beginning to its end: a thread waits for another's read, but never for its compression.
class Workshop {
 public:
  Workshop(const ContentSource& contents, std::vector<Job>& jobs, std::uint64_t segment_size,
           std::uint32_t cluster_size, base::File& spool, const base::Advance& advance)
      : contents_(contents),
        jobs_(jobs),
        segment_size_(segment_size),
        cluster_size_(cluster_size),
        spool_(spool),
        advance_(advance) {}

  /// What each thread does until there is no more.
  void work() {
    auto compressor = SegmentCompressor::create(cluster_size_);
    Bytes input(segment_size_);
    while (compressor) {
      auto task = take(input);
      if (!task) return stop(std::move(task).error());
      if (!*task) return;
      const ByteView segment = ByteView(input).first((*task)->size);
      if (auto done = compress(*compressor, segment, *(*task)->segment); !done) return stop(std::move(done).error());
      if (advance_) advance_(segment.size());
    }
    stop(std::move(compressor).error());
  }

  Result<> outcome() {
    if (error_) return std::unexpected(std::move(*error_));
    return base::ok();
  }

 private:
  struct Task {
    Job::Segment* segment;
    std::size_t size;
  };

  /// Reads the next segment into `input`; nothing when there is none, or when something went wrong elsewhere.
  Result<std::optional<Task>> take(Bytes& input) {
    const std::lock_guard lock(mutex_);
    if (error_ || job_ == jobs_.size()) return std::nullopt;
    Job& job = jobs_[job_];
    if (!reader_) {
      TRY(reader_, contents_.open(job.id));
    }
    const std::uint64_t at = segment_ * segment_size_;
    const std::size_t size = std::min(segment_size_, job.size - at);
    TRY_DO(reader_->read(MutableByteView(input).first(size)));
    Task task{&job.segments[segment_], size};
    if (++segment_ == job.segments.size()) {
      ++job_;
      segment_ = 0;
      reader_.reset();
    }
    return task;
  }

  Result<> compress(SegmentCompressor& compressor, ByteView input, Job::Segment& segment) {
    segment.stretches = compressor.compress(input);
    const ByteView output = compressor.output();
    {
      const std::lock_guard lock(mutex_);
      segment.piece = {spooled_, output.size()};
      spooled_ += output.size();
    }
    return spool_.write_all(segment.piece.offset, output);
  }

  void stop(base::Error error) {
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = std::move(error);
  }

  const ContentSource& contents_;
  std::vector<Job>& jobs_;
  const std::uint64_t segment_size_;
  const std::uint32_t cluster_size_;
  base::File& spool_;
  const base::Advance& advance_;

  std::mutex mutex_;  // guards all below
  std::size_t job_ = 0;
  std::size_t segment_ = 0;
  std::unique_ptr<ContentReader> reader_;  // of job_, once it is begun
  std::uint64_t spooled_ = 0;
  std::optional<base::Error> error_;
};

CompressedContent put_together(const Job& job) {
  CompressedContent content{.size = job.size};
  for (const Job::Segment& segment : job.segments) {
    content.pieces.push_back(segment.piece);
    content.blocks += segment.piece.size / block_size;
    content.stretches.insert(content.stretches.end(), segment.stretches.begin(), segment.stretches.end());
  }
  return content;
}

std::uint64_t index_entries(const CompressedContent& content) {
  return divide_rounding_up(content.size, block_size);
}

/// Writes the entries of one cluster, from that in which it begins to that in which the next one does.
void put_cluster(std::span<std::byte> index, std::uint64_t from, std::uint64_t to, std::uint64_t block,
                 const Stretch& cluster) {
  const std::uint64_t head = from / block_size;
  std::byte* const entry = &index[head * full_index_size];
  base::store_le(entry, static_cast<std::uint16_t>(cluster.compressed ? IndexType::compressed : IndexType::plain));
  base::store_le(entry + 2, static_cast<std::uint16_t>(from % block_size));
  base::store_le(entry + 4, static_cast<std::uint32_t>(block));
  for (std::uint64_t i = head + 1; i < to; ++i) {
    std::byte* const inside = &index[i * full_index_size];
    const bool counts = cluster.compressed && i == head + 1;
    base::store_le(inside, static_cast<std::uint16_t>(IndexType::inside));
    base::store_le(inside + 4, static_cast<std::uint16_t>(counts ? cluster_blocks_flag | cluster.blocks : i - head));
    base::store_le(inside + 6, static_cast<std::uint16_t>(to - i));
  }
}

/// Where the last cluster ends in another entry's 4096 bytes than those in which it begins, that entry says where: a
/// plain cluster without bytes. Without it the kernel takes the cluster to be longer than the file, and a plain one for
/// corrupt.
void put_end(std::span<std::byte> index, std::uint64_t from, std::uint64_t end) {
  if (end % block_size == 0 || from / block_size == end / block_size) return;
  base::store_le(&index[end / block_size * full_index_size + 2], static_cast<std::uint16_t>(end % block_size));
}

}  // namespace

std::size_t index_size(const CompressedContent& content) {
  return map_header_size + full_index_padding + index_entries(content) * full_index_size;
}

Bytes index_of(const CompressedContent& content, std::uint64_t first_block) {
  Bytes bytes(index_size(content));
  base::store_le(&bytes[4], advise_big_clusters);  // the algorithm is number 0: LZ4; entries stand for 2^(12 + 0) bytes
  const std::span<std::byte> index = std::span(bytes).subspan(map_header_size + full_index_padding);
  std::uint64_t at = 0;
  std::uint64_t block = first_block;
  for (const Stretch& stretch : content.stretches) {
    const std::uint64_t end = at + stretch.size;
    while (at < end) {
      const std::uint64_t next = stretch.compressed ? end : std::min<std::uint64_t>(at + block_size, end);
      put_cluster(index, at, next / block_size, block, stretch);
      if (next == content.size) put_end(index, at, next);
      at = next;
      block += stretch.compressed ? stretch.blocks : 1;
    }
  }
  return bytes;
}

Result<CompressedContents> CompressedContents::make(const FileTree& tree, const ContentSource& contents,
                                                    const CompressionOptions& options, const base::Advance& advance) {
  if (!std::has_single_bit(options.cluster_size) || options.cluster_size < min_cluster_size ||
      options.cluster_size > max_cluster_size) {
    return fail(Kind::invalid_input, "clusters of " + std::to_string(options.cluster_size) +
                                         " bytes; a power of two from 4096 to 1048576 is allowed");
  }
  CompressedContents made;
  TRY(base::File spool, base::File::nameless(options.spool_directory));
  const std::uint64_t segment_size = std::max(min_segment, clusters_in_a_segment * options.cluster_size);
  std::vector<Job> jobs = jobs_for(tree, segment_size);
  Workshop workshop(contents, jobs, segment_size, options.cluster_size, spool, advance);
  const unsigned threads = options.threads == 0 ? base::available_processors() : options.threads;
  base::run_on_threads(std::min(threads, static_cast<unsigned>(max_memory / (2 * segment_size))),
                       [&workshop] { workshop.work(); });
  TRY_DO(workshop.outcome());
  for (const Job& job : jobs) {
    CompressedContent content = put_together(job);
    if (content.blocks * block_size + index_size(content) < job.size) {
      made.compressed_.emplace(job.id, std::move(content));
    }
  }
  made.spool_.push_back(std::move(spool));
  return made;
}

const CompressedContent* CompressedContents::find(ContentId content) const {
  const auto found = compressed_.find(content);
  return found == compressed_.end() ? nullptr : &found->second;
}

Result<> CompressedContents::read(std::uint64_t offset, MutableByteView into) const {
  return spool_.at(0).read_exactly(offset, into);
}

}  // namespace image::erofs
