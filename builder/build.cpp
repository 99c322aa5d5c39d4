#include "builder/build.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "base/digest.hpp"
#include "base/file.hpp"
#include "base/human.hpp"
#include "base/log.hpp"
#include "base/partial_file.hpp"
#include "base/version.hpp"
#include "builder/cache/cache.hpp"
#include "builder/effective_yaml.hpp"
#include "builder/manifest/manifest.hpp"
#include "builder/manifest_lock.hpp"
#include "builder/outputs/image_files.hpp"
#include "builder/outputs/sbom.hpp"
#include "builder/signers.hpp"
#include "builder/steps.hpp"
#include "image/ostree/commit.hpp"

namespace builder {

using base::fail;
using base::Json;
using base::Kind;
using base::Result;

namespace {

namespace fs = std::filesystem;

constexpr std::size_t max_record_bytes = std::size_t{16} << 20;
constexpr const char* report_name = "report.json";
constexpr const char* effective_name = "manifest.effective.yaml";

std::chrono::nanoseconds now() {
  return base::system_clock().boot_time();
}

std::string digest_of(std::string_view text) {
  return base::to_hex(base::sha256(base::bytes_of(text)));
}

/// What a file was when it was written: enough to see that nobody has touched it.
struct FileMark {
  std::uint64_t size = 0;
  std::int64_t modified_ns = 0;
  std::uint64_t inode = 0;
  friend bool operator==(const FileMark&, const FileMark&) = default;
};
std::optional<FileMark> mark_of(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  return FileMark{static_cast<std::uint64_t>(status.st_size),
                  status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec, status.st_ino};
}

/// What a build before this one has left in the output directory.
class OutputRecord {
 public:
  OutputRecord(const cache::Cache& cache, const std::string& directory)
      : directory_(directory),
        path_(fmt::format("{}/last/{}-outputs.json", cache.directory(),
                          digest_of(fs::absolute(directory).lexically_normal().string()).substr(0, 16))) {}

  /// Whether the files of a build with this key are all there still. Then their names and digests.
  std::optional<Json> unchanged(const std::string& key) const {
    const auto text = base::read_file(path_, max_record_bytes);
    if (!text) return std::nullopt;
    auto record = base::parse_json(*text, {.max_bytes = max_record_bytes});
    if (!record || !record->is_object() || record->value("key", "") != key || !record->contains("files"))
      return std::nullopt;
    for (const auto& [name, mark] : (*record)["files"].items()) {
      const auto there = mark_of(directory_ + "/" + name);
      if (!there || Json::array({there->size, there->modified_ns, there->inode}) != mark) return std::nullopt;
    }
    return *std::move(record);
  }

  Result<> write(const std::string& key, const std::vector<std::string>& files, Json summary) const {
    Json record = {{"key", key}, {"files", Json::object()}, {"summary", std::move(summary)}};
    for (const std::string& name : files) {
      if (const auto mark = mark_of(directory_ + "/" + name)) {
        record["files"][name] = Json::array({mark->size, mark->modified_ns, mark->inode});
      }
    }
    return base::replace_file(path_, base::bytes_of(record.dump(1)));
  }

 private:
  std::string directory_;
  std::string path_;
};

/// The sizes of packages in the last image of a manifest that was within its budget.
class SizeRecord {
 public:
  SizeRecord(const cache::Cache& cache, const std::string& manifest)
      : path_(fmt::format("{}/last/{}-sizes.json", cache.directory(), digest_of(manifest).substr(0, 16))) {}

  std::map<std::string, std::uint64_t> read() const {
    std::map<std::string, std::uint64_t> sizes;
    const auto text = base::read_file(path_, max_record_bytes);
    if (!text) return sizes;
    const auto json = base::parse_json(*text, {.max_bytes = max_record_bytes});
    if (!json || !json->is_object()) return sizes;
    for (const auto& [name, size] : json->items()) {
      if (size.is_number_unsigned()) sizes[name] = size.get<std::uint64_t>();
    }
    return sizes;
  }
  Result<> write(const std::vector<outputs::InstalledPackage>& packages) const {
    Json json = Json::object();
    for (const outputs::InstalledPackage& package : packages) json[package.name] = package.size_bytes;
    return base::replace_file(path_, base::bytes_of(json.dump()));
  }

