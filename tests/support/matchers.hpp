#pragma once

#include <string>

#include <gmock/gmock.h>

#include "base/result.hpp"

namespace base {

/// So that a failing expectation prints the whole chain of frames.
inline void PrintTo(const Error& error, std::ostream* out) {
  *out << to_string(error.kind()) << ": " << error.message();
}

}  // namespace base

namespace support {

/// A Result that holds a value which matches.
MATCHER_P(Holds, inner, negation ? "holds no such value" : "holds a value that matches") {
  if (!arg.has_value()) {
    *result_listener << "failed: " << to_string(arg.error().kind()) << ": " << arg.error().message();
    return false;
  }
  return testing::ExplainMatchResult(inner, *arg, result_listener);
}

/// A Result that succeeded, whatever its value.
MATCHER(Succeeds, negation ? "fails" : "succeeds") {
  if (arg.has_value()) return true;
  *result_listener << "failed: " << to_string(arg.error().kind()) << ": " << arg.error().message();
  return false;
}

/// A Result that failed with this kind and a message that matches. There is no matcher for "just failed", on purpose.
MATCHER_P2(FailsWith, kind, message,
           std::string("fails with ") + base::to_string(kind) + " and a message that " +
               testing::DescribeMatcher<std::string>(message, negation)) {
  if (arg.has_value()) {
    *result_listener << "succeeded";
    return false;
  }
  *result_listener << to_string(arg.error().kind()) << ": " << arg.error().message();
  return arg.error().kind() == kind && testing::Matches(message)(arg.error().message());
}

}  // namespace support
