#pragma once

#include <string>

#include "builder/manifest/document.hpp"

namespace builder {

/// A value as YAML that could be built from. With `places` each scalar says in a comment where it came from.
enum class Places { hidden, shown };
std::string to_yaml(const manifest::Value& value, Places places);

}  // namespace builder
