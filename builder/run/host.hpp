#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "base/result.hpp"
#include "builder/run/machine_plan.hpp"

/// What this host has: firmware, programs, KVM that works.
namespace builder::run {

/// OVMF in the places where distributions put it. `root` is put before them.
/// Fails: not_found, naming the package.
base::Result<Firmware> find_firmware(bool secure_boot, const std::string& root = "");

/// Fails: not_found, naming the packages.
base::Result<> find_programs();

struct ImageFacts {
  std::string path;  // absolute
  ImageFormat format = ImageFormat::raw;
  std::uint64_t size = 0;  // of the disk in it, bytes
};
/// Fails: not_found, permission, io; invalid_input (an empty file, one that is no image).
base::Result<ImageFacts> examine_image(const std::string& path);

struct KvmVerdict {
  bool works = false;
  std::string reason;  // why it does not
};
/// Whether a guest runs: one is started, with the processor that the machine will have, that goes to 64-bit mode with
/// paging, counts to a million, and ends its machine. It takes 0.1 s where KVM works. /dev/kvm alone proves nothing:
/// inside of other virtual machines guests may stop at their first instruction in 64-bit mode.
/// That it failed is remembered in $XDG_RUNTIME_DIR, if there is one, for `boot_id`.
KvmVerdict probe_kvm(std::chrono::milliseconds time_limit = std::chrono::seconds(3));

/// A port of 127.0.0.1 that nobody listens on now. Fails: io.
base::Result<std::uint16_t> free_port();

/// The firmware of the probe's guest, 64 KiB.
std::string probe_guest();

}  // namespace builder::run
