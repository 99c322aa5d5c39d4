#include "base/file.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <utility>

namespace base {

namespace {

std::string bytes_at(std::size_t count, std::uint64_t offset) {
  return std::to_string(count) + " bytes at offset " + std::to_string(offset);
}

}  // namespace

Result<File> File::open(const std::string& path, int flags, mode_t mode) {
  int fd = -1;
  do {
    fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) {
    const int error = errno;
    return fail_errno(error, "opening " + path);
  }
  return adopt(UniqueFd(fd), path);
}

Result<File> File::nameless(std::string directory) {
  if (directory.empty()) {
    const char* const from_environment = std::getenv("TMPDIR");  // NOLINT(concurrency-mt-unsafe): nobody changes it
    directory = from_environment != nullptr && *from_environment != '\0' ? from_environment : "/var/tmp";
  }
  // Not O_TMPFILE: not every file system has it (overlayfs of 6.1 does not).
  std::string path = directory + "/keelson.XXXXXX";
  UniqueFd fd(::mkostemp(path.data(), O_CLOEXEC));
  if (!fd) {
    const int error = errno;
    return fail_errno(error, "making a temporary file in " + directory);
  }
  if (::unlink(path.c_str()) != 0) {
    const int error = errno;
    return fail_errno(error, "removing the name " + path);
  }
  return adopt(std::move(fd), "a temporary file in " + directory);
}

File File::adopt(UniqueFd fd, std::string name) {
  return {std::move(fd), std::move(name)};
}

Result<std::uint64_t> File::size() const {
  struct stat status{};
  if (::fstat(fd(), &status) != 0) {
    const int error = errno;
    return fail_errno(error, "examining " + name_);
  }
  if (S_ISREG(status.st_mode)) return static_cast<std::uint64_t>(status.st_size);
  if (!S_ISBLK(status.st_mode)) {
    return fail(Kind::invalid_input, name_ + " is neither a regular file nor a block device");
  }
  std::uint64_t capacity = 0;
  if (::ioctl(fd(), BLKGETSIZE64, &capacity) != 0) {
    const int error = errno;
    return fail_errno(error, "asking for the size of " + name_);
  }
  return capacity;
}

Result<> File::read_exactly(std::uint64_t offset, MutableByteView into) const {
  const std::size_t wanted = into.size();
  const std::uint64_t start = offset;
  while (!into.empty()) {
    const ssize_t got = ::pread(fd(), into.data(), into.size(), static_cast<off_t>(offset));
    if (got < 0) {
      const int error = errno;
      if (error == EINTR) continue;
      return fail_errno(error, "reading " + bytes_at(wanted, start) + " of " + name_);
    }
    if (got == 0) {
      return fail(Kind::corrupt, name_ + " ends at " + std::to_string(offset) + " bytes, inside the " +
                                     bytes_at(wanted, start) + " that are needed");
    }
    into = into.subspan(static_cast<std::size_t>(got));
    offset += static_cast<std::uint64_t>(got);
  }
  return ok();
}

Result<> File::write_all(std::uint64_t offset, ByteView from) {
  while (!from.empty()) {
    const ssize_t put = ::pwrite(fd(), from.data(), from.size(), static_cast<off_t>(offset));
    if (put < 0) {
      const int error = errno;
      if (error == EINTR) continue;
      return fail_errno(error, "writing " + bytes_at(from.size(), offset) + " of " + name_);
    }
    from = from.subspan(static_cast<std::size_t>(put));
    offset += static_cast<std::uint64_t>(put);
  }
  return ok();
}

Result<> File::sync() {
  if (::fsync(fd()) != 0) {
    const int error = errno;
    return fail_errno(error, "flushing " + name_);
  }
  return ok();
}

Result<> File::resize(std::uint64_t size_bytes) {
  if (::ftruncate(fd(), static_cast<off_t>(size_bytes)) != 0) {
    const int error = errno;
    return fail_errno(error, "resizing " + name_ + " to " + std::to_string(size_bytes) + " bytes");
  }
  return ok();
}

Result<> make_directories(const std::string& path) {
  const auto failed = [&](int error) { return fail_errno(error, "making the directory " + path); };
  for (std::size_t end = 0; end != std::string::npos;) {
    end = path.find('/', end + 1);
    if (::mkdir(path.substr(0, end).c_str(), 0777) == 0) continue;
    if (const int error = errno; error != EEXIST) return failed(error);
  }
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) {
    const int error = errno;
    return failed(error);
  }
  return S_ISDIR(status.st_mode) ? ok() : failed(ENOTDIR);
}

Result<std::string> read_all(int fd, std::string_view name, std::size_t max_bytes) {
  std::string text;
  constexpr std::size_t step = std::size_t{64} * 1024;
  while (true) {
    const std::size_t old_size = text.size();
    const std::size_t room =
        std::min(step, max_bytes + 1 - old_size);  // one byte more tells "too long" from "just fits"
    text.resize(old_size + room);
    const ssize_t got = ::read(fd, text.data() + old_size, room);
    const int error = errno;
    text.resize(old_size + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got < 0) {
      if (error == EINTR) continue;
      return fail_errno(error, "reading " + std::string(name));
    }
    if (got == 0) return text;
    if (text.size() > max_bytes) {
      return fail(Kind::invalid_input, std::string(name) + " is longer than the " + std::to_string(max_bytes) +
                                           " bytes that are allowed here");
    }
  }
}

Result<std::string> read_file(const std::string& path, std::size_t max_bytes) {
  TRY(const File file, File::open(path, O_RDONLY));
  return read_all(file.fd(), path, max_bytes);
}

}  // namespace base
