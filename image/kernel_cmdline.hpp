#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "base/digest.hpp"
#include "base/result.hpp"
#include "verity/root_hash.hpp"

namespace image {

/// The words of a kernel command line, parted by blanks; there is no quoting, for nothing of ours needs it. They live
/// as long as `cmdline` does.
std::vector<std::string_view> words_of(std::string_view cmdline);

/// The root hash that a kernel command line names as roothash=. Fails: not_found (no roothash=), invalid_input (two of
/// them, or no SHA-256).
base::Result<verity::RootHash> root_hash_in(std::string_view cmdline);

/// The key under which a kernel command line names the SHA-256 of the begin of the root's signature partition.
inline constexpr std::string_view signature_key = "keelson.sig=";
/// How much of the partition that is (bytes): all that a signature takes, and the zeros behind it.
inline constexpr std::size_t signature_block_size = 4096;

/// That digest; nothing where the command line names none. Fails: invalid_input (two of them, or no SHA-256).
base::Result<std::optional<base::Sha256Digest>> signature_digest_in(std::string_view cmdline);

}  // namespace image
