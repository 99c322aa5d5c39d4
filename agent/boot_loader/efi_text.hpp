#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace agent::boot_loader {

// Text as EFI variables hold it: UTF-16, little-endian, a NUL behind each string.

/// Fails: invalid_input (no UTF-8, a NUL in it).
base::Result<base::Bytes> encode_string(std::string_view utf8);

/// The text before the first NUL, or all of it, for some writers leave the NUL out. Fails: corrupt (half a character).
base::Result<std::string> decode_string(base::ByteView bytes);

/// One string behind the other; empty ones are none. Fails: as decode_string.
base::Result<std::vector<std::string>> decode_strings(base::ByteView bytes);

}  // namespace agent::boot_loader
