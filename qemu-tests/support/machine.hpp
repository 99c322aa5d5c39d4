#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace qemu {

/// A kernel to boot, unpacked and not installed.
struct TestKernel {
  std::string image;              // boot/vmlinuz-<release>
  std::string modules_directory;  // lib/modules/<release>/kernel
};

/// The one that scripts/fetch-test-kernel has unpacked. Fails: not_found, with the command to run.
base::Result<TestKernel> test_kernel();

/// Writes the initramfs `archive`: `init` as /init, and the modules as /modules/<name>, with their names in the order
/// given in /modules.list. A module is a path below the modules directory.
base::Result<> make_initramfs(const std::string& archive, const std::string& init, const TestKernel& kernel,
                              const std::vector<std::string>& modules);

/// A machine without firmware settings and network: one processor, emulated (TCG), so that it runs everywhere.
struct Machine {
  TestKernel kernel;
  std::string initramfs;
  std::string command_line;                 // what follows "console=ttyS0 quiet panic=-1"
  std::vector<std::string> disks;           // raw images, read-only: /dev/vda, /dev/vdb, ...
  std::vector<std::string> writable_disks;  // behind those
  unsigned memory_mib = 256;
  std::chrono::milliseconds time_limit = std::chrono::seconds(120);
};

/// Runs it until it powers off, restarts or panics, and returns all that the serial console said.
/// Fails: not_found (no QEMU); cancelled (time limit; the message ends with the console's last lines); io.
base::Result<std::string> run(const Machine& machine);

}  // namespace qemu
