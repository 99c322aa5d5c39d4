#include "image/convert_disk.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/block_device.hpp"
#include "base/partial_file.hpp"
#include "base/subprocess.hpp"
#include "image/partition_table.hpp"

namespace image {

using base::Bytes;
using base::ByteView;
using base::fail;
using base::File;
using base::Kind;
using base::ok;
using base::Result;

namespace {

struct QemuFormat {
  DiskFormat format;
  std::string_view name;  // ours
  const char* driver;     // qemu-img's
  const char* options;    // of -o; empty: none
};
constexpr std::array<QemuFormat, 3> formats{{
    {DiskFormat::qcow2, "qcow2", "qcow2", ""},
    {DiskFormat::vhd, "vhd", "vpc", "subformat=fixed,force_size=on"},
    {DiskFormat::vmdk, "vmdk", "vmdk", "subformat=streamOptimized"},
}};

const QemuFormat& of(DiskFormat format) {
  return *std::ranges::find(formats, format, &QemuFormat::format);
}

void store_be32(std::byte* to, std::uint32_t value) {
  for (unsigned i = 0; i < 4; ++i) to[i] = static_cast<std::byte>(value >> (24 - 8 * i));
}

// A fixed VHD is the disk and a footer of 512 bytes, in big-endian.
namespace vhd {
constexpr std::size_t footer_size = 512;
constexpr std::string_view cookie = "conectix";
constexpr std::size_t at_time = 24;      // seconds since 2000-01-01
constexpr std::size_t at_checksum = 64;  // one's complement of the sum of all other bytes
constexpr std::size_t at_uuid = 68;
constexpr std::chrono::sys_seconds epoch = std::chrono::sys_days(std::chrono::year(2000) / 1 / 1);
}  // namespace vhd

Result<> settle_vhd(File& file, const base::Uuid& disk_uuid, std::chrono::sys_seconds time) {
  TRY(const std::uint64_t size, file.size());
  if (size < vhd::footer_size) return fail(Kind::corrupt, "it is too short for a footer");
  Bytes footer(vhd::footer_size);
  TRY_DO(file.read_exactly(size - vhd::footer_size, footer));
  if (!base::text_of(footer).starts_with(vhd::cookie)) return fail(Kind::corrupt, "it has no footer");
  const auto seconds = std::clamp<std::int64_t>((time - vhd::epoch).count(), 0, UINT32_MAX);
  store_be32(&footer[vhd::at_time], static_cast<std::uint32_t>(seconds));
  std::ranges::copy(disk_uuid.bytes, &footer[vhd::at_uuid]);
  store_be32(&footer[vhd::at_checksum], 0);
  std::uint32_t sum = 0;
  for (const std::byte byte : footer) sum += std::to_integer<std::uint32_t>(byte);
  store_be32(&footer[vhd::at_checksum], ~sum);
  return file.write_all(size - vhd::footer_size, footer);
}

// A streamOptimized VMDK begins with a header that says, in sectors of 512 bytes, where the descriptor lies: text,
// followed by NUL bytes.
namespace vmdk {
constexpr std::uint64_t sector_size = 512;
constexpr std::string_view magic = "KDMV";
constexpr std::size_t at_descriptor_offset = 28;
constexpr std::size_t at_descriptor_size = 36;
constexpr std::uint64_t max_descriptor_sectors = 2048;
}  // namespace vmdk

/// Replaces what stands between `begin` and `end` in the text; both must be there, `begin` only once.
Result<> replace_between(std::string& text, std::string_view begin, std::string_view end, std::string_view value) {
  const std::size_t start = text.find(begin);
  const std::size_t from = start + begin.size();
  const std::size_t to = start == std::string::npos ? std::string::npos : text.find(end, from);
  if (to == std::string::npos || text.find(begin, from) != std::string::npos) {
    return fail(Kind::corrupt, fmt::format("its descriptor does not say \"{}\" exactly once", begin.substr(1)));
  }
  text.replace(from, to - from, value);
  return ok();
}

Result<> settle_vmdk(File& file, const base::Uuid& disk_uuid, const std::string& file_name) {
  Bytes header(vmdk::sector_size);
  TRY_DO(file.read_exactly(0, header));
  const auto offset = base::load_le<std::uint64_t>(&header[vmdk::at_descriptor_offset]);
  const auto size = base::load_le<std::uint64_t>(&header[vmdk::at_descriptor_size]);
  if (!base::text_of(header).starts_with(vmdk::magic) || offset > vmdk::max_descriptor_sectors ||
      size > vmdk::max_descriptor_sectors) {
    return fail(Kind::corrupt, "it has no descriptor");
  }
  Bytes area(size * vmdk::sector_size);
  TRY_DO(file.read_exactly(offset * vmdk::sector_size, area));
  std::string text(base::text_of(area));
  text.resize(std::min(text.find('\0'), text.size()));
  const std::string id = base::to_hex(ByteView(disk_uuid.bytes).first(4));
  TRY_DO(replace_between(text, "\nCID=", "\n", id));
  TRY_DO(replace_between(text, " SPARSE \"", "\"", file_name));
  if (text.size() > area.size()) return fail(Kind::corrupt, "its descriptor has no room for the name " + file_name);
  text.resize(area.size());
  return file.write_all(offset * vmdk::sector_size, base::bytes_of(text));
}

Result<base::Uuid> disk_uuid_of(const std::string& raw) {
  TRY(const auto disk, base::FileDevice::open(raw, base::Access::read_only));
  TRY(const TableOnDisk found, read_partition_table(*disk));
  return found.table.disk_uuid;
}

Result<> run_qemu_img(const std::string& raw, const QemuFormat& format, const std::string& to) {
  const auto program = base::find_program("qemu-img");
  if (!program) {
    return fail(Kind::not_found, "qemu-img is not there; Debian has it in the package qemu-utils");
  }
  std::vector<std::string> argv = {*program, "convert", "-f", "raw", "-O", format.driver};
  if (*format.options != '\0') argv.insert(argv.end(), {"-o", format.options});
  // As URIs of the file driver: a path may hold a colon, which qemu-img takes for a protocol's.
  argv.insert(argv.end(), {"--", "file:" + raw, "file:" + to});
  TRY_DO(base::run_checked({.argv = std::move(argv)}));
  return ok();
}

}  // namespace

std::string_view to_string(DiskFormat format) {
  return of(format).name;
}

Result<> convert_disk(const std::string& raw, DiskFormat format, const std::string& output,
                      std::chrono::sys_seconds time) {
  const std::string frame = fmt::format("converting {} to {}", raw, output);
  TRY(const base::Uuid disk_uuid, disk_uuid_of(raw), frame);
  TRY(base::PartialFile file, base::PartialFile::create(output), frame);
  TRY_DO(run_qemu_img(raw, of(format), file.partial()), frame);
  if (format == DiskFormat::vhd) TRY_DO(settle_vhd(file.file(), disk_uuid, time), frame);
  if (format == DiskFormat::vmdk) {
    const std::string name = std::filesystem::path(output).filename().string();
    TRY_DO(settle_vmdk(file.file(), disk_uuid, name), frame);
  }
  TRY_DO(file.complete(), frame);
  return ok();
}

}  // namespace image
