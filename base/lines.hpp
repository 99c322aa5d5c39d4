#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace base {

/// The lines of a text, without their ends; views into it. What follows the last line feed counts if it is not empty.
std::vector<std::string_view> lines_of(std::string_view text);
/// The parts between separators: one more than there are separators.
std::vector<std::string> split(std::string_view text, char separator);
/// Without blanks, tabs and carriage returns at both ends.
std::string_view trimmed(std::string_view text);

}  // namespace base
