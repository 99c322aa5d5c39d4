#pragma once

#include <string>

#include "base/result.hpp"
#include "verity/root_hash.hpp"

namespace agent::init {

/// Where a host's /etc comes from and where its generations are kept, one for each version that has run.
struct EtcPlaces {
  std::string factory = "/usr/etc";
  std::string generations = "/var/lib/keelson/etc";
};

/// The directory to be bound on /etc: <generations>/<root hash>. If it is not there yet, it is made of what the version
/// brings, beside (<root hash>.new) and switched by one rename when it is durable: a cut leaves it whole or absent.
/// Fails: not_found (no factory), no_space, permission, io; invalid_input (something else has that name).
base::Result<std::string> prepare_etc(const EtcPlaces& places, const verity::RootHash& root_hash);

}  // namespace agent::init
