#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace agent::boot_loader {

/// Whose a variable is.
enum class Vendor {
  efi_global,  // the UEFI specification's: Boot####, BootOrder
  loader,      // the Boot Loader Interface's: what systemd-boot and the running system tell each other
};

/// The most that is read of a variable (bytes). LoaderEntries is the longest by far, with some 50 bytes for each entry.
inline constexpr std::size_t max_variable_size = std::size_t{64} * 1024;

/// The firmware's variables, through efivarfs.
/// Source: Linux, Documentation/filesystems/efivarfs.rst; systemd, docs/BOOT_LOADER_INTERFACE.md
class EfiVariables {
 public:
  static constexpr const char* usual_directory = "/sys/firmware/efi/efivars";

  explicit EfiVariables(std::string directory = usual_directory) : directory_(std::move(directory)) {}

  const std::string& directory() const { return directory_; }
  /// Whether there are variables: not on a machine that did not boot by EFI, nor before efivarfs is mounted.
  bool any() const;

  /// The value; nothing where there is no such variable. Fails: corrupt (shorter than its attributes), invalid_input
  /// (longer than max_variable_size), permission, io.
  base::Result<std::optional<base::Bytes>> read(Vendor vendor, const std::string& name) const;
  /// The names that a vendor's variables have, sorted. Fails: not_found, permission, io.
  base::Result<std::vector<std::string>> names(Vendor vendor) const;

  // What is written stays when the power goes, and can be read at boot and at run time (attributes 7). Firmware keeps
  // it in flash: what is there already is not written again.

  /// A new variable. Fails: busy (there is one of that name), no_space, permission, io; then there is none.
  base::Result<> create(Vendor vendor, const std::string& name, base::ByteView value) const;
  /// The same, or another value for one that is there. Fails: no_space, permission, io.
  base::Result<> write(Vendor vendor, const std::string& name, base::ByteView value) const;
  /// Without a complaint where there is none. Fails: permission, io.
  base::Result<> remove(Vendor vendor, const std::string& name) const;

 private:
  std::string path_of(Vendor vendor, const std::string& name) const;

  std::string directory_;
};

}  // namespace agent::boot_loader
