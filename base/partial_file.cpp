#include "base/partial_file.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <utility>

namespace base {

namespace {

std::string directory_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

/// Unique on this machine while we run: two programs that write the same file do not write into each other's.
std::string partial_name(const std::string& path) {
  static std::atomic<unsigned> counter = 0;
  return path + ".partial-" + std::to_string(::getpid()) + "-" + std::to_string(++counter);
}

Result<> check_replaceable(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0 || S_ISREG(status.st_mode)) return ok();
  return fail(Kind::invalid_input, path + " is there and is no regular file; it cannot be replaced by one");
}

}  // namespace

PartialFile::PartialFile(std::string path, std::string partial, UndoOnInterrupt undo, File file)
    : path_(std::move(path)), partial_(std::move(partial)), undo_(std::move(undo)), file_(std::move(file)) {}

PartialFile::PartialFile(PartialFile&& other) noexcept
    : path_(std::exchange(other.path_, {})),
      partial_(std::move(other.partial_)),
      undo_(std::move(other.undo_)),
      file_(std::move(other.file_)) {}

PartialFile& PartialFile::operator=(PartialFile&& other) noexcept {
  if (this == &other) return *this;
  if (!path_.empty()) (void)::unlink(partial_.c_str());
  path_ = std::exchange(other.path_, {});
  partial_ = std::move(other.partial_);
  undo_ = std::move(other.undo_);
  file_ = std::move(other.file_);
  return *this;
}

PartialFile::~PartialFile() {
  if (!path_.empty()) (void)::unlink(partial_.c_str());
}

Result<PartialFile> PartialFile::create(const std::string& path, mode_t mode) {
  TRY_DO(check_replaceable(path));
  const std::string partial = partial_name(path);
  UndoOnInterrupt undo([partial] { (void)::unlink(partial.c_str()); });
  constexpr int flags = O_RDWR | O_CREAT | O_EXCL;
  auto file = File::open(partial, flags, mode);
  if (!file && ::unlink(partial.c_str()) == 0)
    file = File::open(partial, flags, mode);  // a dead process' of our number
  if (!file) return std::unexpected(std::move(file).error());
  return PartialFile(path, partial, std::move(undo), *std::move(file));
}

Result<std::unique_ptr<FileDevice>> PartialFile::device(std::uint64_t size_bytes) const {
  TRY(auto device, FileDevice::open(partial_, Access::read_write));
  TRY_DO(device->grow(size_bytes));
  return device;
}

Result<> PartialFile::complete(Durability durability) {
  const bool durable = durability == Durability::power_cut_safe;
  if (durable) TRY_DO(file_.sync());
  if (std::rename(partial_.c_str(), path_.c_str()) != 0) {
    const int error = errno;
    return fail_errno(error, "renaming " + partial_ + " to " + path_);
  }
  const std::string directory_path = directory_of(path_);
  path_.clear();
  undo_.done();
  if (!durable) return ok();
  TRY(File directory, File::open(directory_path, O_RDONLY | O_DIRECTORY));
  return directory.sync();
}

Result<> replace_file(const std::string& path, ByteView content, mode_t mode) {
  TRY(PartialFile partial, PartialFile::create(path, mode));
  TRY_DO(partial.file().write_all(0, content));
  if (::fchmod(partial.file().fd(), mode) != 0) {
    const int error = errno;
    return fail_errno(error, "setting the mode of " + partial.partial());
  }
  return partial.complete();
}

}  // namespace base
