#pragma once

#include <cstdlib>
#include <string>

namespace support {

/// The archive of a container host of real packages: what scripts/fetch-test-root makes, or what $KEELSON_TEST_ROOT
/// names. It need not be there.
inline std::string test_root() {
  const char* given = std::getenv("KEELSON_TEST_ROOT");  // NOLINT(concurrency-mt-unsafe): nobody changes it
  return given != nullptr ? given : KEELSON_SOURCE "/build/test-root.tar";
}

}  // namespace support
