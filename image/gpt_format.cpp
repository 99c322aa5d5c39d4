#include "image/gpt_format.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <string_view>
#include <utility>

#include "image/utf16.hpp"

namespace image::gpt {

using base::Bytes;
using base::ByteView;
using base::fail;
using base::Kind;
using base::load_le;
using base::MutableByteView;
using base::Result;
using base::store_le;

namespace {

// Offsets in a header, in bytes; all integers are little-endian.
constexpr std::size_t at_signature = 0;          // 8
constexpr std::size_t at_revision = 8;           // u32
constexpr std::size_t at_header_size = 12;       // u32
constexpr std::size_t at_header_checksum = 16;   // u32, over header_size bytes with this field zero; then u32 unused
constexpr std::size_t at_own_lba = 24;           // u64
constexpr std::size_t at_other_lba = 32;         // u64
constexpr std::size_t at_first_usable_lba = 40;  // u64
constexpr std::size_t at_last_usable_lba = 48;   // u64
constexpr std::size_t at_disk_uuid = 56;         // 16
constexpr std::size_t at_entries_lba = 72;       // u64
constexpr std::size_t at_entry_count = 80;       // u32
constexpr std::size_t at_entry_size = 84;        // u32
constexpr std::size_t at_entries_checksum = 88;  // u32

constexpr std::string_view signature = "EFI PART";
constexpr std::uint32_t revision_1_0 = 0x00010000;

// Offsets in an entry.
constexpr std::size_t at_type = 0;        // 16
constexpr std::size_t at_uuid = 16;       // 16
constexpr std::size_t at_first_lba = 32;  // u64
constexpr std::size_t at_last_lba = 40;   // u64
constexpr std::size_t at_flags = 48;      // u64; then at label_offset 36 UTF-16LE units, NUL-padded

// Offsets in an MBR and in one of its four records.
constexpr std::size_t at_mbr_records = 446;
constexpr std::size_t mbr_record_size = 16;
constexpr std::size_t mbr_record_count = 4;
constexpr std::size_t at_mbr_signature = 510;  // u16
constexpr std::uint16_t mbr_signature = 0xaa55;
constexpr std::size_t at_record_first_chs = 1;
constexpr std::size_t at_record_type = 4;
constexpr std::size_t at_record_last_chs = 5;
constexpr std::size_t at_record_first_lba = 8;  // u32
constexpr std::size_t at_record_sectors = 12;   // u32
constexpr std::byte protective_type{0xee};

consteval std::array<std::uint32_t, 256> crc32_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < table.size(); ++byte) {
    std::uint32_t rest = byte;
    for (int bit = 0; bit < 8; ++bit) rest = rest >> 1 ^ ((rest & 1) != 0 ? 0xedb88320U : 0U);
    table[byte] = rest;
  }
  return table;
}

base::Uuid load_uuid(ByteView from) {
  return base::Uuid::from_efi_bytes(from);
}

void store_uuid(const base::Uuid& uuid, MutableByteView to) {
  std::ranges::copy(uuid.efi_bytes(), to.begin());
}

std::uint32_t checksum_of_header(ByteView header) {
  Bytes copy(header.begin(), header.end());
  store_le<std::uint32_t>(&copy[at_header_checksum], 0);
  return crc32(copy);
}

Result<> check_entry_array(ByteView sector) {
  const auto size = load_le<std::uint32_t>(&sector[at_entry_size]);
  const auto count = load_le<std::uint32_t>(&sector[at_entry_count]);
  if (size != entry_size) {
    return fail(Kind::unsupported, "entries of " + std::to_string(size) + " bytes; 128 are supported");
  }
  if (count == 0) return fail(Kind::corrupt, "a table of no entries");
  if (count > max_entry_count) {
    return fail(Kind::unsupported, std::to_string(count) + " entries; 1024 are the most that are read");
  }
  return base::ok();
}

std::string load_label(ByteView from) {
  std::u16string units;
  for (std::size_t i = 0; i < max_label_units; ++i) {
    const auto unit = load_le<std::uint16_t>(&from[2 * i]);
    if (unit == 0) break;
    units += static_cast<char16_t>(unit);
  }
  return to_utf8(units);
}

Result<std::u16string> label_units(const std::string& label) {
  // The label is not repeated in these messages: it may be what the terminal must not see.
  if (std::ranges::any_of(label, [](unsigned char c) { return c < ' ' || c == 0x7f; })) {
    return fail(Kind::invalid_input, "the label has control characters");
  }
  TRY(std::u16string units, to_utf16(label), "the label");
  if (units.size() > max_label_units) {
    return fail(Kind::invalid_input,
                "the label \"" + label + "\" has " + std::to_string(units.size()) + " UTF-16 units; 36 are the most");
  }
  return units;
}

}  // namespace

bool begins_as_header(ByteView sector) {
  return sector.size() >= signature.size() && base::text_of(sector.first(signature.size())) == signature;
}

