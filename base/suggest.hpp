#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace base {

/// The candidate that a person who typed `word` most likely meant, or nothing when none is near: at most a third of the
/// letters differ (an exchange of two neighbours counts once).
std::optional<std::string> did_you_mean(std::string_view word, std::span<const std::string> candidates);

}  // namespace base
