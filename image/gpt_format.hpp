#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/uuid.hpp"

/// The structures of a GUID partition table as bytes, each for itself; partition_table.hpp puts them together.
/// Source: UEFI 2.10, chapter 5, "GUID Partition Table (GPT) Disk Layout". LBA: a sector's number on the disk.
namespace image::gpt {

inline constexpr std::size_t header_size = 92;
inline constexpr std::size_t entry_size = 128;           // the one size that Linux and libfdisk read
inline constexpr std::uint32_t usual_entry_count = 128;  // 16 KiB, the least room that UEFI allows for entries
inline constexpr std::uint32_t max_entry_count = 1024;   // our bound, not UEFI's
inline constexpr std::size_t max_label_units = 36;       // UTF-16
inline constexpr std::size_t label_offset = 56;          // in an entry; nothing lies behind the label
inline constexpr std::size_t mbr_size = 512;

/// One of the two headers, without what can be had from its bytes alone.
struct Header {
  std::uint64_t own_lba = 0;
  std::uint64_t other_lba = 0;
  std::uint64_t first_usable_lba = 0;
  std::uint64_t last_usable_lba = 0;
  base::Uuid disk_uuid;
  std::uint64_t entries_lba = 0;
  std::uint32_t entry_count = 0;
  std::uint32_t entries_checksum = 0;
};

/// Whether the sector begins as a header does; says nothing about the rest.
bool begins_as_header(base::ByteView sector);
/// `sector` is the whole sector, at least 512 bytes. Checks signature, checksum and the fields' ranges; their meaning
/// on a disk is for the caller. Fails: corrupt; unsupported (revision, entry size, more than 1024 entries).
base::Result<Header> decode_header(base::ByteView sector);
/// 92 bytes; the rest of the sector is zero.
base::Bytes encode_header(const Header& header);

/// A used entry.
struct Entry {
  base::Uuid type;
  base::Uuid uuid;
  std::uint64_t first_lba = 0;
  std::uint64_t last_lba = 0;  // the last one that belongs to it
  std::uint64_t flags = 0;
  std::string label;  // UTF-8
};

/// Nothing for an unused entry. `raw` has 128 bytes.
std::optional<Entry> decode_entry(base::ByteView raw);
/// Fails: invalid_input (label: no UTF-8, control characters, more than 36 UTF-16 units); `raw` is then untouched.
base::Result<> encode_entry(const Entry& entry, base::MutableByteView raw);

/// The 512 bytes that tell tools which only know MBR that the disk is taken.
base::Bytes encode_protective_mbr(std::uint64_t sectors);
/// As Linux looks: without it, the kernel sees no GPT.
bool is_protective_mbr(base::ByteView mbr);

/// CRC-32 as in zlib and Ethernet (polynomial 0x04c11db7, reflected).
std::uint32_t crc32(base::ByteView bytes);

}  // namespace image::gpt
