#include "builder/steps.hpp"

#include <algorithm>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/bytes.hpp"
#include "base/partial_file.hpp"
#include "builder/packages/archive.hpp"
#include "builder/packages/resolve.hpp"
#include "builder/packages/sources.hpp"
#include "builder/root/clean.hpp"
#include "builder/root/draft.hpp"
#include "builder/sandbox/sandbox.hpp"
#include "image/ostree/commit.hpp"
#include "image/tree_edit.hpp"

namespace builder {

using base::fail;
using base::Kind;
using base::Result;

namespace {

// One more whenever the same packages would give another result. (The root's step depends on the whole program.)
constexpr const char* packages_engine = "1";

std::string digest_of(const std::string& text) {
  return base::to_hex(base::sha256(base::bytes_of(text)));
}

/// A commit has files, directories and links. What else packages make, /dev is for.
void drop_special_files(image::FileTree& tree) {
  for (image::Inode& inode : tree.inodes) {
    std::erase_if(inode.entries, [&](const image::DirectoryEntry& entry) {
      const image::FileType type = tree.inodes[entry.inode].type;
      return type != image::FileType::regular && type != image::FileType::directory && type != image::FileType::symlink;
    });
  }
}

Result<> check_archive(const packages::Archive& archive, const packages::Lock& lock) {
  std::vector<std::string> missing;
  for (const packages::LockedPackage& package : lock.packages) {
    if (!archive.has(package)) missing.push_back(package.name + " " + package.version);
  }
  if (missing.empty()) return base::ok();
  return fail(Kind::not_found, fmt::format("offline, and {} of {} packages are not in the archive, {} the first",
                                           missing.size(), lock.packages.size(), missing.front()));
}

image::ostree::CommitFacts facts_of(const packages::Lock& lock) {
  return {.time = static_cast<std::uint64_t>(lock.date.time_since_epoch().count())};
}

}  // namespace

cache::Step packages_step(const packages::Lock& lock, const manifest::Manifest& manifest) {
  std::string packages;
  for (const packages::LockedPackage& package : lock.packages) {
    packages += fmt::format("{} {}\n", package.name, base::to_hex(package.sha256));
  }
  return {"packages",
          {{"engine", packages_engine},
           {"locked packages", digest_of(packages)},
           {"date", fmt::format("{}", lock.date.time_since_epoch().count())},
           {"documentation", manifest.debian.documentation ? "kept" : "dropped"},
           {"modules left out", fmt::format("{}", fmt::join(manifest.without_modules, " "))}}};
}

Result<cache::Step> root_step(const cache::Step& packages, const manifest::Manifest& manifest,
                              const std::string& effective, const root::RootInputs& inputs) {
  TRY(std::string files, root::digest_of_inputs(manifest, inputs));
  return cache::Step{"root",
                     {{"packages", packages.key()},
                      {"manifest", digest_of(effective)},
                      {"programs, and files beside the manifest", std::move(files)}}};
}

Result<std::string> run_packages_step(const StepContext& context) {
  const packages::Archive archive(context.cache.packages_directory());
  if (context.offline) {
    TRY_DO(check_archive(archive, context.lock));
    TRY_DO(archive.bring(context.lock, {}, context.root_inputs.manifest_directory, context.progress));
  } else {
    // With all in the archive nobody need know where it came from.
    std::vector<packages::Source> sources;
    const bool all = std::ranges::all_of(context.lock.packages, [&](const auto& each) { return archive.has(each); });
    if (!all) {
      TRY(sources, packages::read_sources(context.lock.request.suite, context.lock.request.sources));
    }
    TRY_DO(archive.bring(context.lock, sources, context.root_inputs.manifest_directory, context.progress));
  }
  sandbox::Installation installation{.date = context.lock.date};
  for (const std::string& directory : context.manifest.without_modules) {
    installation.excluded.push_back(fmt::format("/lib/modules/*/kernel/{}/*", directory));
  }
  for (const packages::LockedPackage& package : context.lock.packages) {
    installation.debs.push_back(archive.path_of(package.sha256));
  }
  TRY(const base::Bytes stand_in, packages::stand_in_deb());
  const std::string stand_in_path = archive.path_of(base::sha256(stand_in));
  TRY_DO(base::replace_file(stand_in_path, stand_in));
  installation.debs.push_back(stand_in_path);
  TRY(image::SourcedTree installed, sandbox::install(installation, context.keelson, context.progress));
  root::Draft draft(std::move(installed));
  TRY_DO(root::clean(draft, {.documentation = context.manifest.debian.documentation}));
  drop_special_files(draft.tree());
  const base::Progress shown(context.progress, "keeping the packages", 0);
  return image::write_commit(context.cache.repository(), std::move(draft).finish(), facts_of(context.lock));
}

Result<std::string> run_root_step(const StepContext& context, const std::string& packages_commit) {
  TRY(image::CommitTree packages, image::read_commit(context.cache.repository(), packages_commit,
                                                     image::EmbeddedRepository::none, image::ContentCheck::none));
  TRY(const image::SourcedTree made, root::make_root(std::move(packages.root), context.manifest, context.root_inputs));
  image::ostree::CommitFacts facts = facts_of(context.lock);
  facts.subject = fmt::format("{} {}", context.manifest.id, context.manifest.version);
  facts.metadata["version"] = context.manifest.version;
  return image::write_commit(context.cache.repository(), made, facts);
}

}  // namespace builder
