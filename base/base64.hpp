#pragma once

#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace base {

/// Base64 with the standard alphabet and padding, on one line (RFC 4648, section 4).
std::string to_base64(ByteView bytes);
/// The one text that to_base64 would have written: no white space, padding in full, unused bits zero.
/// Fails: invalid_input, with the position.
Result<Bytes> from_base64(std::string_view text);

}  // namespace base
