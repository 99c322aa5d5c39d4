#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "base/progress.hpp"
#include "base/result.hpp"
#include "builder/manifest/merge.hpp"
#include "builder/outputs/package_database.hpp"
#include "builder/packages/lock.hpp"

namespace builder {

struct BuildOptions {
  std::string manifest;  // path
  std::vector<manifest::Setting> settings;
  std::string output_directory = "out";
  std::string cache_directory;
  /// Use only what lock and archive have.
  bool offline = false;
  /// The programs: the one that runs in the sandbox, the one that the initrd starts, and the one that looks after the
  /// boot loader.
  std::string keelson;
  std::string init;
  std::string boot;
  base::ProgressStyle progress = base::ProgressStyle::silent;
};

/// What became of a step.
struct StepReport {
  std::string name;
  bool ran = false;
  std::string reason;  // why it ran
  std::chrono::nanoseconds took{};
};

struct OutputFile {
  std::string name;  // in the output directory
  std::uint64_t size_bytes = 0;
  std::string sha256;
};

struct BuildReport {
  std::string image_id;
  std::string image_version;
  std::string commit;
  std::string root_hash;
  std::uint64_t root_bytes = 0;
  std::uint64_t hash_tree_bytes = 0;
  std::uint64_t slot_bytes = 0;
  std::uint64_t uki_bytes = 0;
  std::vector<outputs::InstalledPackage> packages;
  std::vector<std::string> set_id_files;
  std::vector<StepReport> steps;
  std::vector<OutputFile> outputs;
  std::chrono::nanoseconds took{};
  bool up_to_date = false;  // nothing was to be done
  std::string lock_path;
  bool made_lock = false;
  std::optional<std::string> made_keys;  // where

  base::Json to_json() const;
};

/// Builds a manifest: exactly the packages of its lock, and everything that follows from them. What has been built
/// before from the same inputs comes out of the cache. Without a lock one is made; without keys, where the manifest
/// names none, new ones.
///
/// Into the output directory go, each complete or not at all: the disk as <id>_<version>.raw (and .qcow2, .vhd, .vmdk),
/// its UKI (.efi), root image (.root.erofs) and hash tree (.root.verity), the release (.release.json), the bill of
/// materials (.spdx.json), manifest.effective.yaml and report.json.
///
/// Fails: invalid_input (the manifest, its lock, a budget, a slot that is too small: with what to do); as all its steps
base::Result<BuildReport> build(const BuildOptions& options);

}  // namespace builder
