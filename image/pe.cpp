#include "image/pe.hpp"

#include <algorithm>
#include <bit>
#include <string_view>
#include <utility>

namespace image {

using base::ByteView;
using base::fail;
using base::Kind;
using base::load_le;
using base::Result;
using base::store_le;

namespace {

constexpr std::string_view dos_magic = "MZ";
constexpr std::string_view pe_magic("PE\0\0", 4);
constexpr std::size_t dos_header_size = 64;
constexpr std::size_t at_pe_offset = 60;  // u32 in the DOS header
constexpr std::size_t coff_header_size = 20;
constexpr std::uint16_t pe32_plus = 0x20b;
constexpr std::uint16_t pe32 = 0x10b;
constexpr std::size_t data_directory_size = 8;
constexpr std::size_t certificate_directory = 4;  // the only one whose "address" is an offset in the file
constexpr std::uint32_t max_data_directories = 16;
constexpr std::uint16_t max_sections = 96;  // what Windows loads; more would be a trick
constexpr std::uint32_t certificate_alignment = 8;

std::string quoted(std::string_view name) {
  return "\"" + std::string(name) + "\"";
}

Result<> check_optional_header(ByteView optional_header) {
  if (optional_header.size() < pe_field::data_directories) {
    return fail(Kind::corrupt, "SizeOfOptionalHeader of " + std::to_string(optional_header.size()) +
                                   " bytes is too small for PE32+ (" + std::to_string(pe_field::data_directories) +
                                   ")");
  }
  const auto directories = load_le<std::uint32_t>(&optional_header[pe_field::number_of_data_directories]);
  if (directories <= certificate_directory || directories > max_data_directories) {
    return fail(Kind::corrupt, "NumberOfRvaAndSizes is " + std::to_string(directories) +
                                   "; 5 (so that there is a certificate table's entry) to 16 are possible");
  }
  if (optional_header.size() != pe_field::data_directories + data_directory_size * directories) {
    return fail(Kind::corrupt, "SizeOfOptionalHeader of " + std::to_string(optional_header.size()) +
                                   " bytes does not fit NumberOfRvaAndSizes of " + std::to_string(directories));
  }
  return base::ok();
}

/// From the start of the file to the section table, which is left for later. Fills in where fields lie.
Result<PeHeaders> locate_headers(ByteView file) {
  if (file.size() < dos_header_size || base::text_of(file.first(dos_magic.size())) != dos_magic) {
    return fail(Kind::corrupt, "no PE file: it would begin with a DOS header (\"MZ\")");
  }
  const std::uint64_t pe_offset = load_le<std::uint32_t>(&file[at_pe_offset]);
  if (pe_offset + pe_magic.size() + coff_header_size > file.size()) {
    return fail(Kind::corrupt, "e_lfanew of " + std::to_string(pe_offset) + " leaves the file of " +
                                   std::to_string(file.size()) + " bytes");
  }
  if (base::text_of(file.subspan(pe_offset, pe_magic.size())) != pe_magic) {
    return fail(Kind::corrupt, "no PE file: \"PE\" is missing at offset " + std::to_string(pe_offset));
  }
  PeHeaders headers;
  headers.coff_header = pe_offset + pe_magic.size();
  headers.optional_header = headers.coff_header + coff_header_size;
  const auto size = load_le<std::uint16_t>(&file[headers.coff_header + pe_field::size_of_optional_header]);
  if (headers.optional_header + size > file.size()) {
    return fail(Kind::corrupt, "SizeOfOptionalHeader of " + std::to_string(size) + " bytes leaves the file");
  }
  const ByteView optional_header = file.subspan(headers.optional_header, size);
  const auto magic = size >= 2 ? load_le<std::uint16_t>(optional_header.data()) : std::uint16_t{0};
  if (magic == pe32) return fail(Kind::unsupported, "a 32-bit PE file; PE32+ is wanted");
  if (magic != pe32_plus) {
    return fail(Kind::corrupt, "Magic of the optional header is " + std::to_string(magic) + "; 523 is PE32+");
  }
  TRY_DO(check_optional_header(optional_header));
  headers.section_table = headers.optional_header + size;
  return headers;
}

Result<std::string> section_name(ByteView raw) {
  std::string name(base::text_of(raw));
  name.resize(std::min(name.find('\0'), name.size()));
  const bool filled =
      std::ranges::all_of(raw.subspan(name.size()), [](std::byte byte) { return byte == std::byte{0}; });
  const bool printable = std::ranges::all_of(name, [](char c) { return c > ' ' && c < '\x7f'; });
  if (name.empty() || !filled || !printable) {
    return fail(Kind::corrupt, "a section's Name is not 1 to 8 printable characters, NUL-filled: " + base::to_hex(raw));
  }
  return name;
}

Result<PeSection> read_section(ByteView header) {
  PeSection section;
  TRY(section.name, section_name(header.first(max_pe_section_name)));
  section.virtual_size = load_le<std::uint32_t>(&header[8]);
  section.virtual_address = load_le<std::uint32_t>(&header[12]);
  section.raw_size = load_le<std::uint32_t>(&header[16]);
  section.raw_offset = load_le<std::uint32_t>(&header[20]);
  section.characteristics = load_le<std::uint32_t>(&header[36]);
  return section;
}

/// Section data follows the headers and each other without gap or overlap, and ends in the file.
Result<> check_raw_data(const PeHeaders& headers, std::uint64_t end_of_file) {
  std::vector<const PeSection*> in_file;
  for (const PeSection& section : headers.sections) {
    if (section.raw_size != 0) in_file.push_back(&section);
  }
  std::ranges::sort(in_file, {}, &PeSection::raw_offset);
  std::uint64_t end = headers.size_of_headers;
  std::string before = "the headers";
  for (const PeSection* section : in_file) {
    if (section->raw_end() > end_of_file) {
      return fail(Kind::corrupt, "section " + quoted(section->name) + ": PointerToRawData and SizeOfRawData (" +
                                     std::to_string(section->raw_offset) + " + " + std::to_string(section->raw_size) +
                                     ") leave the file, of which " + std::to_string(end_of_file) +
                                     " bytes are sections'");
    }
    if (section->raw_offset < end) {
      return fail(Kind::corrupt, "section " + quoted(section->name) + ": PointerToRawData of " +
                                     std::to_string(section->raw_offset) + " overlaps " + before);
    }
    if (section->raw_offset > end) {
      return fail(Kind::unsupported, "a gap of " + std::to_string(section->raw_offset - end) + " bytes between " +
                                         before + " and section " + quoted(section->name) +
                                         "; a signature might not cover it");
    }
    end = section->raw_end();
    before = "section " + quoted(section->name);
  }
  return base::ok();
}

/// In memory gaps are common, overlaps are not.
Result<> check_addresses(const PeHeaders& headers) {
  std::vector<const PeSection*> in_memory;
  in_memory.reserve(headers.sections.size());
  for (const PeSection& section : headers.sections) in_memory.push_back(&section);
  const auto place = [](const PeSection* section) {
    return std::pair(section->virtual_address, section->virtual_size);
  };
  std::ranges::sort(in_memory, {}, place);
  std::uint64_t end = headers.size_of_headers;
  std::string before = "the headers";
  for (const PeSection* section : in_memory) {
    if (section->virtual_address < end) {
      return fail(Kind::corrupt, "section " + quoted(section->name) + ": VirtualAddress of " +
                                     std::to_string(section->virtual_address) + " overlaps " + before);
    }
    end = section->virtual_end();
    before = "section " + quoted(section->name);
    if (end > headers.size_of_image) {
      return fail(Kind::corrupt, before + ": VirtualAddress and VirtualSize (" +
                                     std::to_string(section->virtual_address) + " + " +
                                     std::to_string(section->virtual_size) + ") leave SizeOfImage of " +
                                     std::to_string(headers.size_of_image));
    }
  }
  return base::ok();
}

Result<> check_certificate_table(const PeHeaders& headers, std::uint64_t file_size) {
  const std::uint64_t offset = headers.certificate_table_offset;
  const std::uint64_t size = headers.certificate_table_size;
  if (offset == 0 && size == 0) return base::ok();
  const std::string frame =
      "the certificate table's entry (" + std::to_string(offset) + " + " + std::to_string(size) + ")";
  if (size == 0 || offset % certificate_alignment != 0) {
    return fail(Kind::corrupt, frame + " is empty or not aligned to 8 bytes");
  }
  if (offset < headers.size_of_headers) return fail(Kind::corrupt, frame + " overlaps the headers");
  if (offset + size != file_size) {
    return fail(Kind::corrupt, frame + " does not end where the file does, at " + std::to_string(file_size));
  }
  return base::ok();
}

Result<> read_sections(ByteView file, PeHeaders& headers) {
  const auto count = load_le<std::uint16_t>(&file[headers.coff_header + pe_field::number_of_sections]);
  if (count == 0 || count > max_sections) {
    return fail(Kind::corrupt, "NumberOfSections is " + std::to_string(count) + "; 1 to 96 are possible");
  }
  const std::uint64_t table_end = headers.section_table + std::uint64_t{count} * pe_section_header_size;
  if (headers.size_of_headers > file.size() || table_end > headers.size_of_headers) {
    return fail(Kind::corrupt, "SizeOfHeaders of " + std::to_string(headers.size_of_headers) +
                                   " does not lie between the end of the section table (" + std::to_string(table_end) +
                                   ") and the end of the file (" + std::to_string(file.size()) + ")");
  }
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t at = headers.section_table + i * pe_section_header_size;
    TRY(PeSection section, read_section(file.subspan(at, pe_section_header_size)));
    headers.sections.push_back(std::move(section));
  }
  return base::ok();
}

}  // namespace

