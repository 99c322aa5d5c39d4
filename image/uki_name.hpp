#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace image {

/// Boot counting of the Boot Loader Specification. The loader takes one from `left` and adds one to `done` at each
/// start.
struct BootTries {
  std::uint32_t left = 0;
  std::uint32_t done = 0;

  friend bool operator==(const BootTries&, const BootTries&) = default;
};

enum class BootAssessment {
  good,           // no counter: a boot has been blessed
  indeterminate,  // on trial
  bad,            // no tries left; the loader takes it last
};

/// What the name of a UKI in EFI/Linux/ says: "<id>_<version>.efi" or "<id>_<version>+<left>-<done>.efi".
struct UkiName {
  std::string id;  // like `version`: of a-z, 0-9, dot and minus, the first a letter or digit
  std::string version;
  std::optional<BootTries> tries;  // nothing: good

  BootAssessment assessment() const;
  /// "<id>_<version>": what stays when the counter goes.
  std::string entry() const { return id + "_" + version; }

  friend bool operator==(const UkiName&, const UkiName&) = default;
};

/// The file name. Both numbers have as many digits as the sum of both takes, because that sum stays: a rename that
/// changes the length of a name is not atomic on FAT. Fails: invalid_input (other characters, an empty part, a name of
/// more than 128 characters, more than 999 tries).
base::Result<std::string> uki_file_name(const UkiName& name);
base::Result<std::string> uki_file_name(std::string_view id, std::string_view version, std::uint32_t tries_left,
                                        std::uint32_t tries_done);

/// Reads such a name. Counters of other widths are read too, and "+<left>" alone, which counts as "-0": the
/// specification allows them, and other tools write them. Fails: invalid_input, with the name.
base::Result<UkiName> parse_uki_file_name(std::string_view file_name);

}  // namespace image
