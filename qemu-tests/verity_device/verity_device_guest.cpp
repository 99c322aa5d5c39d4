// PID 1 of a machine that tries verity/device against a real kernel and says on the console what happened; whether that
// is right is for verity_device_test.cpp to judge. On the kernel's command line:
//
//   keelson.story=STORY          lifecycle, options, refusals or read
//   roothash=HEX                 what the device must have
//   keelson.on_corruption=WHAT   for read: restart, panic or ignore
//
// Disks: vda data, vdb superblock and tree, vdc what reading must give, vdd parity (may be absent).

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/block_device.hpp"
#include "base/file.hpp"
#include "base/result.hpp"
#include "qemu-tests/support/guest_modules.hpp"
#include "verity/device.hpp"
#include "verity/superblock.hpp"

namespace {

using base::Result;
using verity::DeviceMapper;

constexpr const char* data_path = "/dev/vda";
constexpr const char* hash_path = "/dev/vdb";
constexpr const char* expected_path = "/dev/vdc";
constexpr const char* parity_path = "/dev/vdd";

void say(const std::string& what) {
  const std::string line = "STORY " + what + "\n";
  for (std::string_view rest = line; !rest.empty();) {
    const ssize_t put = ::write(STDOUT_FILENO, rest.data(), rest.size());
    if (put <= 0) return;
    rest.remove_prefix(static_cast<std::size_t>(put));
  }
}

/// Success as "ok", failure as its kind and message.
template <class T>
std::string told(const Result<T>& result) {
  if (result) return "ok";
  return std::string(base::to_string(result.error().kind())) + ": " + result.error().message();
}

Result<> mount_at(const char* type, const char* at) {
  (void)::mkdir(at, 0755);
  if (::mount(type, at, type, 0, nullptr) != 0) {
    const int error = errno;
    return base::fail_errno(error, std::string("mounting ") + at);
  }
  return base::ok();
}

Result<> set_up_machine() {
  TRY_DO(mount_at("devtmpfs", "/dev"));
  TRY(const base::File console, base::File::open("/dev/console", O_RDWR | O_NOCTTY));
  for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) (void)::dup2(console.fd(), standard);
  TRY_DO(mount_at("proc", "/proc"));
  return mount_at("sysfs", "/sys");
}

/// The value of `key`=VALUE on the kernel's command line, or nothing.
std::string kernel_argument(std::string_view key) {
  const auto line = base::read_file("/proc/cmdline", 4096);
  if (!line) return "";
  const std::string wanted = " " + std::string(key) + "=";
  const std::size_t at = (" " + *line).find(wanted);
  if (at == std::string::npos) return "";
  const std::string_view value = std::string_view(*line).substr(at + wanted.size() - 1);
  return std::string(value.substr(0, value.find_first_of(" \n")));
}

struct Disks {
  verity::Superblock superblock;
  verity::Table table;
};

/// The table that the superblock of vdb and the command line's root hash give.
Result<Disks> read_disks() {
  TRY(const auto hash_device, base::FileDevice::open(hash_path, base::Access::read_only));
  TRY(const verity::Superblock superblock, verity::read_superblock(*hash_device, 0));
  TRY(const verity::Geometry geometry, verity::Geometry::of(superblock.params, superblock.data_blocks));
  const std::uint32_t block_size = superblock.params.hash_block_size;
  TRY(const std::uint64_t tree, verity::tree_offset(0, verity::HasSuperblock::yes, block_size));
  TRY(const verity::RootHash root_hash, verity::RootHash::parse(kernel_argument("roothash")));
  return Disks{superblock, verity::Table{data_path, hash_path, geometry, tree / block_size, root_hash, {}}};
}

verity::ErrorCorrection parity_of(const verity::Geometry& geometry) {
  return {parity_path, 0, geometry.data_blocks() + geometry.tree_blocks(), 2};
}

/// Reads every block and compares it: "4095 blocks equal, 1 unreadable (first 17: ...), 0 different".
Result<std::string> compare(const std::string& path, const verity::Geometry& geometry) {
  TRY(const auto device, base::FileDevice::open(path, base::Access::read_only));
  TRY(const auto expected, base::FileDevice::open(expected_path, base::Access::read_only));
  const std::uint32_t block_size = geometry.params().data_block_size;
  base::Bytes read(block_size);
  base::Bytes wanted(block_size);
  std::uint64_t equal = 0;
  std::uint64_t unreadable = 0;
  std::uint64_t different = 0;
  std::string first;
  for (std::uint64_t block = 0; block < geometry.data_blocks(); ++block) {
    TRY_DO(expected->read(block * block_size, wanted));
    if (const auto got = device->read(block * block_size, read); !got) {
      if (unreadable++ == 0) first = " (first " + std::to_string(block) + ": " + told(got) + ")";
    } else if (read == wanted) {
      ++equal;
    } else {
      ++different;
    }
  }
  return std::to_string(equal) + " blocks equal, " + std::to_string(unreadable) + " unreadable" + first + ", " +
         std::to_string(different) + " different; size " + std::to_string(device->size_bytes());
}

std::string described(const Result<verity::DeviceStatus>& queried) {
  if (!queried) return told(queried);
  const verity::DeviceStatus& status = *queried;
  std::string text = status.active ? "active" : "inactive";
  text += status.read_only ? " read-only" : " writable";
  if (status.removal_deferred) text += " removal-deferred";
  text += " open=" + std::to_string(status.open_count) + " uuid=" + status.uuid;
  if (status.target) {
    text += status.target->integrity == verity::Integrity::verified ? " verified" : " corrupted";
  }
  if (status.table) text += " table=" + verity::table_line(*status.table).value_or("?");
  return text;
}

