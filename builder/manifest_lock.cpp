#include "builder/manifest_lock.hpp"

#include <glob.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/digest.hpp"
#include "base/file.hpp"
#include "builder/packages/resolve.hpp"
#include "builder/packages/sources.hpp"

namespace builder {

using base::fail;
using base::Kind;
using base::Result;

namespace {

namespace fs = std::filesystem;

/// Debian's name of an architecture.
std::string debian_architecture(const std::string& architecture) {
  return architecture == "x86-64" ? "amd64" : architecture;
}

/// The files that a glob names, sorted.
Result<std::vector<packages::LocalPackage>> local_packages(const manifest::Manifest& manifest,
                                                           const std::string& directory) {
  std::vector<packages::LocalPackage> local;
  for (const std::string& pattern : manifest.local_packages) {
    const bool absolute = fs::path(pattern).is_absolute();
    const std::string whole = absolute ? pattern : fmt::format("{}/{}", directory, pattern);
    glob_t found{};
    const int status = ::glob(whole.c_str(), 0, nullptr, &found);
    std::vector<std::string> paths;
    for (std::size_t i = 0; status == 0 && i < found.gl_pathc; ++i) paths.emplace_back(found.gl_pathv[i]);
    ::globfree(&found);
    if (paths.empty()) return fail(Kind::not_found, fmt::format("packages.local: there is no {}", whole));
    for (const std::string& path : paths) {
      local.push_back({absolute ? path : path.substr(directory.size() + 1), path});
    }
  }
  return local;
}

/// Where apt's indexes of these sources are kept.
std::string state_name(const packages::PackageRequest& request, const std::vector<packages::Source>& sources) {
  const std::string text = request.architecture + packages::to_deb822(sources, request.architecture);
  return base::to_hex(base::sha256(base::bytes_of(text))).substr(0, 16);
}

std::string listed(std::vector<std::string> names) {
  constexpr std::size_t most = 12;
  const std::size_t more = names.size() > most ? names.size() - most : 0;
  names.resize(names.size() - more);
  return fmt::format("{}{}", fmt::join(names, ", "), more > 0 ? fmt::format(" and {} more", more) : "");
}

}  // namespace

packages::PackageRequest request_of(const manifest::Manifest& manifest) {
  packages::PackageRequest request{.suite = manifest.debian.suite,
                                   .architecture = debian_architecture(manifest.arch),
                                   .sources = manifest.debian.sources,
                                   .install = manifest.debian.install,
                                   .recommends = manifest.debian.recommends};
  request.install.push_back(manifest.kernel_package);
  request.install.emplace_back("systemd-boot");  // the boot loader, the UKI's stub, and who blesses a boot
  std::ranges::sort(request.install);
  const auto twice = std::ranges::unique(request.install);
  request.install.erase(twice.begin(), twice.end());
  return request;
}

std::string lock_path_of(const std::string& manifest_path) {
  return manifest_path + ".lock";
}

std::string directory_of(const std::string& manifest_path) {
  const fs::path parent = fs::path(manifest_path).parent_path();
  return parent.empty() ? "." : parent.string();
}

Result<packages::Lock> read_lock(const std::string& path) {
  TRY(const std::string text, base::read_file(path, packages::max_lock_bytes));
  auto lock = packages::parse_lock(text);
  if (!lock) return std::unexpected(std::move(lock).error().while_doing(path));
  return lock;
}

Result<packages::Lock> make_lock(const manifest::Manifest& manifest, const std::string& manifest_directory,
                                 const packages::Lock* earlier, LockVersions versions, const cache::Cache& cache,
                                 base::ProgressStyle progress) {
  const packages::PackageRequest request = request_of(manifest);
  packages::ResolveOptions options;
  TRY(options.sources, packages::read_sources(request.suite, request.sources));
  TRY(options.local, local_packages(manifest, manifest_directory));
  TRY(options.fetch_settings, packages::fetch_settings(!request.sources.has_value()));
  if (earlier != nullptr && versions == LockVersions::stay) options.stay_with = earlier->packages;
  options.state_directory = cache.apt_directory(state_name(request, options.sources));
  return packages::resolve(request, options, progress);
}

Result<> check_request(const packages::Lock& lock, const packages::PackageRequest& request,
                       const std::string& lock_path) {
  if (lock.request == request) return base::ok();
  std::vector<std::string> added;
  std::vector<std::string> removed;
  std::ranges::set_difference(request.install, lock.request.install, std::back_inserter(added));
  std::ranges::set_difference(lock.request.install, request.install, std::back_inserter(removed));
  std::vector<std::string> differs;
  if (!added.empty()) differs.push_back(fmt::format("the manifest also asks for {}", listed(added)));
  if (!removed.empty()) differs.push_back(fmt::format("it no longer asks for {}", listed(removed)));
  if (lock.request.suite != request.suite)
    differs.push_back(fmt::format("its suite is {} instead of {}", request.suite, lock.request.suite));
  if (differs.empty()) differs.emplace_back("its sources or its architecture are others");
  return fail(Kind::invalid_input,
              fmt::format("{} was made for something else: {}; run keelson lock", lock_path, fmt::join(differs, "; ")));
}

}  // namespace builder
