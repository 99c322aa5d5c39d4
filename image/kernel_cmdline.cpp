#include "image/kernel_cmdline.hpp"

#include <algorithm>
#include <optional>
#include <string>

namespace image {

using base::fail;
using base::Kind;
using base::Result;

namespace {

/// What stands behind a key that may be there once.
Result<std::optional<std::string_view>> only_value(std::string_view cmdline, std::string_view key) {
  std::optional<std::string_view> value;
  for (const std::string_view word : words_of(cmdline)) {
    if (!word.starts_with(key)) continue;
    if (value) return fail(Kind::invalid_input, "the command line names " + std::string(key) + " twice");
    value = word.substr(key.size());
  }
  return value;
}

}  // namespace

std::vector<std::string_view> words_of(std::string_view cmdline) {
  constexpr std::string_view blanks = " \t\n\v\f\r";
  std::vector<std::string_view> words;
  while (true) {
    cmdline.remove_prefix(std::min(cmdline.find_first_not_of(blanks), cmdline.size()));
    if (cmdline.empty()) return words;
    words.push_back(cmdline.substr(0, cmdline.find_first_of(blanks)));
    cmdline.remove_prefix(words.back().size());
  }
}

Result<verity::RootHash> root_hash_in(std::string_view cmdline) {
  TRY(const auto value, only_value(cmdline, "roothash="));
  if (!value) return fail(Kind::not_found, "the command line names no roothash=");
  return verity::RootHash::parse(*value);
}

Result<std::optional<base::Sha256Digest>> signature_digest_in(std::string_view cmdline) {
  TRY(const auto value, only_value(cmdline, signature_key));
  if (!value) return std::nullopt;
  base::Sha256Digest digest{};
  const auto bytes = base::from_hex(*value);
  if (!bytes || bytes->size() != digest.size()) {
    return fail(Kind::invalid_input,
                "the command line says " + std::string(signature_key) + std::string(*value) + "; 64 digits it may be");
  }
  std::ranges::copy(*bytes, digest.begin());
  return digest;
}

}  // namespace image
