#pragma once

#include <cstddef>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/result.hpp"

namespace base {

/// Keys keep the order in which they were written, so that output reads as its author meant it and is stable.
using Json = nlohmann::ordered_json;

struct JsonLimits {
  std::size_t max_bytes = std::size_t{1} << 20;
  int max_depth = 32;
};

/// Reads one JSON text, strictly: UTF-8, no duplicate keys, nothing behind the value, within the limits.
/// Fails: invalid_input; the message names line and column.
Result<Json> parse_json(std::string_view text, const JsonLimits& limits = {});

/// The member `key` of `object` as text, or an error that names it. Fails: invalid_input.
Result<std::string> json_text(const Json& object, std::string_view key);

}  // namespace base
