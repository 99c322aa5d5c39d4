#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/bytes.hpp"
#include "base/file.hpp"
#include "base/result.hpp"

namespace base {

/// A fixed number of bytes that can be read and written at any offset: a file, a partition, or a fake that loses power.
/// One object may be used by several threads at once as long as their ranges do not overlap.
class BlockDevice {
 public:
  virtual ~BlockDevice() = default;

  /// What errors call it, such as its path.
  virtual const std::string& name() const = 0;
  virtual std::uint64_t size_bytes() const = 0;
  /// Fills `into`. Fails: io; corrupt when the range leaves the device.
  virtual Result<> read(std::uint64_t offset, MutableByteView into) const = 0;
  /// Writes all of `from`; durable only after flush(). Fails: io, no_space.
  virtual Result<> write(std::uint64_t offset, ByteView from) = 0;
  /// Everything written before is durable on return. A failure condemns what was written. Fails: io.
  virtual Result<> flush() = 0;
};

enum class Access { read_only, read_write };

/// A regular file or a block special file as a BlockDevice.
class FileDevice final : public BlockDevice {
 public:
  /// Fails: not_found, permission, io; invalid_input for what is neither a regular file nor a block device.
  static Result<std::unique_ptr<FileDevice>> open(const std::string& path, Access access);
  /// Creates the file or takes the one that is there, emptied, and gives it `size_bytes` of holes. A block device is
  /// taken as it is and must be at least that large. Fails: permission, io, no_space.
  static Result<std::unique_ptr<FileDevice>> create(const std::string& path, std::uint64_t size_bytes);

  const std::string& name() const override { return file_.name(); }
  std::uint64_t size_bytes() const override { return size_bytes_; }
  Result<> read(std::uint64_t offset, MutableByteView into) const override;
  Result<> write(std::uint64_t offset, ByteView from) override;
  Result<> flush() override { return file_.sync(); }
  /// Grows a regular file to at least `size_bytes`; a block device must be large enough already.
  Result<> grow(std::uint64_t size_bytes);

 private:
  FileDevice(File file, std::uint64_t size_bytes) : file_(std::move(file)), size_bytes_(size_bytes) {}

  File file_;
  std::uint64_t size_bytes_;
};

/// A range of another device, as though it were one: a partition of a disk image.
class DeviceRange final : public BlockDevice {
 public:
  /// `whole` must outlive it. Fails: corrupt when the range leaves it.
  static Result<DeviceRange> of(BlockDevice& whole, std::uint64_t offset, std::uint64_t size_bytes, std::string name);

  const std::string& name() const override { return name_; }
  std::uint64_t size_bytes() const override { return size_bytes_; }
  Result<> read(std::uint64_t offset, MutableByteView into) const override;
  Result<> write(std::uint64_t offset, ByteView from) override;
  Result<> flush() override { return whole_->flush(); }

 private:
  DeviceRange(BlockDevice& whole, std::uint64_t offset, std::uint64_t size_bytes, std::string name)
      : whole_(&whole), offset_(offset), size_bytes_(size_bytes), name_(std::move(name)) {}

  BlockDevice* whole_;
  std::uint64_t offset_;
  std::uint64_t size_bytes_;
  std::string name_;
};

/// Memory as a BlockDevice, for tests and for trees small enough to be kept.
class MemoryDevice final : public BlockDevice {
 public:
  explicit MemoryDevice(Bytes content, std::string name = "memory")
      : content_(std::move(content)), name_(std::move(name)) {}

  const std::string& name() const override { return name_; }
  std::uint64_t size_bytes() const override { return content_.size(); }
  Result<> read(std::uint64_t offset, MutableByteView into) const override;
  Result<> write(std::uint64_t offset, ByteView from) override;
  Result<> flush() override { return ok(); }

  const Bytes& content() const { return content_; }

 private:
  Bytes content_;
  std::string name_;
};

}  // namespace base
