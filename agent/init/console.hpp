#pragma once

#include <string>

namespace agent::init {

/// What the person at the console and the kernel's log are told. Stateless but for the wish to hear more, so that it
/// works from the first moment on, with or without /dev and /proc.
class Console {
 public:
  enum class Detail { usual, debug };

  explicit Console(Detail detail) : detail_(detail) {}

  /// What ends this boot.
  void error(const std::string& text) const;
  /// What the machine goes on without.
  void warning(const std::string& text) const;
  /// What happens, with the time since the kernel started; shown with keelson.debug only.
  void debug(const std::string& text) const;

 private:
  Detail detail_;
};

}  // namespace agent::init
