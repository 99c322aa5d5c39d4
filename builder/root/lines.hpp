#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace builder::root {

/// The lines of a text, without their ends; views into it. What follows the last line feed counts if it is not empty.
std::vector<std::string_view> lines_of(std::string_view text);
std::vector<std::string> split(std::string_view text, char separator);
std::string join(const std::vector<std::string>& parts, char separator);
std::string_view trimmed(std::string_view text);

}  // namespace builder::root