Result<> activated_and_read(const DeviceMapper& mapper, const Disks& disks, const verity::Table& table,
                            const std::string& label) {
  TRY(const verity::MappedDevice device, mapper.activate("story", disks.superblock.uuid, table), label);
  say(label + " device: " + device.path());
  TRY(const std::string comparison, compare(device.path(), table.geometry), label);
  say(label + " reading: " + comparison);
  say(label + " status: " + described(mapper.query("story")));
  return mapper.remove("story");
}

Result<> tell_lifecycle() {
  say("without dm-mod: " + told(DeviceMapper::open()));
  TRY_DO(guest::load_modules("dm-verity.ko"));
  TRY(const DeviceMapper mapper, DeviceMapper::open());
  TRY(const Disks disks, read_disks());
  say("without dm-verity: " + told(mapper.activate("story", disks.superblock.uuid, disks.table)));
  say("after the refusal: " + described(mapper.query("story")));
  TRY_DO(guest::load_modules());

  TRY_DO(activated_and_read(mapper, disks, disks.table, "good"));
  say("after removal: " + described(mapper.query("story")));
  say("removed again: " + told(mapper.remove("story")));

  TRY(const verity::MappedDevice device, mapper.activate("story", disks.superblock.uuid, disks.table));
  say("activated twice: " + told(mapper.activate("story", disks.superblock.uuid, disks.table)));
  say("after the second: " + described(mapper.query("story")));
  {
    TRY(const auto user, base::FileDevice::open(device.path(), base::Access::read_write));
    say("written to: " + told(user->write(0, base::Bytes(disks.superblock.params.data_block_size))));
    say("removed while open: " + told(mapper.remove("story")));
    say("removed when unused: " + told(mapper.remove("story", verity::Removal::when_unused)));
    say("until then: " + described(mapper.query("story")));
  }
  say("once closed: " + described(mapper.query("story")));
  return base::ok();
}

struct Variant {
  const char* label;
  std::function<void(verity::Table&)> change;
};

const std::vector<Variant>& accepted_variants() {
  static const std::vector<Variant> variants = {
      {"restart", [](verity::Table& t) { t.options.on_corruption = verity::OnCorruption::restart; }},
      {"panic", [](verity::Table& t) { t.options.on_corruption = verity::OnCorruption::panic; }},
      {"ignore", [](verity::Table& t) { t.options.on_corruption = verity::OnCorruption::ignore; }},
      {"zeros", [](verity::Table& t) { t.options.zero_blocks = verity::ZeroBlocks::assume; }},
      {"once", [](verity::Table& t) { t.options.check_data = verity::CheckData::first_read; }},
      {"parity", [](verity::Table& t) { t.options.error_correction = parity_of(t.geometry); }},
      {"together",
       [](verity::Table& t) {
         t.options = {verity::OnCorruption::panic, verity::ZeroBlocks::assume, verity::CheckData::first_read,
                      parity_of(t.geometry), ""};
       }},
  };
  return variants;
}

const std::vector<Variant>& refused_variants() {
  static const std::vector<Variant> variants = {
      {"no such device", [](verity::Table& t) { t.data_device = "/dev/absent"; }},
      {"tree beyond its device", [](verity::Table& t) { t.hash_start_block = 1'000'000; }},
      {"no such key", [](verity::Table& t) { t.options.root_hash_signature_key = "keelson:absent"; }},
  };
  return variants;
}

Result<> tell_options() {
  TRY_DO(guest::load_modules());
  TRY(const DeviceMapper mapper, DeviceMapper::open());
  TRY(const Disks disks, read_disks());
  for (const Variant& variant : accepted_variants()) {
    verity::Table table = disks.table;
    variant.change(table);
    TRY_DO(activated_and_read(mapper, disks, table, variant.label));
  }
  return base::ok();
}

Result<> tell_refusals() {
  TRY_DO(guest::load_modules());
  TRY(const DeviceMapper mapper, DeviceMapper::open());
  TRY(const Disks disks, read_disks());
  for (const Variant& variant : refused_variants()) {
    verity::Table table = disks.table;
    variant.change(table);
    say(std::string(variant.label) + ": " + told(mapper.activate("story", disks.superblock.uuid, table)));
    say(std::string(variant.label) + ", after: " + described(mapper.query("story")));
  }
  return base::ok();
}

Result<> tell_read() {
  TRY_DO(guest::load_modules());
  TRY(const DeviceMapper mapper, DeviceMapper::open());
  TRY(Disks disks, read_disks());
  verity::TableOptions& options = disks.table.options;
  if (::access(parity_path, F_OK) == 0) options.error_correction = parity_of(disks.table.geometry);
  const std::string on_corruption = kernel_argument("keelson.on_corruption");
  if (on_corruption == "restart") options.on_corruption = verity::OnCorruption::restart;
  if (on_corruption == "panic") options.on_corruption = verity::OnCorruption::panic;
  if (on_corruption == "ignore") options.on_corruption = verity::OnCorruption::ignore;
  return activated_and_read(mapper, disks, disks.table, "read");
}

Result<> tell(const std::string& story) {
  if (story == "lifecycle") return tell_lifecycle();
  if (story == "options") return tell_options();
  if (story == "refusals") return tell_refusals();
  if (story == "read") return tell_read();
  return base::fail(base::Kind::invalid_input, "no story \"" + story + "\"");
}

}  // namespace

int main() {
  const auto machine = set_up_machine();
  if (!machine) say("machine: " + told(machine));
  const auto ending = tell(kernel_argument("keelson.story"));
  say("end: " + told(ending));
  ::sync();
  (void)::reboot(RB_POWER_OFF);
  return EXIT_FAILURE;  // the kernel panics when PID 1 ends, and QEMU with it
}
