#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace agent::boot_loader {

/// A variable of os-release(5), with the quotes and backslashes of a shell taken away; of one that is there twice the
/// last counts. Nothing: it is not there.
std::optional<std::string> os_release_value(std::string_view text, std::string_view key);

/// "<IMAGE_ID>_<IMAGE_VERSION>": the stem of the boot entry that belongs to this system. Nothing: it is no image of
/// ours.
std::optional<std::string> entry_stem_in(std::string_view os_release);

}  // namespace agent::boot_loader