Result<Header> decode_header(ByteView sector) {
  if (!begins_as_header(sector)) return fail(Kind::corrupt, "no header: it would begin with \"EFI PART\"");
  if (const auto revision = load_le<std::uint32_t>(&sector[at_revision]); revision != revision_1_0) {
    return fail(Kind::unsupported, "header revision " + std::to_string(revision >> 16) + "." +
                                       std::to_string(revision & 0xffff) + "; 1.0 is known");
  }
  const auto size = load_le<std::uint32_t>(&sector[at_header_size]);
  if (size < header_size || size > sector.size()) {
    return fail(Kind::corrupt, "a header of " + std::to_string(size) + " bytes; 92 to the sector's " +
                                   std::to_string(sector.size()) + " are possible");
  }
  if (checksum_of_header(sector.first(size)) != load_le<std::uint32_t>(&sector[at_header_checksum])) {
    return fail(Kind::corrupt, "the header's checksum is wrong");
  }
  TRY_DO(check_entry_array(sector));
  return Header{
      .own_lba = load_le<std::uint64_t>(&sector[at_own_lba]),
      .other_lba = load_le<std::uint64_t>(&sector[at_other_lba]),
      .first_usable_lba = load_le<std::uint64_t>(&sector[at_first_usable_lba]),
      .last_usable_lba = load_le<std::uint64_t>(&sector[at_last_usable_lba]),
      .disk_uuid = load_uuid(sector.subspan(at_disk_uuid)),
      .entries_lba = load_le<std::uint64_t>(&sector[at_entries_lba]),
      .entry_count = load_le<std::uint32_t>(&sector[at_entry_count]),
      .entries_checksum = load_le<std::uint32_t>(&sector[at_entries_checksum]),
  };
}

Bytes encode_header(const Header& header) {
  Bytes raw(header_size);
  std::ranges::copy(base::bytes_of(signature), raw.begin() + at_signature);
  store_le(&raw[at_revision], revision_1_0);
  store_le(&raw[at_header_size], static_cast<std::uint32_t>(header_size));
  store_le(&raw[at_own_lba], header.own_lba);
  store_le(&raw[at_other_lba], header.other_lba);
  store_le(&raw[at_first_usable_lba], header.first_usable_lba);
  store_le(&raw[at_last_usable_lba], header.last_usable_lba);
  store_uuid(header.disk_uuid, MutableByteView(raw).subspan(at_disk_uuid));
  store_le(&raw[at_entries_lba], header.entries_lba);
  store_le(&raw[at_entry_count], header.entry_count);
  store_le(&raw[at_entry_size], static_cast<std::uint32_t>(entry_size));
  store_le(&raw[at_entries_checksum], header.entries_checksum);
  store_le(&raw[at_header_checksum], crc32(raw));
  return raw;
}

std::optional<Entry> decode_entry(ByteView raw) {
  Entry entry{.type = load_uuid(raw.subspan(at_type))};
  if (entry.type == base::Uuid{}) return std::nullopt;
  entry.uuid = load_uuid(raw.subspan(at_uuid));
  entry.first_lba = load_le<std::uint64_t>(&raw[at_first_lba]);
  entry.last_lba = load_le<std::uint64_t>(&raw[at_last_lba]);
  entry.flags = load_le<std::uint64_t>(&raw[at_flags]);
  entry.label = load_label(raw.subspan(label_offset));
  return entry;
}

Result<> encode_entry(const Entry& entry, MutableByteView raw) {
  TRY(const std::u16string units, label_units(entry.label));
  store_uuid(entry.type, raw.subspan(at_type));
  store_uuid(entry.uuid, raw.subspan(at_uuid));
  store_le(&raw[at_first_lba], entry.first_lba);
  store_le(&raw[at_last_lba], entry.last_lba);
  store_le(&raw[at_flags], entry.flags);
  std::ranges::fill(raw.subspan(label_offset), std::byte{0});
  for (std::size_t i = 0; i < units.size(); ++i) {
    store_le(&raw[label_offset + 2 * i], static_cast<std::uint16_t>(units[i]));
  }
  return base::ok();
}

Bytes encode_protective_mbr(std::uint64_t sectors) {
  Bytes mbr(mbr_size);
  std::byte* record = &mbr[at_mbr_records];
  // From sector 1 to the end. In the old addresses too, head 0, sector 2; without a geometry the end cannot be said.
  record[at_record_first_chs + 1] = std::byte{2};
  record[at_record_type] = protective_type;
  std::fill_n(record + at_record_last_chs, 3, std::byte{0xff});
  store_le(record + at_record_first_lba, std::uint32_t{1});
  constexpr std::uint64_t most = std::numeric_limits<std::uint32_t>::max();
  store_le(record + at_record_sectors, static_cast<std::uint32_t>(std::min(sectors - 1, most)));
  store_le(&mbr[at_mbr_signature], mbr_signature);
  return mbr;
}

bool is_protective_mbr(ByteView mbr) {
  if (mbr.size() < mbr_size || load_le<std::uint16_t>(&mbr[at_mbr_signature]) != mbr_signature) return false;
  for (std::size_t i = 0; i < mbr_record_count; ++i) {
    const std::byte* record = &mbr[at_mbr_records + i * mbr_record_size];
    if (record[at_record_type] == protective_type && load_le<std::uint32_t>(record + at_record_first_lba) == 1) {
      return true;
    }
  }
  return false;
}

std::uint32_t crc32(ByteView bytes) {
  static constexpr std::array<std::uint32_t, 256> table = crc32_table();
  std::uint32_t rest = 0xffffffff;
  for (const std::byte byte : bytes) rest = rest >> 8 ^ table[(rest ^ std::to_integer<std::uint32_t>(byte)) & 0xff];
  return ~rest;
}

}  // namespace image::gpt