 private:
  std::string path_;
};

/// What grew most since the last build that was within its budget; without one, what is largest.
std::string growth_table(const std::vector<outputs::InstalledPackage>& packages,
                         const std::map<std::string, std::uint64_t>& before) {
  struct Row {
    std::string name;
    std::uint64_t was = 0;
    std::uint64_t is = 0;
    std::int64_t grew() const { return static_cast<std::int64_t>(is) - static_cast<std::int64_t>(was); }
  };
  std::vector<Row> rows;
  rows.reserve(packages.size());
  for (const outputs::InstalledPackage& package : packages) {
    const auto at = before.find(package.name);
    rows.push_back({package.name, at == before.end() ? 0 : at->second, package.size_bytes});
  }
  std::ranges::sort(rows, std::greater(), [](const Row& row) { return std::pair(row.grew(), row.is); });
  std::erase_if(rows, [](const Row& row) { return row.grew() <= 0; });
  constexpr std::size_t most = 10;
  std::string table =
      before.empty() ? "the largest packages:\n" : "what grew since the last build within the budget:\n";
  for (std::size_t i = 0; i < std::min(most, rows.size()); ++i) {
    table += before.empty() ? fmt::format("  {:<32} {:>10}\n", rows[i].name, base::human_bytes(rows[i].is))
                            : fmt::format("  {:<32} {:>10} -> {:>10}\n", rows[i].name, base::human_bytes(rows[i].was),
                                          base::human_bytes(rows[i].is));
  }
  if (rows.empty()) table += "  nothing among the packages\n";
  return table;
}

Result<> check_budget(const manifest::Budget& budget, const BuildReport& report, const SizeRecord& sizes) {
  std::vector<std::string> over;
  if (budget.root_bytes && report.root_bytes > *budget.root_bytes) {
    over.push_back(fmt::format("budget.root: the root takes {}, {} are allowed", base::human_bytes(report.root_bytes),
                               base::human_bytes(*budget.root_bytes)));
  }
  if (budget.packages && report.packages.size() > *budget.packages) {
    over.push_back(
        fmt::format("budget.packages: there are {}, {} are allowed", report.packages.size(), *budget.packages));
  }
  if (over.empty()) return sizes.write(report.packages);
  return fail(Kind::invalid_input,
              fmt::format("{}\n{}", fmt::join(over, "\n"), growth_table(report.packages, sizes.read())));
}

std::vector<std::string> set_id_files(const image::FileTree& tree) {
  std::vector<std::string> files;
  const std::function<void(image::InodeIndex, const std::string&)> walk = [&](image::InodeIndex at,
                                                                              const std::string& path) {
    for (const image::DirectoryEntry& entry : tree.inodes[at].entries) {
      const image::Inode& inode = tree.inodes[entry.inode];
      const std::string below = path + "/" + entry.name;
      if (below == "/ostree") continue;
      if (inode.type == image::FileType::directory) walk(entry.inode, below);
      if (inode.type == image::FileType::regular && (inode.permissions & 06000) != 0) files.push_back(below);
    }
  };
  walk(0, "");
  return files;
}

class Build {
 public:
  Build(const BuildOptions& options, cache::Cache cache, manifest::Value effective, manifest::Manifest manifest)
      : options_(options),
        cache_(std::move(cache)),
        manifest_(std::move(manifest)),
        effective_(to_yaml(effective, Places::hidden)),
        directory_(directory_of(options.manifest)),
        record_(cache_, options.output_directory),
        sizes_(cache_, fs::absolute(options.manifest).lexically_normal()) {
    report_.image_id = manifest_.id;
    report_.image_version = manifest_.version;
  }

