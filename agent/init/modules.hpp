#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"

namespace agent::init {

/// Loads the kernel modules that <directory>.list names, one file of `directory` a line, in that order. A module that
/// is loaded already or finds nothing to drive (ENODEV: efivarfs without EFI) has done its duty.
/// Returns what went wrong with the others: a machine can do without many a driver, and what it cannot do without is
/// missed later, by name.
std::vector<base::Error> load_modules(const std::string& directory);

}  // namespace agent::init
