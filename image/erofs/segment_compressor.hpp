#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "image/erofs/compressed_content.hpp"

namespace image::erofs {

/// Compresses one segment of a file after another with LZ4HC. The bytes depend on the input, the size of clusters, and
/// the version of liblz4: of one input, another version may find other matches.
class SegmentCompressor {
 public:
  /// Fails: no_space (memory).
  static base::Result<SegmentCompressor> create(std::uint32_t cluster_size);

  /// Cuts `input` into clusters as full as can be. What gets no smaller stays plain, and the longer that lasts, the
  /// less often compressing is tried again.
  std::vector<Stretch> compress(base::ByteView input);
  /// The whole blocks of the last segment.
  base::ByteView output() const { return output_; }

 private:
  struct Free {
    void operator()(void* state) const;
  };
  using State = std::unique_ptr<void, Free>;

  SegmentCompressor(State state, std::uint32_t cluster_size) : state_(std::move(state)), cluster_(cluster_size) {}
  Stretch compress_cluster(base::ByteView input);
  Stretch copy(base::ByteView input);

  State state_;
  base::Bytes cluster_;  // what LZ4 writes into
  base::Bytes output_;
};

}  // namespace image::erofs
