#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "image/file_tree.hpp"
#include "image/ostree/glib.hpp"

namespace image::ostree {

/// Bytes of ours, and then those of a ContentReader, as the stream that GLib reads from. Views: both must outlive it.
class ContentStream {
 public:
  ContentStream(base::ByteView header, ContentReader* content, std::uint64_t content_size);

  GInputStream* get() const { return stream_.get(); }
  /// What the reader said, if it failed: GLib's error is only about its having failed.
  std::optional<base::Error> failure();

 private:
  Object<GInputStream> stream_;
};

}  // namespace image::ostree
