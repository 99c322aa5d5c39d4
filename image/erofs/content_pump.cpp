#include "image/erofs/content_pump.hpp"

#include <algorithm>

#include "image/erofs/format.hpp"

namespace image::erofs {

using base::Bytes;
using base::ByteView;
using base::MutableByteView;
using base::Result;

namespace {

constexpr std::size_t piece_size = std::size_t{256} << 10;
constexpr std::size_t pieces = 5;  // one is filled, one is handed out, three are between

}  // namespace

ContentPump::ContentPump(const ContentSource& source, const CompressedContents& compressed,
                         std::span<const Layout::Content> contents)
    : source_(source),
      compressed_(compressed),
      contents_(contents),
      piece_(piece_size),
      empty_(pieces - 2, Bytes(piece_size)) {
  handed_out_.resize(piece_size);
  reader_ = std::jthread([this] {
    Result<> end = read_all();
    const std::scoped_lock lock(mutex_);
    ended_ = std::move(end);
    changed_.notify_all();
  });
}

ContentPump::~ContentPump() {
  const std::scoped_lock lock(mutex_);
  stopped_ = true;
  changed_.notify_all();
}

Result<ByteView> ContentPump::next() {
  std::unique_lock lock(mutex_);
  if (!handed_out_.empty()) {
    handed_out_.resize(piece_size);
    empty_.push_back(std::move(handed_out_));
    handed_out_.clear();
    changed_.notify_all();
  }
  changed_.wait(lock, [this] { return !full_.empty() || ended_; });
  if (full_.empty()) {
    TRY_DO(*ended_);
    return ByteView();
  }
  handed_out_ = std::move(full_.front());
  full_.pop_front();
  return ByteView(handed_out_);
}

Result<> ContentPump::read_all() {
  for (const Layout::Content& content : contents_) {
    TRY_DO(content.compressed != nullptr ? read_compressed(*content.compressed) : read_content(content));
  }
  return filled_ > 0 ? hand_over() : base::ok();
}

Result<> ContentPump::read_content(const Layout::Content& content) {
  TRY(const auto reader, source_.open(content.id));
  std::uint64_t left = content.size;
  std::uint64_t blocks_left = content.blocks;
  while (left > 0) {
    TRY(const MutableByteView space, room());
    // A tail that goes behind inodes only has no blocks of its own: it passes through the room all the same.
    const std::size_t now = std::min<std::uint64_t>(space.size(), left);
    TRY_DO(reader->read(space.first(now)));
    left -= now;
    const std::size_t tail = now % block_size;  // only the last part has one
    if (tail > 0 && content.keep_tail) {
      const ByteView bytes = space.subspan(now - tail, tail);
      tails_[content.id].assign(bytes.begin(), bytes.end());
    }
    const std::uint64_t blocks = std::min<std::uint64_t>(base::divide_rounding_up(now, block_size), blocks_left);
    blocks_left -= blocks;
    const std::size_t kept = blocks * block_size;
    if (kept > now) std::ranges::fill(space.subspan(now, kept - now), std::byte{0});
    filled_ += kept;
  }
  return base::ok();
}

Result<> ContentPump::read_compressed(const CompressedContent& content) {
  for (CompressedContent::Piece rest : content.pieces) {
    while (rest.size > 0) {
      TRY(const MutableByteView space, room());
      const std::size_t now = std::min<std::uint64_t>(space.size(), rest.size);
      TRY_DO(compressed_.read(rest.offset, space.first(now)));
      filled_ += now;
      rest = {rest.offset + now, rest.size - now};
    }
  }
  return base::ok();
}

Result<MutableByteView> ContentPump::room() {
  if (filled_ == piece_.size()) TRY_DO(hand_over());
  return MutableByteView(piece_).subspan(filled_);
}

Result<> ContentPump::hand_over() {
  std::unique_lock lock(mutex_);
  piece_.resize(filled_);
  full_.push_back(std::move(piece_));
  changed_.notify_all();
  changed_.wait(lock, [this] { return !empty_.empty() || stopped_; });
  if (stopped_) return base::fail(base::Kind::cancelled, "nobody reads on");
  piece_ = std::move(empty_.back());
  empty_.pop_back();
  filled_ = 0;
  return base::ok();
}

}  // namespace image::erofs
