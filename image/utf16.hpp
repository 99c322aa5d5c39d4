#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace image {

/// Fails: invalid_input for what is no UTF-8 (overlong forms, surrogates, beyond U+10FFFF).
base::Result<std::u16string> to_utf16(std::string_view utf8);
/// Reads what others wrote: a surrogate without its partner becomes U+FFFD.
std::string to_utf8(std::u16string_view utf16);

}  // namespace image
