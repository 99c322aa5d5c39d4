#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "base/file.hpp"
#include "base/result.hpp"
#include "base/uuid.hpp"
#include "verity/device_table.hpp"

namespace verity {

/// A block device that device-mapper made.
struct MappedDevice {
  std::string name;  // device-mapper's, as in `dmsetup ls`
  dev_t number = 0;

  /// "/dev/dm-N": the node is there as soon as the device is. /dev/mapper/<name> is made by udev, where there is one.
  std::string path() const;
};

struct DeviceStatus {
  MappedDevice device;
  std::string uuid;     // empty: it was made without one
  bool active = false;  // it has a table in use and is not suspended
  bool read_only = false;
  bool removal_deferred = false;  // it goes when it is closed
  std::uint32_t open_count = 0;   // how often it is open, mounts included
  /// Both absent for a device that has got no table yet.
  std::optional<TargetStatus> target;
  std::optional<Table> table;  // its devices as "major:minor"
};

enum class Removal {
  now,
  when_unused,  // at once if nobody has it open, otherwise with the last close
};

/// The kernel's device-mapper, for verity devices: /dev/mapper/control and the ioctls of <linux/dm-ioctl.h>. Needs
/// CAP_SYS_ADMIN. No udev cookies are sent, so that nothing has to answer them in an initramfs.
class DeviceMapper {
 public:
  static constexpr const char* control_path = "/dev/mapper/control";

  /// Opens the control node and agrees on the interface's version (4.27, Linux 3.13, or a later 4.x).
  /// Fails: not_found (the kernel has no device-mapper), permission, unsupported (another version), io.
  static base::Result<DeviceMapper> open(const std::string& control = control_path);

  /// Makes the read-only device `name` from a verity table and puts it into use. All or nothing: a device whose table
  /// is refused is removed again. Success says nothing about the data: the kernel looks at a block when it is read.
  /// uuid    the superblock's; the device's becomes CRYPT-VERITY-<32 digits>-<name>
  /// Fails:  busy (a device of that name or UUID exists; an underlying device is in exclusive use); not_found (an
  ///         underlying device); invalid_input (name, table; what the kernel refuses of it stands in its log);
  ///         untrusted (the root hash's signature); unsupported (no verity target: module dm-verity; no key to check
  ///         the signature with, or no such signature); permission; io.
  base::Result<MappedDevice> activate(const std::string& name, const base::Uuid& uuid, const Table& table) const;

  /// Fails: not_found (no device of that name), unsupported (it is not a single SHA-256 verity target), permission, io.
  base::Result<DeviceStatus> query(const std::string& name) const;

  /// Fails: not_found, busy (open, and Removal::now), permission, io.
  base::Result<> remove(const std::string& name, Removal removal = Removal::now) const;

 private:
  explicit DeviceMapper(base::File control) : control_(std::move(control)) {}

  base::File control_;
};

}  // namespace verity
