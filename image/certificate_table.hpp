#pragma once

#include <cstddef>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace image {

inline constexpr std::size_t certificate_table_alignment = 8;

/// The PKCS#7 messages of a certificate table, each with up to 7 bytes of zero fill behind it; views. One at least.
/// Fails: corrupt (an entry that leaves the table, fill that is not zero), unsupported (another revision or type, more
///        than 16 entries, one of more than 64 KiB).
base::Result<std::vector<base::ByteView>> read_certificate_table(base::ByteView table);

/// A table of this one message. dwLength is the exact length, as sbsign writes it; the fill behind it is zero.
base::Bytes make_certificate_table(base::ByteView pkcs7);

}  // namespace image
