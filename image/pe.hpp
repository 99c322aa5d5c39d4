#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace image {

/// One entry of a section table. Addresses are relative to where the image is loaded, offsets to the file's start.
struct PeSection {
  std::string name;                   // 1 to 8 printable ASCII characters
  std::uint32_t virtual_size = 0;     // bytes in memory; for our sections the exact length of their content
  std::uint32_t virtual_address = 0;  // page-aligned in what we make
  std::uint32_t raw_size = 0;         // bytes in the file, content and fill
  std::uint32_t raw_offset = 0;       // meaningless when raw_size is 0
  std::uint32_t characteristics = 0;  // flags: code, data, readable, ...

  std::uint64_t virtual_end() const { return std::uint64_t{virtual_address} + virtual_size; }
  std::uint64_t raw_end() const { return std::uint64_t{raw_offset} + raw_size; }
  bool operator==(const PeSection&) const = default;
};

/// The headers of a PE32+ file, as far as they matter to who assembles, signs or verifies one. Every number has been
/// checked against the file, so that its consequences are safe to read.
///
/// A file that passes consists of headers, section data without gaps (in any order of the table), bytes that belong to
/// no section (often a symbol table), and last the certificate table. A file with a gap between two sections' data is
/// refused: there the ways of computing the Authenticode digest part, and bytes in the gap may be in none of them.
struct PeHeaders {
  std::uint16_t machine = 0;
  std::uint16_t subsystem = 0;
  std::uint32_t section_alignment = 0;  // a power of two, as is the next
  std::uint32_t file_alignment = 0;
  std::uint32_t size_of_image = 0;
  std::uint32_t size_of_headers = 0;  // at most the file's size
  std::uint32_t checksum = 0;
  std::uint32_t certificate_table_offset = 0;  // both 0 without one; otherwise a multiple of 8, to the file's very end
  std::uint32_t certificate_table_size = 0;
  std::vector<PeSection> sections;  // 1 to 96, in the order of the table

  // Where fields lie (bytes from the file's start).
  std::size_t coff_header = 0;  // behind the four bytes "PE\0\0"
  std::size_t optional_header = 0;
  std::size_t section_table = 0;

  std::size_t checksum_field() const;
  std::size_t certificate_table_entry() const;
  /// Where section data ends; bytes of no section may follow.
  std::uint64_t end_of_sections() const;
  /// The section of this name; null when there is none. The first, should there be several.
  const PeSection* find(std::string_view name) const;
};

inline constexpr std::uint16_t pe_machine_x86_64 = 0x8664;
inline constexpr std::uint16_t pe_subsystem_efi_application = 10;
inline constexpr std::size_t pe_section_header_size = 40;
inline constexpr std::size_t max_pe_section_name = 8;

/// Reads and checks the headers. Fails: corrupt (no PE file, cut short, fields that contradict each other or the file;
/// the message names the field), unsupported (32-bit PE, a gap between sections).
/// Source: Microsoft, "PE Format" (learn.microsoft.com/windows/win32/debug/pe-format)
base::Result<PeHeaders> read_pe_headers(base::ByteView file);

/// The content of a section as it will stand in memory, without fill. `file` is what the headers were read from.
base::ByteView content_of(const PeSection& section, base::ByteView file);

/// One entry of a section table. The name must fit.
void store_section(const PeSection& section, base::MutableByteView header);

/// Computes the checksum of the whole file and stores it. Firmware does not look at it; sbsign writes it, and a number
/// that is wrong would be the worse message. The certificate table counts; only the checksum's own field does not.
/// Source: the algorithm of ImageHlp's CheckSumMappedFile: the file as 16-bit little-endian words, added with
/// end-around carry, plus the file's size.
void store_checksum(const PeHeaders& headers, base::MutableByteView file);

/// Offsets in the COFF header and the optional header, for who changes fields.
namespace pe_field {
inline constexpr std::size_t machine = 0;                       // u16, COFF header
inline constexpr std::size_t number_of_sections = 2;            // u16
inline constexpr std::size_t pointer_to_symbol_table = 8;       // u32
inline constexpr std::size_t number_of_symbols = 12;            // u32
inline constexpr std::size_t size_of_optional_header = 16;      // u16
inline constexpr std::size_t size_of_initialized_data = 8;      // u32, optional header
inline constexpr std::size_t section_alignment = 32;            // u32
inline constexpr std::size_t file_alignment = 36;               // u32
inline constexpr std::size_t size_of_image = 56;                // u32
inline constexpr std::size_t size_of_headers = 60;              // u32
inline constexpr std::size_t checksum = 64;                     // u32
inline constexpr std::size_t subsystem = 68;                    // u16
inline constexpr std::size_t number_of_data_directories = 108;  // u32
inline constexpr std::size_t data_directories = 112;            // 8 bytes each: address and size
}  // namespace pe_field

}  // namespace image