  Result<BuildReport> run() {
    const auto begin = now();
    TRY_DO(get_lock());
    TRY(const SignerKeys keys, get_keys());
    const root::RootInputs inputs{
        .manifest_directory = directory_, .init = options_.init, .boot = options_.boot, .keelson = options_.keelson};
    const cache::Step packages = packages_step(lock_, manifest_);
    TRY(const cache::Step root, root_step(packages, manifest_, effective_, inputs));
    const std::string key =
        digest_of(fmt::format("{} {} {} {}", root.key(), keys.fingerprint(), base::version, effective_));
    TRY(const auto root_before, cache_.find(root));
    if (const auto record = record_.unchanged(key); record && root_before) {
      from_record(*record);
      report_.took = now() - begin;
      return std::move(report_);
    }
    StepContext context{cache_, manifest_, lock_, inputs, options_.keelson, options_.offline, options_.progress};
    std::string packages_commit;
    if (!root_before) {
      TRY(packages_commit, step(packages, [&] { return run_packages_step(context); }));
    }
    TRY(const std::string root_commit, step(root, [&] { return run_root_step(context, packages_commit); }));
    TRY_DO(write_outputs(root_commit, keys));
    report_.took = now() - begin;
    TRY_DO(write_reports(key));
    return std::move(report_);
  }

 private:
  Result<> get_lock() {
    report_.lock_path = lock_path_of(options_.manifest);
    const packages::PackageRequest request = request_of(manifest_);
    auto lock = read_lock(report_.lock_path);
    if (lock) {
      lock_ = *std::move(lock);
      return check_request(lock_, request, report_.lock_path);
    }
    if (lock.error().kind() != Kind::not_found) return std::unexpected(std::move(lock).error());
    if (options_.offline) {
      return fail(Kind::not_found, fmt::format("there is no {}, and offline none can be made", report_.lock_path));
    }
    TRY(lock_, make_lock(manifest_, directory_, nullptr, LockVersions::newest, cache_, options_.progress));
    TRY_DO(base::replace_file(report_.lock_path, base::bytes_of(packages::to_json(lock_))));
    report_.made_lock = true;
    return base::ok();
  }

  Result<SignerKeys> get_keys() {
    const fs::path named = manifest_.keys;
    const std::string path =
        named.is_absolute() ? named.string() : (fs::path(directory_) / named).lexically_normal().string();
    if (!manifest_.keys_named && !fs::exists(path)) {
      TRY_DO(keys::make_keys(path));
      report_.made_keys = path;
    }
    return SignerKeys::read(path);
  }

  /// A step's commit, out of the cache or made now.
  Result<std::string> step(const cache::Step& step, const std::function<Result<std::string>()>& run_it) {
    const auto begin = now();
    TRY(const auto cached, cache_.find(step));
    StepReport report{.name = step.name};
    std::string commit;
    if (cached) {
      commit = *cached;
    } else {
      TRY(const cache::Reason reason, cache_.explain(step, options_.manifest));
      report.ran = true;
      report.reason = reason.text();
      TRY(commit, run_it(), "the step " + step.name);
      TRY_DO(cache_.keep(step, commit));
    }
    TRY_DO(cache_.remember(step, options_.manifest));
    report.took = now() - begin;
    report_.steps.push_back(std::move(report));
    return commit;
  }

  Result<> write_outputs(const std::string& commit, const SignerKeys& keys) {
    const auto begin = now();
    TRY_DO(base::make_directories(options_.output_directory));
    TRY(const image::CommitTree root, image::read_commit(cache_.repository(), commit, image::EmbeddedRepository::bare));
    TRY(report_.packages, outputs::installed_packages(root.root));
    report_.set_id_files = set_id_files(root.root.tree);
    TRY(const outputs::WrittenImage written,
        outputs::write_image(root, commit, manifest_, keys.signers(manifest_.secure_boot), options_.output_directory,
                             options_.progress));
    TRY_DO(cache_.repository().set_ref(fmt::format("image/{}/{}", manifest_.id, manifest_.version), commit));
    files_ = written.files;
    report_.commit = commit;
    report_.root_hash = written.release.root_hash.hex();
    report_.root_bytes = written.release.image_bytes;
    report_.hash_tree_bytes = written.release.hash_tree_bytes;
    report_.slot_bytes = written.release.slot_bytes;
    report_.uki_bytes = std::get<image::UkiFromParts>(written.release.uki).size_bytes;
    TRY_DO(check_budget(manifest_.budget, report_, sizes_));
    const std::string bill_name = fmt::format("{}_{}.spdx.json", manifest_.id, manifest_.version);
    TRY_DO(write(bill_name, outputs::spdx_bill({written.release.identity, written.release.root_hash, commit,
                                                manifest_.debian.suite, lock_.date},
                                               report_.packages, lock_)));
    TRY_DO(write(effective_name, effective_));
    report_.steps.push_back({"image", true, "", now() - begin});
    return base::ok();
  }

