#pragma once

#include <string>

#include "base/result.hpp"

namespace builder {

/// The path of the running program.
std::string this_program();

/// The programs that go into an image, by their paths.
struct ImagePrograms {
  std::string init;  // keelson-init: what an initrd starts
  std::string boot;  // keelson-boot: what looks after the boot loader
};

/// Those in `directory`, or in $KEELSON_PROGRAMS, or the ones that were installed or built with this program. `init`
/// counts more, and so does $KEELSON_INIT; either may be empty. Fails: not_found, with where it was looked for.
base::Result<ImagePrograms> find_image_programs(const std::string& directory, const std::string& init);

}  // namespace builder
