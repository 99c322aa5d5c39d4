#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

/// For the small guests of verity_device, initrd and run, which are PID 1 themselves.
namespace guest {

/// Loads the kernel modules /modules/<name> that /modules.list names, in its order, up to the one before `stop`; those
/// that are loaded already are passed over. Returns the names of the others. Not the agent's own way, which goes on
/// where one cannot be loaded: a story would miss it later, and somewhere else.
/// Fails: as the kernel does, with the module's name.
base::Result<std::vector<std::string>> load_modules(std::string_view stop = "");

}  // namespace guest
