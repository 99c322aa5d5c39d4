#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "image/fat.hpp"
#include "image/uki_name.hpp"

namespace image {

/// Whether a key in the menu opens the editor of the kernel's command line.
enum class BootMenuEditor { off, on };

/// What systemd-boot does with loader/keys/auto in the firmware's setup mode (loader.conf(5)).
enum class SecureBootEnroll { off, manual, if_safe, force };

/// loader/loader.conf: what systemd-boot does before it starts an entry.
struct LoaderConf {
  std::chrono::seconds timeout{0};  // the menu is shown for that long; 0: only when a key is held
  BootMenuEditor editor = BootMenuEditor::off;
  SecureBootEnroll secure_boot_enroll = SecureBootEnroll::off;

  std::string text() const;
};

/// Signed lists of keys (EFI_VARIABLE_AUTHENTICATION_2) that systemd-boot enrols. The caller keeps the bytes alive.
struct EnrollKeys {
  base::ByteView platform_key;
  base::ByteView key_exchange_key;
  base::ByteView signature_database;
};

struct EspUki {
  UkiName name;
  FatContent content;
};

/// What an EFI System Partition holds. There is no random seed in it: each machine would have the same one.
struct Esp {
  base::ByteView boot_loader;  // systemd-bootx64.efi, signed where the machine asks for it; kept alive by the caller
  LoaderConf loader_conf;
  std::optional<EnrollKeys> enroll_keys;
  std::vector<EspUki> ukis;
};

/// The files of the partition, for write_fat. Fails: invalid_input (an empty boot loader or key list, a negative
/// timeout, keys to be enrolled but none given, a name that uki_file_name refuses, two UKIs of one id and version).
base::Result<std::vector<FatEntry>> esp_entries(const Esp& esp);

}  // namespace image
