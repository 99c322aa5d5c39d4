#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/advance.hpp"
#include "base/digest.hpp"
#include "base/result.hpp"

namespace builder::packages {

/// A file whose bytes are known before they come.
struct Download {
  std::string name;               // for people
  std::vector<std::string> urls;  // http, https or file; tried in their order
  std::uint64_t size_bytes = 0;
  base::Sha256Digest sha256{};
  std::string path;  // where it goes
};

/// Fetches all of them, several at a time (libcurl; proxies as the environment says). A file gets its name only when
/// its size and digest are right; what is wrong or absent at one URL is looked for at the next. Fails: not_found (names
/// the file and the URLs), corrupt (the same, where something else came), io, no_space; the
///        first failure ends it all.
base::Result<> download(const std::vector<Download>& downloads, const base::Advance& advance);

}  // namespace builder::packages
