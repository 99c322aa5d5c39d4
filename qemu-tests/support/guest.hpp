#pragma once

#include <sys/types.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "base/subprocess.hpp"
#include "base/unique_fd.hpp"
#include "tests/support/temporary_directory.hpp"

namespace qemu {

enum class DiskBus { virtio, scsi, nvme, ahci };
enum class DiskFormat { raw, qcow2 };

/// The kernel without a firmware: the fast way where neither loader nor counters are the subject.
struct DirectBoot {
  std::string kernel;
  std::string initrd;
  std::string command_line;
};

/// A machine for a story, emulated (TCG).
struct GuestOptions {
  std::string disk;  // is written to
  DiskFormat format = DiskFormat::raw;
  DiskBus bus = DiskBus::virtio;
  unsigned sector_size = 512;
  std::optional<DirectBoot> direct;  // without it OVMF boots the disk
  std::string variables;             // the firmware's, written to; a copy of firmware_variables()
  bool secure_boot = false;          // firmware that enforces it once keys are enrolled
  unsigned processors = 1;
  unsigned memory_mib = 640;
  std::string load_state;         // a name that save_state() gave: goes on from there
  std::vector<std::string> more;  // arguments for QEMU
};

/// Paths of OVMF as Debian packs it.
inline constexpr const char* firmware_variables = "/usr/share/OVMF/OVMF_VARS_4M.fd";

/// A running machine, with its console in a file, QMP, and a private channel to the story's agent in the guest
/// (qemu-tests/stories/agent.cpp). Its power is cut when the object goes away.
class Guest {
 public:
  using Limit = std::chrono::seconds;

  /// Fails: not_found (no QEMU); io (it ended at once, with what it said; its sockets).
  static base::Result<Guest> start(const GuestOptions& options);
  Guest(Guest&&) noexcept;
  Guest& operator=(Guest&&) noexcept;
  Guest(const Guest&) = delete;
  Guest& operator=(const Guest&) = delete;
  ~Guest();

  /// Waits until a system has come so far that its agent says hello: once for each boot. Returns the id of that boot.
  /// Fails: cancelled (time limit), io (the machine has ended); both with the console's last lines.
  base::Result<std::string> wait_for_boot(Limit limit);
  /// Runs a script for /bin/sh in the guest. Standard error is part of the output. Fails: as wait_for_boot.
  base::Result<base::CommandResult> run(std::string_view script, Limit limit = Limit(60));
  /// Waits until the console shows a text after where the last such wait has ended. Fails: as wait_for_boot.
  base::Result<> wait_for_console(std::string_view text, Limit limit);
  /// Waits until the machine has powered itself off. Fails: cancelled.
  base::Result<> wait_for_end(Limit limit);

  /// All that the console has said.
  std::string console() const;
  /// A command of QMP's; returns what it returns. Fails: io (the machine is gone), invalid_input (what QEMU says).
  base::Result<base::Json> ask(const std::string& command, const base::Json& arguments = base::Json::object());
  /// A command of QEMU's monitor for people.
  base::Result<std::string> monitor(const std::string& command);
  /// Keeps the whole state of the machine in its disk (qcow2), for GuestOptions::load_state.
  base::Result<> save_state(const std::string& name);
  /// As a plug that is pulled: nothing more reaches the disk.
  void cut_power();

 private:
  Guest() = default;

  base::Result<> connect();
  base::Result<std::string> read_line(base::UniqueFd& from, std::string& pending, std::chrono::nanoseconds end);
  base::Result<std::string> read_bytes(std::size_t count, std::chrono::nanoseconds end);
  base::Result<> more_from(const base::UniqueFd& from, std::string& pending, std::chrono::nanoseconds end);
  bool has_ended();
  std::unexpected<base::Error> gave_up(base::Kind kind, std::string_view what) const;

  std::unique_ptr<support::TemporaryDirectory> directory_;
  pid_t pid_ = -1;
  base::UniqueFd channel_;
  std::string channel_pending_;
  base::UniqueFd qmp_;
  std::string qmp_pending_;
  std::size_t console_seen_ = 0;
};

}  // namespace qemu
