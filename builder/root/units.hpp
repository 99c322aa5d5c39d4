#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "builder/manifest/manifest.hpp"
#include "builder/root/draft.hpp"

namespace builder::root {

/// What a unit's [Install] section asks for. Source: systemd.unit(5).
struct InstallSection {
  std::vector<std::string> wanted_by;
  std::vector<std::string> required_by;
  std::vector<std::string> upheld_by;
  std::vector<std::string> aliases;
  std::vector<std::string> also;
  std::string default_instance;

  bool empty() const {
    return wanted_by.empty() && required_by.empty() && upheld_by.empty() && aliases.empty() && also.empty();
  }
};
InstallSection parse_install(std::string_view unit_file);

/// Brings the manifest's units into a root: files into /usr/lib/systemd/system, and as `systemctl --root` would the
/// links of those that are enabled, none of those that are disabled, and links to /dev/null for those that are masked,
/// all below /etc/systemd/system; and a preset file that says the same.
/// Fails: invalid_input (a unit that there is not, with what may be meant; one without an [Install] section)
base::Result<> add_units(Draft& root, const manifest::Units& units, const std::vector<std::string>& contents);

}  // namespace builder::root
