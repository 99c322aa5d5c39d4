#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>

#include "base/block_device.hpp"
#include "base/file.hpp"
#include "base/interrupt.hpp"
#include "base/result.hpp"

namespace base {

/// Whether what is written outlives a power cut on return. Without it a file is whole or absent as far as other
/// programs see, which is enough for what a build would make again.
enum class Durability { power_cut_safe, none };

/// A new regular file that gets its name when it is complete: it is written beside that name, and removed when the work
/// on it fails or is interrupted. What was there before stays until then.
class PartialFile {
 public:
  /// Makes the empty file "<path>.partial-<process>-<n>". Fails: permission, not_found, no_space, io; invalid_input
  /// (`path` is a device or a directory, which no file can replace).
  static Result<PartialFile> create(const std::string& path, mode_t mode = 0644);
  PartialFile(PartialFile&& other) noexcept;
  PartialFile& operator=(PartialFile&& other) noexcept;
  PartialFile(const PartialFile&) = delete;
  PartialFile& operator=(const PartialFile&) = delete;
  ~PartialFile();

  /// Where it is until it is complete.
  const std::string& partial() const { return partial_; }
  /// The file, open for reading and writing.
  File& file() { return file_; }
  /// The same as a device of `size_bytes`, all holes but for what is written.
  Result<std::unique_ptr<FileDevice>> device(std::uint64_t size_bytes) const;

  /// Flushes, renames, flushes the directory: durable on return, if that is asked for. Call once.
  /// Fails: io, no_space, permission.
  Result<> complete(Durability durability = Durability::power_cut_safe);

 private:
  PartialFile(std::string path, std::string partial, UndoOnInterrupt undo, File file);

  std::string path_;  // empty: nothing to remove
  std::string partial_;
  UndoOnInterrupt undo_;
  File file_;
};

/// Replaces the file `path` by `content`, or leaves the old one untouched. Durable on return. `mode` is the file's,
/// whatever the umask. Fails: permission, not_found, no_space, io; invalid_input as PartialFile::create().
Result<> replace_file(const std::string& path, ByteView content, mode_t mode = 0644);

}  // namespace base
