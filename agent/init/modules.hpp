#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"

namespace agent::init {

/// Loads the kernel modules that <directory>.list names, one file of `directory` a line, in that order. A module that
/// is loaded already or finds nothing to drive (ENODEV: efivarfs without EFI) has done its duty.
/// Returns what went wrong with the others: a machine can do without many a driver, and what it cannot do without is
/// missed later, by name.
std::vector<base::Error> load_modules(const std::string& directory);

/// The drivers of /modules.drivers (image::build_initrd), of which a machine needs few.
class Drivers {
 public:
  /// Reads <directory>.drivers; without that file there are none.
  explicit Drivers(std::string directory);

  /// Loads those that a device asks for by now and that are not loaded, again and again, for a driver of a bus brings
  /// devices that ask for others. `sys`: where sysfs is. Returns what went wrong, as load_modules.
  std::vector<base::Error> load_wanted(const std::string& sys);

 private:
  struct Driver {
    std::vector<std::string> files;  // in load order
    std::vector<std::string> patterns;
  };

  std::string directory_;
  std::vector<Driver> drivers_;  // those that nothing has asked for
};

}  // namespace agent::init
