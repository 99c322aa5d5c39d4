#pragma once

#include <string>

#include "base/result.hpp"

namespace builder {

/// The path of the running program.
std::string this_program();

/// The program that an initrd starts: `given`, or $KEELSON_INIT, or the keelson-init that was installed or built with
/// this program. Fails: not_found, with where it was looked for.
base::Result<std::string> find_init(const std::string& given);

}  // namespace builder
