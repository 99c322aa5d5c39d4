#pragma once

#include <cstddef>
#include <set>
#include <vector>

#include "builder/packages/control.hpp"

namespace builder::packages {

/// Of packages that are to be installed together: those that are essential, and all that they need, by their places in
/// `controls`. Of alternatives each that is there counts, so that it may be more than the least. Versions are not
/// looked at: whoever chose the packages did.
std::set<std::size_t> essential_closure(const std::vector<Paragraph>& controls);

}  // namespace builder::packages