std::size_t PeHeaders::checksum_field() const {
  return optional_header + pe_field::checksum;
}

std::size_t PeHeaders::certificate_table_entry() const {
  return optional_header + pe_field::data_directories + certificate_directory * data_directory_size;
}

std::uint64_t PeHeaders::end_of_sections() const {
  std::uint64_t end = size_of_headers;
  for (const PeSection& section : sections) {
    if (section.raw_size != 0) end = std::max(end, section.raw_end());
  }
  return end;
}

const PeSection* PeHeaders::find(std::string_view name) const {
  const auto found = std::ranges::find(sections, name, &PeSection::name);
  return found != sections.end() ? &*found : nullptr;
}

Result<PeHeaders> read_pe_headers(ByteView file) {
  TRY(PeHeaders headers, locate_headers(file));
  const ByteView optional_header = file.subspan(headers.optional_header);
  headers.machine = load_le<std::uint16_t>(&file[headers.coff_header + pe_field::machine]);
  headers.subsystem = load_le<std::uint16_t>(&optional_header[pe_field::subsystem]);
  headers.section_alignment = load_le<std::uint32_t>(&optional_header[pe_field::section_alignment]);
  headers.file_alignment = load_le<std::uint32_t>(&optional_header[pe_field::file_alignment]);
  headers.size_of_image = load_le<std::uint32_t>(&optional_header[pe_field::size_of_image]);
  headers.size_of_headers = load_le<std::uint32_t>(&optional_header[pe_field::size_of_headers]);
  headers.checksum = load_le<std::uint32_t>(&optional_header[pe_field::checksum]);
  const ByteView certificate_entry = file.subspan(headers.certificate_table_entry(), data_directory_size);
  headers.certificate_table_offset = load_le<std::uint32_t>(certificate_entry.data());
  headers.certificate_table_size = load_le<std::uint32_t>(&certificate_entry[4]);
  for (const std::uint32_t alignment : {headers.section_alignment, headers.file_alignment}) {
    if (!std::has_single_bit(alignment)) {
      return fail(Kind::corrupt, "SectionAlignment and FileAlignment (" + std::to_string(headers.section_alignment) +
                                     ", " + std::to_string(headers.file_alignment) + ") are not powers of two");
    }
  }
  TRY_DO(read_sections(file, headers));
  TRY_DO(check_certificate_table(headers, file.size()));
  const bool has_certificates = headers.certificate_table_size != 0;
  TRY_DO(check_raw_data(headers, has_certificates ? headers.certificate_table_offset : file.size()));
  TRY_DO(check_addresses(headers));
  return headers;
}

ByteView content_of(const PeSection& section, ByteView file) {
  if (section.raw_size == 0) return {};
  return file.subspan(section.raw_offset, std::min(section.virtual_size, section.raw_size));
}

void store_section(const PeSection& section, base::MutableByteView header) {
  std::ranges::fill(header.first(pe_section_header_size), std::byte{0});
  std::ranges::copy(base::bytes_of(section.name), header.begin());
  store_le(&header[8], section.virtual_size);
  store_le(&header[12], section.virtual_address);
  store_le(&header[16], section.raw_size);
  store_le(&header[20], section.raw_offset);
  store_le(&header[36], section.characteristics);
}

void store_checksum(const PeHeaders& headers, base::MutableByteView file) {
  store_le(&file[headers.checksum_field()], std::uint32_t{0});
  std::uint64_t sum = 0;
  std::size_t at = 0;
  for (; at + 1 < file.size(); at += 2) sum += load_le<std::uint16_t>(&file[at]);
  if (at < file.size()) sum += std::to_integer<std::uint64_t>(file[at]);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  store_le(&file[headers.checksum_field()], static_cast<std::uint32_t>(sum + file.size()));
}

}  // namespace image
