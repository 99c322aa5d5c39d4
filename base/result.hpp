#pragma once

#include <expected>
#include <string>
#include <utility>
#include <vector>

namespace base {

/// What a caller can decide on. Add one only when some caller would act differently.
enum class Kind {
  invalid_input,  // the request itself is wrong; trying again cannot help
  not_found,
  permission,
  no_space,
  busy,
  io,
  corrupt,    // bytes that do not match what vouches for them
  untrusted,  // nothing we trust vouches for the bytes
  unsupported,
  cancelled,  // stopped by the user or by a time limit
};

/// The name that JSON output and D-Bus errors carry: "invalid_input", "not_found", ...
const char* to_string(Kind kind);

/// A kind to decide on, and frames to understand: each layer adds what *it* was doing, once.
class [[nodiscard]] Error {
 public:
  Error(Kind kind, std::string what);

  /// Adds an outer frame: what the caller was doing, naming the object ("opening /dev/sda3").
  Error&& while_doing(std::string doing) &&;

  Kind kind() const { return kind_; }
  /// All frames, outermost first, joined with ": ".
  std::string message() const;

 private:
  Kind kind_;
  std::vector<std::string> frames_;  // innermost first
};

/// The success of something that has nothing to return.
struct Unit {};

template <class T = Unit>
using Result = std::expected<T, Error>;

inline Result<> ok() {
  return Unit{};
}

/// A failure, ready to return from a function whose result is a Result.
inline std::unexpected<Error> fail(Kind kind, std::string what) {
  return std::unexpected(Error(kind, std::move(what)));
}

/// A failed system call. `error_number` is errno, captured by the caller on the line after the call.
std::unexpected<Error> fail_errno(int error_number, std::string what);

}  // namespace base

#define KEELSON_JOIN_(a, b) a##b
#define KEELSON_JOIN(a, b) KEELSON_JOIN_(a, b)
#define KEELSON_TRY_(result, declaration, expression, ...)                                   \
  auto result = (expression);                                                                \
  if (!result.has_value()) {                                                                 \
    return std::unexpected(std::move(result).error() __VA_OPT__(.while_doing(__VA_ARGS__))); \
  }                                                                                          \
  declaration = *std::move(result)

/// TRY(declaration, expression[, frame]): binds the value, or returns the error with the frame added.
/// The frame is evaluated only on failure.
#define TRY(declaration, expression, ...) \
  KEELSON_TRY_(KEELSON_JOIN(try_result_, __LINE__), declaration, expression __VA_OPT__(, ) __VA_ARGS__)

/// TRY_DO(expression[, frame]): the same for a Result without a value.
#define TRY_DO(expression, ...)                                                                    \
  do {                                                                                             \
    if (auto try_result = (expression); !try_result.has_value()) {                                 \
      return std::unexpected(std::move(try_result).error() __VA_OPT__(.while_doing(__VA_ARGS__))); \
    }                                                                                              \
  } while (false)
