#include "image/uki_name.hpp"

#include <algorithm>
#include <charconv>

namespace image {

using base::fail;
using base::Kind;
using base::ok;
using base::Result;

namespace {

constexpr std::string_view suffix = ".efi";
constexpr std::size_t max_file_name = 128;
constexpr std::uint32_t max_tries = 999;
constexpr std::size_t max_digits = 3;

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/// The characters that os-release allows in IMAGE_VERSION, without the underscore, which divides.
Result<> check_part(std::string_view what, std::string_view part) {
  const bool plain = std::ranges::all_of(part, [](char c) { return is_letter_or_digit(c) || c == '.' || c == '-'; });
  if (part.empty() || !plain || !is_letter_or_digit(part.front())) {
    return fail(Kind::invalid_input,
                std::string(what) + " has only a-z, 0-9, dots and minus signs and begins with a letter or digit");
  }
  return ok();
}

std::string padded(std::uint32_t number, std::size_t digits) {
  const std::string text = std::to_string(number);
  return std::string(digits - std::min(digits, text.size()), '0') + text;
}

Result<std::uint32_t> parse_tries(std::string_view digits) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (digits.empty() || digits.size() > max_digits || error != std::errc() || end != digits.data() + digits.size()) {
    return fail(Kind::invalid_input, "a counter has one to three digits");
  }
  return value;
}

Result<BootTries> parse_counter(std::string_view counter) {
  const std::size_t minus = counter.find('-');
  BootTries tries;
  TRY(tries.left, parse_tries(counter.substr(0, minus)));
  if (minus != std::string_view::npos) {
    TRY(tries.done, parse_tries(counter.substr(minus + 1)));
  }
  return tries;
}

Result<UkiName> parse_parts(std::string_view file_name) {
  if (!file_name.ends_with(suffix)) return fail(Kind::invalid_input, "it does not end in .efi");
  std::string_view stem = file_name.substr(0, file_name.size() - suffix.size());
  UkiName name;
  if (const std::size_t plus = stem.rfind('+'); plus != std::string_view::npos) {
    TRY(name.tries, parse_counter(stem.substr(plus + 1)));
    stem = stem.substr(0, plus);
  }
  const std::size_t underscore = stem.find('_');
  if (underscore == std::string_view::npos) return fail(Kind::invalid_input, "there is no \"_\" in front of a version");
  name.id = stem.substr(0, underscore);
  name.version = stem.substr(underscore + 1);
  TRY_DO(check_part("the id", name.id));
  TRY_DO(check_part("the version", name.version));
  return name;
}

}  // namespace

BootAssessment UkiName::assessment() const {
  if (!tries) return BootAssessment::good;
  return tries->left == 0 ? BootAssessment::bad : BootAssessment::indeterminate;
}

Result<std::string> uki_file_name(const UkiName& name) {
  TRY_DO(check_part("the id of a UKI", name.id));
  TRY_DO(check_part("the version of a UKI", name.version));
  std::string file_name = name.entry();
  if (name.tries) {
    const std::uint64_t sum = std::uint64_t{name.tries->left} + name.tries->done;
    if (sum > max_tries) return fail(Kind::invalid_input, std::to_string(sum) + " tries for a boot; 999 are the most");
    const std::size_t digits = std::to_string(sum).size();
    file_name += "+" + padded(name.tries->left, digits) + "-" + padded(name.tries->done, digits);
  }
  file_name += suffix;
  if (file_name.size() > max_file_name) {
    return fail(Kind::invalid_input,
                "a UKI's file name of " + std::to_string(file_name.size()) + " characters; 128 are the most");
  }
  return file_name;
}

Result<std::string> uki_file_name(std::string_view id, std::string_view version, std::uint32_t tries_left,
                                  std::uint32_t tries_done) {
  return uki_file_name(
      {.id = std::string(id), .version = std::string(version), .tries = BootTries{tries_left, tries_done}});
}

Result<UkiName> parse_uki_file_name(std::string_view file_name) {
  if (file_name.size() > max_file_name) {
    return fail(Kind::invalid_input, "a file name of " + std::to_string(file_name.size()) + " characters is no UKI's");
  }
  TRY(UkiName name, parse_parts(file_name), "\"" + std::string(file_name) + "\" is no UKI's name");
  return name;
}

}  // namespace image
