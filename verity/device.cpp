#include "verity/device.hpp"

#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/bytes.hpp"

namespace verity {

using base::Bytes;
using base::ByteView;
using base::fail;
using base::fail_errno;
using base::Kind;
using base::ok;
using base::Result;

namespace {

constexpr std::string_view target_type = "verity";
constexpr std::uint64_t sector_size = 512;

// What we need of the interface: 4.27 brought deferred removal. The kernel refuses whoever asks for more than it has.
constexpr std::uint32_t needed_major = 4;
constexpr std::uint32_t needed_minor = 27;

constexpr std::size_t first_reply_capacity = std::size_t{16} * 1024;
constexpr std::size_t max_reply_capacity = std::size_t{1} << 20;

/// The one argument of every device-mapper ioctl: a header, and what follows it.
struct Message {
  dm_ioctl header{};
  Bytes payload;
};

Message message_for(std::string_view name, std::uint32_t flags = 0) {
  Message message;
  message.header.version[0] = needed_major;
  message.header.version[1] = needed_minor;
  message.header.flags = flags;
  // Checked before: shorter than the field, whose other bytes are zero.
  std::ranges::copy(name.substr(0, DM_NAME_LEN - 1), message.header.name);
  return message;
}

struct Outcome {
  int error = 0;  // errno, or 0
  Message reply;
};

/// One ioctl with room for `capacity` bytes of payload on the way back.
Outcome exchange(const base::File& control, unsigned long request, const Message& message, std::size_t capacity = 0) {
  constexpr std::size_t payload_at = sizeof(dm_ioctl);
  static_assert(payload_at % alignof(dm_target_spec) == 0);
  Bytes memory(payload_at + std::max(message.payload.size(), capacity));  // aligned by operator new
  dm_ioctl header = message.header;
  header.data_size = static_cast<std::uint32_t>(memory.size());
  header.data_start = payload_at;
  std::memcpy(memory.data(), &header, sizeof header);
  std::ranges::copy(message.payload, memory.begin() + payload_at);

  Outcome outcome;
  while (::ioctl(control.fd(), request, memory.data()) != 0) {
    outcome.error = errno;
    if (outcome.error != EINTR) break;
    outcome.error = 0;
  }
  std::memcpy(&outcome.reply.header, memory.data(), sizeof header);
  const std::size_t end = std::min<std::size_t>(outcome.reply.header.data_size, memory.size());
  const std::size_t start = std::min<std::size_t>(outcome.reply.header.data_start, end);
  outcome.reply.payload.assign(memory.begin() + static_cast<std::ptrdiff_t>(start),
                               memory.begin() + static_cast<std::ptrdiff_t>(end));
  return outcome;
}

/// As exchange(), with more room for as long as the kernel asks for it.
Result<Outcome> exchange_growing(const base::File& control, unsigned long request, const Message& message) {
  for (std::size_t capacity = first_reply_capacity; capacity <= max_reply_capacity; capacity *= 2) {
    Outcome outcome = exchange(control, request, message, capacity);
    if (outcome.error != 0 || (outcome.reply.header.flags & DM_BUFFER_FULL_FLAG) == 0) return outcome;
  }
  return fail(Kind::unsupported,
              "device-mapper's answer takes more than " + std::to_string(max_reply_capacity) + " bytes");
}

/// Text in a field that the kernel ends with a NUL, unless it is full.
std::string_view text_before_nul(ByteView bytes) {
  const std::string_view text = base::text_of(bytes);
  return text.substr(0, text.find('\0'));
}

/// The parameters or the status of the only target in a reply to DM_TABLE_STATUS.
Result<std::string> only_target(const Message& reply) {
  dm_target_spec spec{};
  if (reply.header.target_count != 1 || reply.payload.size() < sizeof spec) {
    return fail(Kind::unsupported,
                "a table of " + std::to_string(reply.header.target_count) + " targets; one of type verity is known");
  }
  std::memcpy(&spec, reply.payload.data(), sizeof spec);
  const std::string_view type = text_before_nul(std::as_bytes(std::span(spec.target_type)));
  if (type != target_type) {
    return fail(Kind::unsupported, "its target is of type " + std::string(type) + ", not verity");
  }
  return std::string(text_before_nul(ByteView(reply.payload).subspan(sizeof spec)));
}

/// The target as DM_TABLE_LOAD takes it: specification, parameters, NUL, padding.
Bytes encode_target(std::uint64_t size_bytes, std::string_view parameters) {
  dm_target_spec spec{};
  Bytes encoded(base::divide_rounding_up(sizeof spec + parameters.size() + 1, alignof(dm_target_spec)) *
                alignof(dm_target_spec));
  spec.length = size_bytes / sector_size;
  spec.next = static_cast<std::uint32_t>(encoded.size());
  std::ranges::copy(target_type, spec.target_type);
  std::memcpy(encoded.data(), &spec, sizeof spec);
  std::ranges::copy(base::bytes_of(parameters), encoded.begin() + sizeof spec);
  return encoded;
}

bool has_verity_target(const base::File& control) {
  // The kernel tries to load the module. Before 4.41 it does not know the question (ENOTTY): no answer is no "no".
  const Outcome outcome = exchange(control, DM_GET_TARGET_VERSION, message_for(target_type), first_reply_capacity);
  return outcome.error != EINVAL;
}

/// What the kernel means by refusing a table.
std::unexpected<base::Error> refused_table(const base::File& control, int error) {
  switch (error) {
    case EINVAL:
      if (!has_verity_target(control)) {
        return fail(Kind::unsupported, "the kernel has no verity target (module dm-verity)");
      }
      return fail(Kind::invalid_input, "the kernel refuses the table; its log says why");
    case E2BIG:
      return fail(Kind::invalid_input, "the kernel finds an underlying device too small; its log says which");
    case ENOKEY:
      return fail(Kind::unsupported, "the kernel has no key that the root hash's signature could be checked with");
    case EKEYEXPIRED:
    case EKEYREVOKED:
    case EKEYREJECTED:
    case EBADMSG:
      return fail(Kind::untrusted,
                  "the kernel does not trust the root hash's signature: " + std::generic_category().message(error));
    default:
      return fail_errno(error, "loading the table");
  }
}

Result<> load_and_resume(const base::File& control, const std::string& name, const Table& table,
                         const std::string& parameters) {
  Message load = message_for(name, DM_READONLY_FLAG);
  load.header.target_count = 1;
  load.payload = encode_target(table.geometry.data_bytes(), parameters);
  if (const Outcome outcome = exchange(control, DM_TABLE_LOAD, load); outcome.error != 0) {
    return refused_table(control, outcome.error);
  }
  // Without DM_SUSPEND_FLAG this resumes, and the table that was loaded becomes the one in use.
  if (const Outcome outcome = exchange(control, DM_DEV_SUSPEND, message_for(name)); outcome.error != 0) {
    return fail_errno(outcome.error, "putting the table into use");
  }
  return ok();
}

}  // namespace

std::string MappedDevice::path() const {
  return "/dev/dm-" + std::to_string(minor(number));
}

Result<DeviceMapper> DeviceMapper::open(const std::string& control) {
  auto opened = base::File::open(control, O_RDWR);
  if (!opened && opened.error().kind() == Kind::not_found) {
    return fail(Kind::not_found, control + " is not there: the kernel has no device-mapper (module dm-mod)");
  }
  TRY(base::File file, std::move(opened));
  const Outcome outcome = exchange(file, DM_VERSION, message_for(""));
  const auto& version = outcome.reply.header.version;
  if (outcome.error == ENOTTY) return fail(Kind::unsupported, control + " is not device-mapper's control node");
  if (outcome.error == EINVAL) {
    return fail(Kind::unsupported, "the kernel's device-mapper interface is version " + std::to_string(version[0]) +
                                       "." + std::to_string(version[1]) + "." + std::to_string(version[2]) +
                                       "; 4.27 or a later 4.x is needed");
  }
  if (outcome.error != 0) return fail_errno(outcome.error, "asking " + control + " for its version");
  return DeviceMapper(std::move(file));
}

Result<MappedDevice> DeviceMapper::activate(const std::string& name, const base::Uuid& uuid, const Table& table) const {
  const std::string frame = "activating the verity device " + name;
  TRY(const std::string full_uuid, device_uuid(name, uuid), frame);
  TRY(const std::string parameters, table_line(table), frame);

  Message create = message_for(name, DM_READONLY_FLAG);
  std::ranges::copy(full_uuid, create.header.uuid);  // device_uuid() keeps it within DM_UUID_LEN
  const Outcome created = exchange(control_, DM_DEV_CREATE, create);
  if (created.error == EBUSY) {
    return fail(Kind::busy, frame + ": a device of that name or of UUID " + full_uuid + " exists already");
  }
  if (created.error != 0) return fail_errno(created.error, frame);

  if (auto loaded = load_and_resume(control_, name, table, parameters); !loaded) {
    // Deferred: something like udev may be looking at the new device just now.
    const auto removed = remove(name, Removal::when_unused);
    std::string doing = frame;
    if (!removed) doing += " (which stays behind half-made: " + removed.error().message() + ")";
    return std::unexpected(std::move(loaded).error().while_doing(std::move(doing)));
  }
  return MappedDevice{name, created.reply.header.dev};
}

Result<DeviceStatus> DeviceMapper::query(const std::string& name) const {
  const std::string frame = "asking for the device " + name;
  TRY_DO(check_device_name(name), frame);
  TRY(const Outcome found, exchange_growing(control_, DM_TABLE_STATUS, message_for(name)), frame);
  if (found.error == ENXIO) return fail(Kind::not_found, "device-mapper has no device " + name);
  if (found.error != 0) return fail_errno(found.error, frame);

  const dm_ioctl& header = found.reply.header;
  DeviceStatus status;
  status.device = MappedDevice{name, header.dev};
  status.uuid = text_before_nul(std::as_bytes(std::span(header.uuid)));
  status.active = (header.flags & DM_ACTIVE_PRESENT_FLAG) != 0 && (header.flags & DM_SUSPEND_FLAG) == 0;
  status.read_only = (header.flags & DM_READONLY_FLAG) != 0;
  status.removal_deferred = (header.flags & DM_DEFERRED_REMOVE) != 0;
  status.open_count = static_cast<std::uint32_t>(std::max(header.open_count, 0));
  if ((header.flags & DM_ACTIVE_PRESENT_FLAG) == 0) return status;

  TRY(const std::string status_line, only_target(found.reply), frame);
  TRY(status.target, parse_target_status(status_line), frame);
  TRY(const Outcome shown, exchange_growing(control_, DM_TABLE_STATUS, message_for(name, DM_STATUS_TABLE_FLAG)), frame);
  if (shown.error != 0) return fail_errno(shown.error, frame);
  TRY(const std::string table, only_target(shown.reply), frame);
  TRY(status.table, parse_table_line(table), frame);
  return status;
}

Result<> DeviceMapper::remove(const std::string& name, Removal removal) const {
  const std::string frame = "removing the device " + name;
  TRY_DO(check_device_name(name), frame);
  const std::uint32_t flags = removal == Removal::when_unused ? DM_DEFERRED_REMOVE : 0;
  const Outcome outcome = exchange(control_, DM_DEV_REMOVE, message_for(name, flags));
  if (outcome.error == ENXIO) return fail(Kind::not_found, "device-mapper has no device " + name);
  if (outcome.error == EBUSY) return fail(Kind::busy, frame + ": it is open");
  if (outcome.error != 0) return fail_errno(outcome.error, frame);
  return ok();
}

}  // namespace verity
