#include "builder/packages/version.hpp"

#include <apt-pkg/debversion.h>

namespace builder::packages {

int compare_versions(const std::string& a, const std::string& b) {
  return debVS.CmpVersion(a, b);
}

}  // namespace builder::packages
