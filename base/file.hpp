#pragma once

#include <fcntl.h>
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace base {

/// An open regular file or block device together with the name that its errors carry.
class File {
 public:
  /// open(2) with O_CLOEXEC added. Fails: not_found, permission, io; the frame names the path.
  static Result<File> open(const std::string& path, int flags, mode_t mode = 0);
  /// A file of no name, for reading and writing, that is gone when it is closed. In `directory`, or if that is empty in
  /// $TMPDIR, or else in /var/tmp. Fails: not_found, permission, no_space, io.
  static Result<File> nameless(std::string directory);
  /// Takes over a descriptor; `name` is what errors call it.
  static File adopt(UniqueFd fd, std::string name);

  int fd() const { return fd_.get(); }
  const std::string& name() const { return name_; }

  /// Bytes in a regular file, or the capacity of a block device. Fails: io; invalid_input for anything else.
  Result<std::uint64_t> size() const;
  /// Fills `into` from `offset` (bytes). Fails: io; corrupt when the file ends first.
  Result<> read_exactly(std::uint64_t offset, MutableByteView into) const;
  /// Writes all of `from` at `offset` (bytes). Not durable before sync(). Fails: no_space, io.
  Result<> write_all(std::uint64_t offset, ByteView from);
  /// fsync(2). A failure condemns what was written: the kernel may have dropped it. Never retry as success.
  Result<> sync();
  /// ftruncate(2), for regular files.
  Result<> resize(std::uint64_t size_bytes);

 private:
  File(UniqueFd fd, std::string name) : fd_(std::move(fd)), name_(std::move(name)) {}

  UniqueFd fd_;
  std::string name_;
};

/// Makes the directory `path` and those above it that are missing; one that is there is left as it is.
/// Fails: permission, no_space, io; not_found (something on the way is no directory).
Result<> make_directories(const std::string& path);

/// The whole of a small file. Fails: not_found, permission, io; invalid_input when it is longer than `max_bytes`.
Result<std::string> read_file(const std::string& path, std::size_t max_bytes);
/// The same from a descriptor's current position, for pipes and standard input too.
Result<std::string> read_all(int fd, std::string_view name, std::size_t max_bytes);

}  // namespace base
