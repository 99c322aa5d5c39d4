#pragma once

#include "base/result.hpp"

namespace base {

/// What our programs exit with; documented in their manuals.
enum class ExitStatus {
  success = 0,
  failure = 1,      // the machine, the network, a missing file, a tool
  usage = 2,        // the command line or an input file is wrong
  not_genuine = 3,  // bytes that do not match their root hash, or a signature by nobody we trust
  cancelled = 130,  // as a shell reports an interrupt
};

constexpr ExitStatus exit_status_for(Kind kind) {
  switch (kind) {
    case Kind::invalid_input:
    case Kind::unsupported:
      return ExitStatus::usage;
    case Kind::corrupt:
    case Kind::untrusted:
      return ExitStatus::not_genuine;
    case Kind::cancelled:
      return ExitStatus::cancelled;
    default:
      return ExitStatus::failure;
  }
}

}  // namespace base
