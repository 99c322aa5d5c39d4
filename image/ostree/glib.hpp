#pragma once

#include <gio/gio.h>

#include <map>
#include <string>

#include "base/bytes.hpp"
#include "base/owned.hpp"
#include "base/result.hpp"

// GLib's handles and errors. Only the .cpp files of this folder include it.
namespace image::ostree {

template <class T>
using Object = base::Owned<T, &g_object_unref>;
using Variant = base::Owned<GVariant, &g_variant_unref>;
using OwnedString = base::Owned<char, &g_free>;

/// A GError on its way into a Result: `GlibError error; if (!call(..., &error)) return error.fail("doing ...");`
class GlibError {
 public:
  GlibError() = default;
  GlibError(const GlibError&) = delete;
  GlibError& operator=(const GlibError&) = delete;
  ~GlibError() { g_clear_error(&error_); }

  GError** operator&() { return &error_; }  // NOLINT(google-runtime-operator): what a C call takes
  /// What the call said, with what we were doing as the outer frame.
  std::unexpected<base::Error> fail(std::string doing) const;

 private:
  GError* error_ = nullptr;
};

/// A view of a variant's serialized bytes; the variant keeps them alive.
base::ByteView data_of(GVariant* variant);
/// A variant over a copy of `bytes`. Its type is not checked against them: GLib reads what does not fit as defaults.
Variant variant_of(const char* type, base::ByteView bytes);
/// Extended attributes as OSTree has them, a(ayay). Fails: corrupt (a name without its NUL).
base::Result<std::map<std::string, base::Bytes>> xattrs_of(GVariant* variant);

}  // namespace image::ostree
