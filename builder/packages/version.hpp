#pragma once

#include <string>

namespace builder::packages {

/// Orders two versions of Debian's: negative, zero, positive. Source: Debian Policy 5.6.12; libapt-pkg.
int compare_versions(const std::string& a, const std::string& b);

}  // namespace builder::packages
