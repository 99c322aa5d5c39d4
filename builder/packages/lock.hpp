#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.hpp"
#include "base/result.hpp"

namespace builder::packages {

/// What a manifest asks for, as far as it decides which packages there are.
struct PackageRequest {
  std::string suite;
  std::string architecture;                         // as Debian calls it: "amd64"
  std::optional<std::vector<std::string>> sources;  // lines of sources.list; nothing: the host's
  std::vector<std::string> install;                 // "name" or "name=version", sorted
  bool recommends = false;

  friend bool operator==(const PackageRequest&, const PackageRequest&) = default;
};

struct LockedPackage {
  std::string name;
  std::string version;
  std::string architecture;
  std::uint64_t size_bytes = 0;
  base::Sha256Digest sha256{};
  /// Where a mirror has it, below the archive's root: "pool/main/a/adduser/adduser_3.134_all.deb". A lock says what,
  /// not from where. Of a package that lies beside the manifest: the path as the manifest names it.
  std::string path;
  bool local = false;

  friend bool operator==(const LockedPackage&, const LockedPackage&) = default;
};

/// A signed index that packages were chosen from.
struct LockedIndex {
  std::string suite;  // "bookworm-security"
  std::string date;   // as its Date field says
  base::Sha256Digest sha256{};

  friend bool operator==(const LockedIndex&, const LockedIndex&) = default;
};

/// Exactly which packages an image is made of.
struct Lock {
  PackageRequest request;
  std::chrono::sys_seconds date;        // of the newest index: the time of everything in the image
  std::vector<LockedIndex> indexes;     // by suite
  std::vector<LockedPackage> packages;  // by name and architecture

  friend bool operator==(const Lock&, const Lock&) = default;
};

inline constexpr std::uint32_t lock_format = 1;
inline constexpr std::size_t max_lock_bytes = std::size_t{16} << 20;
inline constexpr std::size_t max_locked_packages = 50'000;

/// Reads a lock's JSON. Strict: there is one writer. Fails: invalid_input, with the place as a JSON pointer;
/// unsupported (another format).
base::Result<Lock> parse_lock(std::string_view json);
/// A line for each package and each index, so that what an update changes can be read in a review. parse_lock() gives
/// the same lock again.
std::string to_json(const Lock& lock);

/// How a lock differs from an earlier one.
struct LockChange {
  enum class Kind { added, removed, upgraded, downgraded, replaced };  // replaced: other bytes of the same version
  Kind kind = Kind::added;
  std::string name;  // "name:architecture" where that is not the request's
  std::string before;
  std::string after;  // versions
  std::int64_t size_change = 0;
};
/// By name.
std::vector<LockChange> difference(const Lock& before, const Lock& after);
/// "  upgraded  libssl3  3.0.17-1 -> 3.0.18-1\n", a line each.
std::string describe(const std::vector<LockChange>& changes);

}  // namespace builder::packages
