#include "image/ostree/glib.hpp"

#include <utility>

namespace image::ostree {

using base::Kind;

namespace {

Kind kind_of(const GError* error) {
  if (error == nullptr || error->domain != G_IO_ERROR) return Kind::io;
  switch (error->code) {
    case G_IO_ERROR_NOT_FOUND:
      return Kind::not_found;
    case G_IO_ERROR_PERMISSION_DENIED:
    case G_IO_ERROR_READ_ONLY:
      return Kind::permission;
    case G_IO_ERROR_NO_SPACE:
      return Kind::no_space;
    case G_IO_ERROR_CANCELLED:
      return Kind::cancelled;
    case G_IO_ERROR_INVALID_DATA:
    case G_IO_ERROR_PARTIAL_INPUT:
      return Kind::corrupt;
    case G_IO_ERROR_BUSY:
    case G_IO_ERROR_WOULD_BLOCK:
      return Kind::busy;
    case G_IO_ERROR_NOT_SUPPORTED:
      return Kind::unsupported;
    default:
      return Kind::io;
  }
}

}  // namespace

std::unexpected<base::Error> GlibError::fail(std::string doing) const {
  return std::unexpected(base::Error(kind_of(error_), error_ != nullptr ? error_->message : "no reason given")
                             .while_doing(std::move(doing)));
}

base::ByteView data_of(GVariant* variant) {
  return {static_cast<const std::byte*>(g_variant_get_data(variant)), g_variant_get_size(variant)};
}

Variant variant_of(const char* type, base::ByteView bytes) {
  GBytes* const copy = g_bytes_new(bytes.data(), bytes.size());
  GVariant* const variant = g_variant_ref_sink(g_variant_new_from_bytes(G_VARIANT_TYPE(type), copy, FALSE));
  g_bytes_unref(copy);
  return Variant(variant);
}

base::Result<std::map<std::string, base::Bytes>> xattrs_of(GVariant* variant) {
  std::map<std::string, base::Bytes> xattrs;
  for (gsize i = 0; i < g_variant_n_children(variant); ++i) {
    const Variant pair(g_variant_get_child_value(variant, i));
    const Variant name_bytes(g_variant_get_child_value(pair.get(), 0));
    const Variant value_bytes(g_variant_get_child_value(pair.get(), 1));
    const base::ByteView name = data_of(name_bytes.get());
    const base::ByteView value = data_of(value_bytes.get());
    if (name.size() < 2 || name.back() != std::byte{0}) {
      return base::fail(Kind::corrupt, "an extended attribute has no name");
    }
    xattrs.emplace(std::string(base::text_of(name.first(name.size() - 1))), base::Bytes(value.begin(), value.end()));
  }
  return xattrs;
}

}  // namespace image::ostree
