#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/interrupt.hpp"
#include "base/result.hpp"

namespace builder::run {

/// A new directory in $TMPDIR, or else /tmp, for its owner only; removed with everything in it when the object goes
/// away and when we are interrupted.
class ScratchDirectory {
 public:
  /// Fails: not_found, permission, no_space, io.
  static base::Result<ScratchDirectory> create();
  ScratchDirectory(ScratchDirectory&& other) noexcept;
  ScratchDirectory& operator=(ScratchDirectory&&) = delete;
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  ~ScratchDirectory();

  const std::string& path() const { return path_; }
  /// A new file, mode 0600. Fails: no_space, io.
  base::Result<> write(const std::string& name, std::string_view content) const;

 private:
  ScratchDirectory(std::string path, base::UndoOnInterrupt undo);

  std::string path_;  // empty: nothing to remove
  base::UndoOnInterrupt undo_;
};

}  // namespace builder::run
