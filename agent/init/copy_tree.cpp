#include "agent/init/copy_tree.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdint>

#include "base/bytes.hpp"
#include "base/directory.hpp"
#include "base/file.hpp"

namespace agent::init {

using base::fail_errno;
using base::ok;
using base::Result;

namespace {

constexpr std::size_t piece_size = std::size_t{64} << 10;

/// -1 and errno as a failure that names what was done to which path.
Result<> checked(long returned, const char* doing, const std::string& path) {
  if (returned >= 0) return ok();
  const int error = errno;
  return fail_errno(error, std::string(doing) + " " + path);
}

Result<> copy_bytes(const std::string& from, const std::string& to) {
  TRY(const base::File source, base::File::open(from, O_RDONLY));
  TRY(base::File target, base::File::open(to, O_WRONLY | O_CREAT | O_EXCL, 0600));
  TRY(const std::uint64_t size, source.size());
  base::Bytes piece(std::min<std::uint64_t>(size, piece_size));
  for (std::uint64_t done = 0; done < size;) {
    const auto part = base::MutableByteView(piece).first(std::min<std::uint64_t>(piece.size(), size - done));
    TRY_DO(source.read_exactly(done, part));
    TRY_DO(target.write_all(done, part));
    done += part.size();
  }
  return ok();
}

Result<> copy_link(const std::string& from, const std::string& to) {
  std::string target(PATH_MAX, '\0');
  const ssize_t length = ::readlink(from.c_str(), target.data(), target.size());
  TRY_DO(checked(length, "reading the link", from));
  target.resize(static_cast<std::size_t>(length));
  return checked(::symlink(target.c_str(), to.c_str()), "making the link", to);
}

Result<> copy_attribute(const std::string& from, const std::string& to, const char* name) {
  base::Bytes value(XATTR_SIZE_MAX);
  const ssize_t length = ::lgetxattr(from.c_str(), name, value.data(), value.size());
  TRY_DO(checked(length, "reading an attribute of", from), name);
  return checked(::lsetxattr(to.c_str(), name, value.data(), static_cast<std::size_t>(length), 0),
                 "setting the attribute", std::string(name) + " of " + to);
}

Result<> copy_attributes(const std::string& from, const std::string& to) {
  const ssize_t room = ::llistxattr(from.c_str(), nullptr, 0);
  if (room == 0 || (room < 0 && errno == EOPNOTSUPP)) return ok();
  TRY_DO(checked(room, "listing the attributes of", from));
  std::string names(static_cast<std::size_t>(room), '\0');
  const ssize_t length = ::llistxattr(from.c_str(), names.data(), names.size());
  TRY_DO(checked(length, "listing the attributes of", from));
  for (std::size_t at = 0; at < static_cast<std::size_t>(length); at = names.find('\0', at) + 1) {
    TRY_DO(copy_attribute(from, to, &names[at]));  // each ends with NUL in its place
  }
  return ok();
}

/// Owner before permissions and attributes: a change of owner takes set-user-ID bits and capabilities away. Times last.
Result<> copy_facts(const struct stat& status, const std::string& from, const std::string& to) {
  TRY_DO(checked(::lchown(to.c_str(), status.st_uid, status.st_gid), "giving an owner to", to));
  if (!S_ISLNK(status.st_mode)) {
    TRY_DO(checked(::chmod(to.c_str(), status.st_mode & 07777U), "setting the permissions of", to));
  }
  TRY_DO(copy_attributes(from, to));
  const timespec times[] = {status.st_mtim, status.st_mtim};
  return checked(::utimensat(AT_FDCWD, to.c_str(), times, AT_SYMLINK_NOFOLLOW), "setting the time of", to);
}

Result<> copy_directory(const std::string& from, const std::string& to) {
  TRY_DO(checked(::mkdir(to.c_str(), 0700), "making the directory", to));
  TRY(const auto entries, base::entries_of(from));
  for (const std::string& entry : entries) {
    std::string source = from;
    std::string target = to;
    TRY_DO(copy_tree(source.append("/").append(entry), target.append("/").append(entry)));
  }
  return ok();
}

}  // namespace

Result<> copy_tree(const std::string& from, const std::string& to) {
  struct stat status{};
  TRY_DO(checked(::lstat(from.c_str(), &status), "examining", from));
  switch (status.st_mode & S_IFMT) {
    case S_IFDIR:
      TRY_DO(copy_directory(from, to));
      break;
    case S_IFREG:
      TRY_DO(copy_bytes(from, to));
      break;
    case S_IFLNK:
      TRY_DO(copy_link(from, to));
      break;
    default:
      TRY_DO(checked(::mknod(to.c_str(), status.st_mode, status.st_rdev), "making the node", to));
      break;
  }
  return copy_facts(status, from, to);
}

}  // namespace agent::init
