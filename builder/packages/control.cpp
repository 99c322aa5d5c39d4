#include "builder/packages/control.hpp"

#include <algorithm>
#include <cctype>

#include <fmt/format.h>

#include "base/lines.hpp"

namespace builder::packages {

using base::fail;
using base::Kind;
using base::Result;

namespace {

bool same_name(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) == std::tolower(static_cast<unsigned char>(y));
  });
}

}  // namespace

const std::string* Paragraph::find(std::string_view name) const {
  const auto at = std::ranges::find_if(fields, [&](const auto& field) { return same_name(field.first, name); });
  return at == fields.end() ? nullptr : &at->second;
}

std::string Paragraph::get(std::string_view name) const {
  const std::string* value = find(name);
  return value != nullptr ? *value : std::string();
}

std::string Paragraph::text() const {
  std::string text;
  for (const auto& [name, value] : fields) {
    text += name;
    text += value.starts_with('\n') || value.empty() ? ":" : ": ";
    text += value;
    text += '\n';
  }
  return text;
}

Result<std::vector<Paragraph>> parse_paragraphs(std::string_view text) {
  std::vector<Paragraph> paragraphs;
  bool open = false;
  std::size_t number = 0;
  for (const std::string_view line : base::lines_of(text)) {
    ++number;
    if (line.starts_with('#')) continue;
    if (base::trimmed(line).empty()) {
      open = false;
      continue;
    }
    if (line.front() == ' ' || line.front() == '\t') {
      if (!open) return fail(Kind::invalid_input, fmt::format("line {}: it continues no field", number));
      paragraphs.back().fields.back().second.append("\n").append(line);
      continue;
    }
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0) {
      return fail(Kind::invalid_input, fmt::format("line {}: it is no \"Field: value\"", number));
    }
    if (!open) {
      if (paragraphs.size() == max_paragraphs) {
        return fail(Kind::invalid_input, fmt::format("line {}: more than {} paragraphs", number, max_paragraphs));
      }
      paragraphs.emplace_back();
      open = true;
    }
    paragraphs.back().fields.emplace_back(line.substr(0, colon), base::trimmed(line.substr(colon + 1)));
  }
  return paragraphs;
}

}  // namespace builder::packages
