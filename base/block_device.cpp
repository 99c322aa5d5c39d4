#include "base/block_device.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace base {

namespace {

Result<> check_range(const BlockDevice& device, std::uint64_t offset, std::size_t count, Kind kind) {
  if (offset <= device.size_bytes() && count <= device.size_bytes() - offset) return ok();
  return fail(kind, device.name() + " has " + std::to_string(device.size_bytes()) + " bytes; " + std::to_string(count) +
                        " bytes at offset " + std::to_string(offset) + " lie beyond its end");
}

Result<bool> is_regular(const File& file) {
  struct stat status{};
  if (::fstat(file.fd(), &status) != 0) {
    const int error = errno;
    return fail_errno(error, "examining " + file.name());
  }
  return S_ISREG(status.st_mode);
}

}  // namespace

Result<std::unique_ptr<FileDevice>> FileDevice::open(const std::string& path, Access access) {
  TRY(File file, File::open(path, access == Access::read_only ? O_RDONLY : O_RDWR));
  TRY(const std::uint64_t size, file.size());
  return std::unique_ptr<FileDevice>(new FileDevice(std::move(file), size));
}

Result<std::unique_ptr<FileDevice>> FileDevice::create(const std::string& path, std::uint64_t size_bytes) {
  TRY(File file, File::open(path, O_RDWR | O_CREAT, 0644));
  TRY(const bool regular, is_regular(file));
  if (regular) TRY_DO(file.resize(0));
  TRY(const std::uint64_t size, file.size());
  auto device = std::unique_ptr<FileDevice>(new FileDevice(std::move(file), size));
  TRY_DO(device->grow(size_bytes));
  return device;
}

Result<> FileDevice::read(std::uint64_t offset, MutableByteView into) const {
  TRY_DO(check_range(*this, offset, into.size(), Kind::corrupt));
  return file_.read_exactly(offset, into);
}

Result<> FileDevice::write(std::uint64_t offset, ByteView from) {
  TRY_DO(check_range(*this, offset, from.size(), Kind::no_space));
  return file_.write_all(offset, from);
}

Result<> FileDevice::grow(std::uint64_t size_bytes) {
  if (size_bytes <= size_bytes_) return ok();
  TRY(const bool regular, is_regular(file_));
  if (!regular) {
    return fail(Kind::no_space, name() + " has " + std::to_string(size_bytes_) + " bytes; " +
                                    std::to_string(size_bytes) + " are needed");
  }
  TRY_DO(file_.resize(size_bytes));
  size_bytes_ = size_bytes;
  return ok();
}

Result<DeviceRange> DeviceRange::of(BlockDevice& whole, std::uint64_t offset, std::uint64_t size_bytes,
                                    std::string name) {
  if (offset > whole.size_bytes() || size_bytes > whole.size_bytes() - offset) {
    return fail(Kind::corrupt, name + ": " + std::to_string(size_bytes) + " bytes at offset " + std::to_string(offset) +
                                   " of " + whole.name() + ", which has only " + std::to_string(whole.size_bytes()));
  }
  return DeviceRange(whole, offset, size_bytes, std::move(name));
}

Result<> DeviceRange::read(std::uint64_t offset, MutableByteView into) const {
  TRY_DO(check_range(*this, offset, into.size(), Kind::corrupt));
  return whole_->read(offset_ + offset, into);
}

Result<> DeviceRange::write(std::uint64_t offset, ByteView from) {
  TRY_DO(check_range(*this, offset, from.size(), Kind::no_space));
  return whole_->write(offset_ + offset, from);
}

Result<> MemoryDevice::read(std::uint64_t offset, MutableByteView into) const {
  TRY_DO(check_range(*this, offset, into.size(), Kind::corrupt));
  std::ranges::copy(ByteView(content_).subspan(offset, into.size()), into.begin());
  return ok();
}

Result<> MemoryDevice::write(std::uint64_t offset, ByteView from) {
  TRY_DO(check_range(*this, offset, from.size(), Kind::no_space));
  std::ranges::copy(from, content_.begin() + static_cast<std::ptrdiff_t>(offset));
  return ok();
}

}  // namespace base
