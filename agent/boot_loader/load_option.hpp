#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/uuid.hpp"

namespace agent::boot_loader {

/// A partition of a GPT disk as firmware finds it again. Source: UEFI 2.10, 10.3.5.1 "Hard Drive Media Device Path"
struct HardDrive {
  std::uint32_t number = 0;  // of the partition, from 1
  std::uint64_t start_sector = 0;
  std::uint64_t sectors = 0;
  base::Uuid uuid;

  friend bool operator==(const HardDrive&, const HardDrive&) = default;
};

inline constexpr std::uint32_t load_option_active = 1;  // the firmware starts it by itself

/// The value of a Boot#### variable, as far as it leads to a file on a partition.
/// Source: UEFI 2.10, 3.1.3 "Load Options" (EFI_LOAD_OPTION)
struct LoadOption {
  std::uint32_t attributes = load_option_active;
  std::string description;
  std::optional<HardDrive> partition;  // nothing: it leads elsewhere (a whole disk, a network, the firmware itself)
  std::string file;                    // "\EFI\BOOT\BOOTX64.EFI"; empty: the firmware's to choose

  bool is_active() const { return (attributes & load_option_active) != 0; }

  friend bool operator==(const LoadOption&, const LoadOption&) = default;
};

/// Only the first device path is looked at; what else there is belongs to the program. Fails: corrupt.
base::Result<LoadOption> decode_load_option(base::ByteView value);

/// Fails: invalid_input (without a partition or a file; a text that is no UTF-8; longer than its length field can say).
base::Result<base::Bytes> encode_load_option(const LoadOption& option);

}  // namespace agent::boot_loader
