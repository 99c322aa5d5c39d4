#include "agent/boot_loader/os_release.hpp"

#include "base/lines.hpp"

namespace agent::boot_loader {

namespace {

/// One word, as a shell reads it: 'as it is', "with \" escapes", or plain.
std::string unquoted(std::string_view word) {
  std::string text;
  char quote = '\0';
  for (std::size_t i = 0; i < word.size(); ++i) {
    const char c = word[i];
    if (quote == '\0' && (c == '"' || c == '\'')) {
      quote = c;
    } else if (c == quote) {
      quote = '\0';
    } else if (c == '\\' && quote != '\'' && i + 1 < word.size()) {
      text += word[++i];
    } else {
      text += c;
    }
  }
  return text;
}

}  // namespace

std::optional<std::string> os_release_value(std::string_view text, std::string_view key) {
  std::optional<std::string> value;
  for (const std::string_view whole : base::lines_of(text)) {
    const std::string_view line = base::trimmed(whole);
    if (line.size() <= key.size() || !line.starts_with(key) || line[key.size()] != '=') continue;
    value = unquoted(line.substr(key.size() + 1));
  }
  return value;
}

std::optional<std::string> entry_stem_in(std::string_view os_release) {
  const auto id = os_release_value(os_release, "IMAGE_ID");
  const auto version = os_release_value(os_release, "IMAGE_VERSION");
  if (!id || !version || id->empty() || version->empty()) return std::nullopt;
  return *id + "_" + *version;
}

}  // namespace agent::boot_loader
