#include "builder/run/scratch_directory.hpp"

#include <fcntl.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>

#include "base/bytes.hpp"
#include "base/file.hpp"

namespace builder::run {

namespace {

void remove(const std::string& directory) {
  std::error_code ignored;
  for (int attempt = 0; attempt < 10; ++attempt) {  // somebody may still be writing into it
    std::filesystem::remove_all(directory, ignored);
    if (!ignored) return;
  }
}

}  // namespace

ScratchDirectory::ScratchDirectory(std::string path, base::UndoOnInterrupt undo)
    : path_(std::move(path)), undo_(std::move(undo)) {}

ScratchDirectory::ScratchDirectory(ScratchDirectory&& other) noexcept
    : path_(std::exchange(other.path_, {})), undo_(std::move(other.undo_)) {}

ScratchDirectory::~ScratchDirectory() {
  if (!path_.empty()) remove(path_);
}

base::Result<ScratchDirectory> ScratchDirectory::create() {
  const char* const from_environment = std::getenv("TMPDIR");
  const std::string in = from_environment != nullptr && *from_environment != '\0' ? from_environment : "/tmp";
  // Its name is known only once it is there; an interrupt in between leaves an empty directory at worst.
  std::string path = std::filesystem::absolute(in).string() + "/keelson-run.XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) {
    const int error = errno;
    return base::fail_errno(error, "making a temporary directory in " + in);
  }
  base::UndoOnInterrupt undo([path] { remove(path); });
  return ScratchDirectory(path, std::move(undo));
}

base::Result<> ScratchDirectory::write(const std::string& name, std::string_view content) const {
  TRY(base::File file, base::File::open(path_ + "/" + name, O_WRONLY | O_CREAT | O_EXCL, 0600));
  return file.write_all(0, base::bytes_of(content));
}

}  // namespace builder::run
