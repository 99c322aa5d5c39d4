#include "agent/boot_loader/efi_variables.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "base/directory.hpp"
#include "base/file.hpp"

namespace agent::boot_loader {

using base::Bytes;
using base::ByteView;
using base::fail;
using base::fail_errno;
using base::File;
using base::Kind;
using base::ok;
using base::Result;

namespace {

constexpr std::size_t attributes_size = 4;
// EFI_VARIABLE_NON_VOLATILE, _BOOTSERVICE_ACCESS, _RUNTIME_ACCESS
constexpr std::uint32_t attributes = 0x1 | 0x2 | 0x4;
constexpr mode_t mode = 0644;

/// How efivarfs ends the name of a variable's file.
std::string_view suffix_of(Vendor vendor) {
  return vendor == Vendor::efi_global ? "-8be4df61-93ca-11d2-aa0d-00e098032b8c"
                                      : "-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
}

/// efivarfs marks as immutable what it does not know to be harmless, lest a `rm -r` spoil a firmware. Other file
/// systems have no such mark, or need none.
Result<> make_changeable(const std::string& path) {
  const auto file = File::open(path, O_RDONLY | O_NOCTTY);
  if (!file) return ok();  // whoever changes it will say why it cannot be opened
  int flags = 0;
  if (::ioctl(file->fd(), FS_IOC_GETFLAGS, &flags) != 0 || (flags & FS_IMMUTABLE_FL) == 0) return ok();
  flags &= ~FS_IMMUTABLE_FL;
  if (::ioctl(file->fd(), FS_IOC_SETFLAGS, &flags) != 0) {
    const int error = errno;
    return fail_errno(error, "making " + path + " changeable");
  }
  return ok();
}

/// In one piece, for each write is a SetVariable() of the whole.
Result<> put(const File& file, ByteView value) {
  Bytes content(attributes_size + value.size());
  base::store_le(content.data(), attributes);
  std::ranges::copy(value, content.begin() + attributes_size);
  const ssize_t written = ::write(file.fd(), content.data(), content.size());
  if (written < 0) {
    const int error = errno;
    return fail_errno(error, "writing " + file.name());
  }
  if (written != static_cast<ssize_t>(content.size())) return fail(Kind::io, file.name() + " was written in part");
  TRY(const std::uint64_t size, file.size());
  if (size <= content.size()) return ok();
  // Where files are but files, the end of a longer value is still there.
  if (::ftruncate(file.fd(), written) != 0) {
    const int error = errno;
    return fail_errno(error, "shortening " + file.name());
  }
  return ok();
}

}  // namespace

std::string EfiVariables::path_of(Vendor vendor, const std::string& name) const {
  return directory_ + "/" + name + std::string(suffix_of(vendor));
}

bool EfiVariables::any() const {
  const auto entries = base::entries_of(directory_);
  return entries && !entries->empty();
}

Result<std::optional<Bytes>> EfiVariables::read(Vendor vendor, const std::string& name) const {
  auto file = base::read_file(path_of(vendor, name), attributes_size + max_variable_size);
  if (!file && file.error().kind() == Kind::not_found) return std::nullopt;
  TRY(const std::string content, std::move(file));
  if (content.empty()) return std::nullopt;  // made, and never written
  if (content.size() < attributes_size) {
    return fail(Kind::corrupt, "the variable " + name + " is shorter than its attributes");
  }
  const ByteView value = base::bytes_of(content).subspan(attributes_size);
  return Bytes(value.begin(), value.end());
}

Result<std::vector<std::string>> EfiVariables::names(Vendor vendor) const {
  const std::string_view suffix = suffix_of(vendor);
  TRY(std::vector<std::string> names, base::entries_of(directory_));
  std::erase_if(names, [&](const std::string& name) { return !name.ends_with(suffix); });
  for (std::string& name : names) name.resize(name.size() - suffix.size());
  return names;
}

Result<> EfiVariables::create(Vendor vendor, const std::string& name, ByteView value) const {
  const std::string path = path_of(vendor, name);
  if (::access(path.c_str(), F_OK) == 0) return fail(Kind::busy, "there is a variable " + name + " already");
  TRY(const File file, File::open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOCTTY, mode));
  auto written = put(file, value);
  if (!written) (void)remove(vendor, name);
  return written;
}

Result<> EfiVariables::write(Vendor vendor, const std::string& name, ByteView value) const {
  if (const auto before = read(vendor, name); before && *before && std::ranges::equal(**before, value)) return ok();
  const std::string path = path_of(vendor, name);
  TRY_DO(make_changeable(path));
  TRY(const File file, File::open(path, O_WRONLY | O_CREAT | O_NOCTTY, mode));
  return put(file, value);
}

Result<> EfiVariables::remove(Vendor vendor, const std::string& name) const {
  const std::string path = path_of(vendor, name);
  TRY_DO(make_changeable(path));
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    const int error = errno;
    return fail_errno(error, "removing " + path);
  }
  return ok();
}

}  // namespace agent::boot_loader
