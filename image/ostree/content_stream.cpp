#include "image/ostree/content_stream.hpp"

#include <algorithm>
#include <utility>

namespace {

/// What a stream reads from. Lives in the GObject, whose memory GLib owns.
struct Source {
  base::ByteView header;
  image::ContentReader* content = nullptr;
  std::uint64_t content_left = 0;
  std::optional<base::Error> failure;
};

struct KeelsonContentStream {
  GInputStream parent;
  Source* source;
};
struct KeelsonContentStreamClass {
  GInputStreamClass parent;
};

// NOLINTBEGIN: what the macro makes is C.
G_DEFINE_TYPE(KeelsonContentStream, keelson_content_stream, G_TYPE_INPUT_STREAM)
// NOLINTEND

/// GObject's own idea of a cast: an instance begins with its parent.
KeelsonContentStream& ours(GObject* object) {
  return *reinterpret_cast<KeelsonContentStream*>(object);
}

Source& source_of(GInputStream* stream) {
  return *ours(G_OBJECT(stream)).source;
}

gssize read_some(GInputStream* stream, void* buffer, gsize count, GCancellable* /*cancellable*/, GError** error) {
  Source& source = source_of(stream);
  const base::MutableByteView into(static_cast<std::byte*>(buffer), count);
  if (!source.header.empty()) {
    const std::size_t now = std::min<std::size_t>(count, source.header.size());
    std::ranges::copy(source.header.first(now), into.begin());
    source.header = source.header.subspan(now);
    return static_cast<gssize>(now);
  }
  const std::size_t now = std::min<std::uint64_t>(count, source.content_left);
  if (now == 0) return 0;
  if (auto read = source.content->read(into.first(now)); !read.has_value()) {
    source.failure = std::move(read).error();
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "the source of the content failed");
    return -1;
  }
  source.content_left -= now;
  return static_cast<gssize>(now);
}

void finalize(GObject* object) {
  delete ours(object).source;
  G_OBJECT_CLASS(keelson_content_stream_parent_class)->finalize(object);
}

void keelson_content_stream_class_init(KeelsonContentStreamClass* type) {
  G_INPUT_STREAM_CLASS(type)->read_fn = &read_some;
  G_OBJECT_CLASS(type)->finalize = &finalize;
}

void keelson_content_stream_init(KeelsonContentStream* self) {
  self->source = new Source;
}

}  // namespace

namespace image::ostree {

ContentStream::ContentStream(base::ByteView header, ContentReader* content, std::uint64_t content_size)
    : stream_(G_INPUT_STREAM(g_object_new(keelson_content_stream_get_type(), nullptr))) {
  Source& source = source_of(stream_.get());
  source.header = header;
  source.content = content;
  source.content_left = content_size;
}

std::optional<base::Error> ContentStream::failure() {
  return std::move(source_of(stream_.get()).failure);
}

}  // namespace image::ostree
