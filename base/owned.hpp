#pragma once

#include <memory>
#include <type_traits>

namespace base {

template <auto Release>
struct ReleasedBy {
  template <class T>
  void operator()(T* handle) const {
    Release(handle);
  }
};

/// A C library's handle that frees itself: Owned<EVP_MD_CTX, &EVP_MD_CTX_free>. No bigger than the pointer.
template <class T, auto Release>
using Owned = std::unique_ptr<T, ReleasedBy<Release>>;

}  // namespace base
