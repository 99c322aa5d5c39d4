#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace builder::packages {

/// A paragraph of Debian's control format: what a package, an index or dpkg's database says about one thing.
/// Source: Debian Policy, chapter 5; deb822(5).
struct Paragraph {
  /// In their order. A value of several lines keeps its line feeds, and the blank before each further line.
  std::vector<std::pair<std::string, std::string>> fields;

  /// The value of a field, whatever its case; nullptr when it is not there.
  const std::string* find(std::string_view name) const;
  /// The same, empty when it is not there.
  std::string get(std::string_view name) const;
  /// The text again, without an empty line at its end.
  std::string text() const;
};

inline constexpr std::size_t max_paragraphs = 1'000'000;

/// Reads paragraphs that empty lines part. Lines that begin with "#" are comments. Fails: invalid_input, with the line.
base::Result<std::vector<Paragraph>> parse_paragraphs(std::string_view text);

}  // namespace builder::packages
