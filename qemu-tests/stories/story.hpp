#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "qemu-tests/support/guest.hpp"
#include "tests/support/files.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/program.hpp"
#include "tests/support/temporary_directory.hpp"

namespace qemu {

/// What StoryImages has made (images_test.cpp).
std::string story_image(const std::string& name);

/// Of a disk image, from sfdisk: by number.
struct PartitionPlace {
  std::uint64_t offset = 0;  // bytes
  std::uint64_t size = 0;
  std::string uuid;
  std::string label;
};
std::map<int, PartitionPlace> partitions_of(const std::string& disk);

/// A disk of a story's own: version 1.0.0, blessed, in slot A; version 2.0.0 in slot B with a boot counter, or without.
class StoryDisk {
 public:
  /// A sparse copy of one of the story images, with room behind it for /var.
  explicit StoryDisk(const std::string& image, std::uint64_t room = std::uint64_t{512} << 20);

  const std::string& path() const { return path_; }
  const PartitionPlace& partition(int number) const;
  void grow(std::uint64_t bytes) const;
  /// Spoils a byte of a partition.
  void flip_byte(int partition, std::uint64_t offset) const;
  /// Where in a partition the first block of a file's content lies; the file is one of the host's.
  std::uint64_t find_in(int partition, const std::string& content) const;

  // The ESP, by mtools. Paths as "EFI/Linux/story_1.0.0.efi".
  std::vector<std::string> entries() const;
  void rename_entry(const std::string& from, const std::string& to) const;
  void remove_entry(const std::string& name) const;
  void put_entry(const std::string& file, const std::string& name) const;
  std::string entry(const std::string& name) const;
  /// Leaves systemd-boot nothing to enrol.
  void remove_keys() const;

 private:
  std::string esp() const;
  support::TemporaryDirectory directory_;
  std::string path_;
  mutable std::map<int, PartitionPlace> partitions_;  // read when first asked for
};

/// The parts of a story image's UKI.
DirectBoot direct_boot(const std::string& image);
/// The machine that StoryImages has saved: whoever goes on with it must have the same.
GuestOptions saved_machine(const std::string& disk);
inline constexpr const char* saved_state = "up";

class Story : public testing::Test {
 protected:
  using Limit = Guest::Limit;
  static constexpr Limit boot_limit{150};

  void TearDown() override;

  /// From the firmware on. Its variables are the story's own, with the project's keys enrolled, unless others are
  /// named; they stay for the next start.
  void start(const StoryDisk& disk, GuestOptions options = {});
  /// Kernel and initrd of the image with this name, without firmware.
  void start_directly(const StoryDisk& disk, const std::string& image, GuestOptions options = {},
                      const std::string& words = "");
  /// Throws where there is none: the story is over, and what failed has been told.
  Guest& guest();
  /// Goes on with version 1.0.0 where StoryImages has left it: up, and without firmware. Under a second.
  void go_on();
  /// Waits until the system has started all it starts; "running", or "degraded".
  std::string wait_until_up(Limit limit = boot_limit);
  /// The output of a script, which must succeed, without the last line feed.
  std::string told(const std::string& script, Limit limit = Limit(60));
  /// IMAGE_VERSION of what runs.
  std::string version();
  /// Restarts the guest in an orderly way, and waits until it is back.
  std::string reboot();
  void power_off();

 private:
  support::TemporaryDirectory directory_;
  std::unique_ptr<Guest> guest_;
};

}  // namespace qemu
