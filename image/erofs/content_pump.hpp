#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <utility>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "image/erofs/compressed_content.hpp"
#include "image/erofs/layout.hpp"
#include "image/file_tree.hpp"

namespace image::erofs {

/// Reads the contents of files ahead of who writes them, on a thread of its own: opening, reading and checking one file
/// takes as long as writing another. Contents come in their order, as whole blocks, in pieces of up to 1 MiB that pay
/// no heed to where one content ends.
///
/// Memory: five pieces, and the tails that are kept.
class ContentPump {
 public:
  /// compressed  where the contents that the layout has compressed lie
  /// All must outlive the pump.
  ContentPump(const ContentSource& source, const CompressedContents& compressed,
              std::span<const Layout::Content> contents);
  ContentPump(const ContentPump&) = delete;
  ContentPump& operator=(const ContentPump&) = delete;
  ~ContentPump();

  /// The next piece, good until the next call; empty after the last. Fails: as the source does, when all before it has
  /// been handed out.
  base::Result<base::ByteView> next();

  /// After the last piece: what goes behind inodes, by content.
  const std::map<ContentId, base::Bytes>& tails() const { return tails_; }

 private:
  base::Result<> read_all();
  base::Result<> read_content(const Layout::Content& content);
  base::Result<> read_compressed(const CompressedContent& content);
  /// Room for a block at least, at the end of the piece in hand.
  base::Result<base::MutableByteView> room();
  base::Result<> hand_over();

  const ContentSource& source_;
  const CompressedContents& compressed_;
  std::span<const Layout::Content> contents_;
  std::map<ContentId, base::Bytes> tails_;

  // The reader's own.
  base::Bytes piece_;
  std::size_t filled_ = 0;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<base::Bytes> full_;
  std::vector<base::Bytes> empty_;
  std::optional<base::Result<>> ended_;  // how the reader ended
  bool stopped_ = false;                 // nobody wants the rest

  base::Bytes handed_out_;
  std::jthread reader_;
};

}  // namespace image::erofs
