#pragma once

#include <functional>
#include <string>

#include "base/progress.hpp"
#include "base/result.hpp"
#include "builder/cache/cache.hpp"
#include "builder/manifest/manifest.hpp"
#include "builder/packages/lock.hpp"
#include "builder/root/make_root.hpp"

namespace builder {

// The two long steps of a build. Both end in a commit, and are told apart by their inputs alone: what is the same as in
// an earlier build, whoever's, is not done again.

/// The packages of a lock, installed and cleaned.
cache::Step packages_step(const packages::Lock& lock, const manifest::Manifest& manifest);

/// The root of a manifest. `effective` is its text with everything put in. Fails: as root::digest_of_inputs().
base::Result<cache::Step> root_step(const cache::Step& packages, const manifest::Manifest& manifest,
                                    const std::string& effective, const root::RootInputs& inputs);

struct StepContext {
  cache::Cache& cache;
  const manifest::Manifest& manifest;
  const packages::Lock& lock;
  root::RootInputs root_inputs;
  std::string keelson;  // the program that runs in the sandbox
  bool offline = false;
  base::ProgressStyle progress = base::ProgressStyle::silent;
};

/// Fetches what the archive lacks, installs, cleans, commits. Fails: as packages::Archive::bring(), sandbox::install(),
/// root::clean(); not_found (offline, and the archive has not all: names what is missing)
base::Result<std::string> run_packages_step(const StepContext& context);

/// Makes the root of a commit of packages, and commits it. Fails: as root::make_root().
base::Result<std::string> run_root_step(const StepContext& context, const std::string& packages_commit);

}  // namespace builder
