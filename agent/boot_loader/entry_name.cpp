#include "agent/boot_loader/entry_name.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>

namespace agent::boot_loader {

namespace {

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::optional<std::uint32_t> number(std::string_view digits) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

std::optional<image::BootTries> counter(std::string_view text) {
  const std::size_t minus = text.find('-');
  const auto left = number(text.substr(0, minus));
  const auto done = minus == std::string_view::npos ? std::optional<std::uint32_t>(0) : number(text.substr(minus + 1));
  if (!left || !done) return std::nullopt;
  return image::BootTries{*left, *done};
}

}  // namespace

EntryName EntryName::of(std::string_view file_name) {
  EntryName name{.stem = std::string(file_name), .tries = {}};
  std::ranges::transform(name.stem, name.stem.begin(), lower);
  for (const std::string_view suffix : {".efi", ".conf"}) {
    if (!name.stem.ends_with(suffix)) continue;
    name.stem.resize(name.stem.size() - suffix.size());
    break;
  }
  const std::size_t plus = name.stem.rfind('+');
  if (plus == std::string::npos) return name;
  name.tries = counter(std::string_view(name.stem).substr(plus + 1));
  if (name.tries) name.stem.resize(plus);
  return name;
}

}  // namespace agent::boot_loader
