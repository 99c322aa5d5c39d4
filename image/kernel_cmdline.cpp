#include "image/kernel_cmdline.hpp"

#include <algorithm>
#include <optional>
#include <string>

namespace image {

using base::fail;
using base::Kind;
using base::Result;

Result<verity::RootHash> root_hash_in(std::string_view cmdline) {
  constexpr std::string_view key = "roothash=";
  constexpr std::string_view blanks = " \t\n\v\f\r";
  std::optional<std::string_view> value;
  while (true) {
    cmdline.remove_prefix(std::min(cmdline.find_first_not_of(blanks), cmdline.size()));
    if (cmdline.empty()) break;
    const std::string_view word = cmdline.substr(0, cmdline.find_first_of(blanks));
    cmdline.remove_prefix(word.size());
    if (!word.starts_with(key)) continue;
    if (value) return fail(Kind::invalid_input, "the command line names roothash= twice");
    value = word.substr(key.size());
  }
  if (!value) return fail(Kind::not_found, "the command line names no roothash=");
  return verity::RootHash::parse(*value);
}

}  // namespace image
