#pragma once

#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "image/kernel_modules.hpp"

namespace image {

enum class InitrdCompression {
  none,  // where the kernel starts soonest: nearly all of it is modules, and few of them
  zstd,
};

/// dev/console and dev/null in the archive. A kernel's built-in archive has the console already, and an init that
/// mounts devtmpfs needs neither.
enum class InitrdDeviceNodes { none, console_and_null };

struct InitrdSpec {
  base::ByteView init;               // the program; static, for nothing else is there
  std::vector<std::string> modules;  // names; what they depend on is found
  /// Names of those that are loaded only where a device asks for them. What has no device to ask is one of `modules`.
  std::vector<std::string> drivers;
  KernelFiles kernel_files;
  InitrdDeviceNodes device_nodes = InitrdDeviceNodes::none;
  InitrdCompression compression = InitrdCompression::none;
};

struct Initrd {
  base::Bytes archive;
  std::vector<std::string> modules;  // the lines of /modules.list: "dm-verity.ko"
};

/// The first file system that the kernel sees: /init, the modules as /modules/<name>, their names in load order in
/// /modules.list, one a line; and the empty directories /dev, /proc, /run, /sys and /sysroot. If there are drivers, a
/// line for each in /modules.drivers: the modules to load, in order, a colon, and the patterns of the devices (as in
/// modules.alias) that ask for it: "libata.ko ahci.ko : pci:v*d*sv*sd*bc01sc06i01*".
/// The same specification gives the same bytes (with zstd: from the same libzstd).
/// Fails: invalid_input (no init), and as ModuleIndex, read_module and write_cpio do.
base::Result<Initrd> build_initrd(const InitrdSpec& spec);

}  // namespace image