  Result<> write(const std::string& name, const std::string& text) {
    TRY_DO(base::replace_file(options_.output_directory + "/" + name, base::bytes_of(text)));
    files_.push_back(name);
    return base::ok();
  }

  Result<> write_reports(const std::string& key) {
    for (const std::string& name : files_) {
      report_.outputs.push_back({name, fs::file_size(options_.output_directory + "/" + name), ""});
    }
    TRY_DO(write(report_name, report_.to_json().dump(2) + "\n"));
    return record_.write(key, files_, report_.to_json());
  }

  /// What the earlier build had to report.
  void from_record(const Json& record) {
    report_.up_to_date = true;
    const Json& summary = record.contains("summary") ? record["summary"] : record;
    const auto text = [&](const char* name) {
      return summary.contains(name) && summary[name].is_string() ? summary[name].get<std::string>() : std::string();
    };
    const auto number = [&](const char* name) {
      return summary.contains(name) && summary[name].is_number_unsigned() ? summary[name].get<std::uint64_t>() : 0;
    };
    report_.commit = text("commit");
    report_.root_hash = text("root_hash");
    report_.root_bytes = number("root_bytes");
    report_.hash_tree_bytes = number("hash_tree_bytes");
    report_.slot_bytes = number("slot_bytes");
    report_.uki_bytes = number("uki_bytes");
    for (const auto& [name, mark] : record["files"].items())
      report_.outputs.push_back({name, mark[0].get<std::uint64_t>(), ""});
  }

  const BuildOptions& options_;
  cache::Cache cache_;
  manifest::Manifest manifest_;
  std::string effective_;
  std::string directory_;
  OutputRecord record_;
  SizeRecord sizes_;
  packages::Lock lock_;
  BuildReport report_;
  std::vector<std::string> files_;
};

}  // namespace

Json BuildReport::to_json() const {
  const auto seconds = [](std::chrono::nanoseconds time) { return std::chrono::duration<double>(time).count(); };
  Json packages_json = Json::array();
  for (const outputs::InstalledPackage& package : packages) {
    packages_json.push_back({{"name", package.name}, {"version", package.version}, {"bytes", package.size_bytes}});
  }
  Json steps_json = Json::array();
  for (const StepReport& step : steps) {
    steps_json.push_back(
        {{"name", step.name}, {"ran", step.ran}, {"reason", step.reason}, {"seconds", seconds(step.took)}});
  }
  Json outputs_json = Json::array();
  for (const OutputFile& output : outputs)
    outputs_json.push_back({{"name", output.name}, {"bytes", output.size_bytes}});
  return {{"keelson", base::version},
          {"image_id", image_id},
          {"image_version", image_version},
          {"up_to_date", up_to_date},
          {"commit", commit},
          {"root_hash", root_hash},
          {"root_bytes", root_bytes},
          {"hash_tree_bytes", hash_tree_bytes},
          {"slot_bytes", slot_bytes},
          {"uki_bytes", uki_bytes},
          {"set_id_files", set_id_files},
          {"steps", steps_json},
          {"seconds", seconds(took)},
          {"outputs", outputs_json},
          {"packages", packages_json}};
}

Result<BuildReport> build(const BuildOptions& options) {
  TRY(manifest::Value effective, manifest::load_effective(options.manifest, {.settings = options.settings}));
  TRY(manifest::Manifest manifest, manifest::manifest_of(effective));
  if (manifest.scripts == manifest::Scripts::declarative) {
    return fail(Kind::unsupported, "scripts: declarative does not exist yet; use scripts: sandbox");
  }
  TRY(cache::Cache cache, cache::Cache::open(options.cache_directory));
  return Build(options, std::move(cache), std::move(effective), std::move(manifest)).run();
}

}  // namespace builder
