#include "builder/packages/archive.hpp"

#include <fcntl.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <mutex>
#include <optional>

#include <fmt/format.h>

#include "base/digest.hpp"
#include "base/file.hpp"
#include "base/partial_file.hpp"
#include "base/processors.hpp"
#include "builder/packages/download.hpp"

namespace builder::packages {

using base::fail;
using base::Kind;
using base::Result;

namespace {

namespace fs = std::filesystem;

/// SHA-256 of a file of exactly that many bytes; nothing for one of another size, or none.
Result<std::optional<base::Sha256Digest>> digest_of(const std::string& path, std::uint64_t size_bytes) {
  auto file = base::File::open(path, O_RDONLY);
  if (!file) {
    if (file.error().kind() == Kind::not_found) return std::nullopt;
    return std::unexpected(std::move(file).error());
  }
  TRY(const std::uint64_t size, file->size());
  if (size != size_bytes) return std::nullopt;
  TRY(const base::Sha256Digest digest, base::sha256_of(*file));
  return digest;
}

/// A path as part of a URL: what apt leaves as it is, and the rest in hexadecimal.
std::string escaped(std::string_view path) {
  std::string text;
  for (const char c : path) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("-._~/").contains(c);
    text += plain ? std::string(1, c) : fmt::format("%{:02x}", static_cast<unsigned char>(c));
  }
  return text;
}

std::vector<std::string> urls_of(const LockedPackage& package, const std::vector<Source>& sources) {
  std::vector<std::string> urls;
  for (const Source& source : sources) {
    std::string url = source.uri;
    if (url.starts_with("file:/") && !url.starts_with("file://")) url.insert(5, "//");  // apt's way of writing it
    if (!url.ends_with('/')) url += '/';
    url += escaped(package.path);
    if (std::ranges::find(urls, url) == urls.end()) urls.push_back(std::move(url));
  }
  return urls;
}

/// Which packages are not in the archive as they should be. All processors read.
Result<std::vector<const LockedPackage*>> missing(const Archive& archive, const Lock& lock) {
  std::vector<char> is_there(lock.packages.size());
  std::atomic<std::size_t> next = 0;
  std::mutex guard;
  std::optional<base::Error> failure;
  base::run_on_threads(0, [&] {
    for (std::size_t at = next++; at < lock.packages.size(); at = next++) {
      const LockedPackage& package = lock.packages[at];
      auto digest = digest_of(archive.path_of(package.sha256), package.size_bytes);
      if (digest) {
        is_there[at] = *digest == package.sha256 ? 1 : 0;
        continue;
      }
      const std::scoped_lock locked(guard);
      failure = std::move(digest).error();
    }
  });
  if (failure) return std::unexpected(*std::move(failure));
  std::vector<const LockedPackage*> wanted;
  for (std::size_t i = 0; i < is_there.size(); ++i) {
    if (is_there[i] == 0) wanted.push_back(&lock.packages[i]);
  }
  return wanted;
}

Result<> take_local(const Archive& archive, const LockedPackage& package, const std::string& directory) {
  const std::string path = fs::path(directory) / package.path;
  TRY(const auto digest, digest_of(path, package.size_bytes));
  if (digest != package.sha256) {
    return fail(Kind::invalid_input, fmt::format("{} is not what the lock says; run keelson lock", path));
  }
  TRY(const std::string bytes, base::read_file(path, package.size_bytes));
  return base::replace_file(archive.path_of(package.sha256), base::bytes_of(bytes));
}

}  // namespace

std::string Archive::path_of(const base::Sha256Digest& sha256) const {
  return fmt::format("{}/{}.deb", directory_, base::to_hex(sha256));
}

bool Archive::has(const LockedPackage& package) const {
  std::error_code error;
  return fs::file_size(path_of(package.sha256), error) == package.size_bytes && !error;
}

Result<> Archive::bring(const Lock& lock, const std::vector<Source>& sources, const std::string& local_directory,
                        base::ProgressStyle progress) const {
  TRY_DO(base::make_directories(directory_));
  TRY(const std::vector<const LockedPackage*> wanted, missing(*this, lock));
  std::vector<Download> downloads;
  std::uint64_t bytes = 0;
  for (const LockedPackage* package : wanted) {
    if (package->local) {
      TRY_DO(take_local(*this, *package, local_directory));
      continue;
    }
    downloads.push_back({.name = package->name + " " + package->version,
                         .urls = urls_of(*package, sources),
                         .size_bytes = package->size_bytes,
                         .sha256 = package->sha256,
                         .path = path_of(package->sha256)});
    bytes += package->size_bytes;
  }
  if (downloads.empty()) return base::ok();
  base::Progress shown(progress, fmt::format("fetching {} packages", downloads.size()), bytes);
  return download(downloads, shown.advancer());
}

}  // namespace builder::packages
