#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace builder::packages {

/// Where packages may come from: one suite of one archive.
struct Source {
  std::string uri;  // "http://mirror/debian/"
  std::string suite;
  std::vector<std::string> components;
  std::string signed_by;  // a file of keys, fingerprints, or a key itself; empty: apt's own trusted keys
  bool trusted = false;   // [trusted=yes]: whatever its signature
};

/// What apt itself, the host's, makes of its configuration: the sources of `suite`, and of the suites that go with it,
/// such as bookworm-updates and bookworm-security. With `lines`, as of sources.list(5), what it makes of them instead,
/// whatever their suites are. Fails: invalid_input (apt's words; no source of this suite).
base::Result<std::vector<Source>> read_sources(const std::string& suite,
                                               const std::optional<std::vector<std::string>>& lines);

/// The same as a file that apt reads (deb822).
std::string to_deb822(const std::vector<Source>& sources, const std::string& architecture);

/// The host's settings of how apt fetches (proxies, certificates, time limits), for apt.conf. With
/// `with_checks` also those that say which signatures and dates are good enough.
/// Fails: as read_sources().
base::Result<std::string> fetch_settings(bool with_checks);

}  // namespace builder::packages
