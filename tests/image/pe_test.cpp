#include "image/pe.hpp"

#include <sstream>
#include <string>

#include <gmock/gmock.h>

#include "tests/image/pe_data.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

using base::Bytes;
using base::Kind;
using image::PeHeaders;
using image::PeSection;
using image::read_pe_headers;
using pe_data::cut;
using pe_data::stub;
using pe_data::with;
using support::FailsWith;
using support::Succeeds;
using testing::HasSubstr;

// systemd's stub in Debian 12: "PE" at 0x80, so the COFF header at 0x84, the optional header at 0x98, the section table
// at 0x188 with 8 entries of 40 bytes.
constexpr std::size_t coff = 0x84;
constexpr std::size_t optional_header = 0x98;
constexpr std::size_t table = 0x188;
constexpr std::size_t entry = 40;
constexpr std::size_t certificate_entry = optional_header + 144;

TEST(PeHeaders, OfSystemdsStubAreWhatObjdumpReads) {
  const auto headers = read_pe_headers(stub());
  ASSERT_THAT(headers, Succeeds());
  std::istringstream lines(pe_data::output_of({"objdump", "-h", pe_data::stub_path}));
  std::size_t found = 0;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::size_t index = 0;
    std::string name, lma;
    std::uint32_t size = 0, address = 0, offset = 0;
    if (!(fields >> index >> name >> std::hex >> size >> address >> lma >> offset)) continue;
    SCOPED_TRACE(name);
    ASSERT_LT(index, headers->sections.size());
    const PeSection& section = headers->sections[index];
    EXPECT_EQ(section.name, name);
    EXPECT_EQ(section.virtual_size, size);
    EXPECT_EQ(section.virtual_address, address);
    EXPECT_EQ(section.raw_offset, offset);
    ++found;
  }
  EXPECT_EQ(found, headers->sections.size());
  EXPECT_EQ(headers->machine, image::pe_machine_x86_64);
  EXPECT_EQ(headers->subsystem, image::pe_subsystem_efi_application);
  EXPECT_EQ(headers->certificate_table_size, 0U);
  EXPECT_EQ(headers->find(".nothing"), nullptr);
  ASSERT_NE(headers->find(".sdmagic"), nullptr);
  EXPECT_THAT(base::text_of(content_of(*headers->find(".sdmagic"), stub())), HasSubstr("systemd-stub 252"));
}

TEST(PeHeaders, HaveTheChecksumThatBinutilsAndSbsignWrite) {
  for (const char* path : {pe_data::stub_path, pe_data::boot_loader_path}) {
    Bytes file = pe_data::file(path);
    const auto headers = read_pe_headers(file);
    ASSERT_THAT(headers, Succeeds());
    store_checksum(*headers, file);
    EXPECT_EQ(base::load_le<std::uint32_t>(&file[headers->checksum_field()]), headers->checksum) << path;
  }
}

TEST(PeHeaders, AreRefusedWhenAnythingAboutThemIsWrong) {
  const Bytes good = stub();
  struct Case {
    const char* label;
    Bytes file;
    Kind kind;
    const char* message;
  };
  const Case cases[] = {
      {"empty", {}, Kind::corrupt, "no PE file: it would begin with a DOS header"},
      {"text", support::pattern(4096), Kind::corrupt, "no PE file: it would begin with a DOS header"},
      {"a DOS header cut short", cut(good, 63), Kind::corrupt, "no PE file"},
      {"the PE header beyond the file", with(good, 60, 0xfffffff0U), Kind::corrupt, "e_lfanew of 4294967280"},
      {"no PE header", with(good, 0x80, 0U), Kind::corrupt, "\"PE\" is missing at offset 128"},
      {"cut in the COFF header", cut(good, 0x90), Kind::corrupt, "e_lfanew of 128 leaves the file of 144 bytes"},
      {"cut in the optional header", cut(good, 0x100), Kind::corrupt, "SizeOfOptionalHeader of 240 bytes leaves"},
      {"cut in the section table", cut(good, 0x200), Kind::corrupt, "SizeOfHeaders of 1024 does not lie between"},
      {"cut in a section", cut(good, 0x8000), Kind::corrupt, "section \".text\": PointerToRawData and SizeOfRawData"},
      {"32-bit", with<std::uint16_t>(good, optional_header, 0x10b), Kind::unsupported, "a 32-bit PE file"},
      {"an unknown Magic", with<std::uint16_t>(good, optional_header, 0x107), Kind::corrupt, "Magic"},
      {"no optional header", with<std::uint16_t>(good, coff + 16, 0), Kind::corrupt,
       "Magic of the optional header is 0"},
      {"a small optional header", with<std::uint16_t>(good, coff + 16, 100), Kind::corrupt, "too small for PE32+"},
      {"17 data directories", with(good, optional_header + 108, 17U), Kind::corrupt, "NumberOfRvaAndSizes is 17"},
      {"4 data directories", with(good, optional_header + 108, 4U), Kind::corrupt, "NumberOfRvaAndSizes is 4"},
      {"15 data directories in room for 16", with(good, optional_header + 108, 15U), Kind::corrupt,
       "SizeOfOptionalHeader of 240 bytes does not fit NumberOfRvaAndSizes of 15"},
      {"FileAlignment 0", with(good, optional_header + 36, 0U), Kind::corrupt, "not powers of two"},
      {"SectionAlignment 513", with(good, optional_header + 32, 513U), Kind::corrupt, "not powers of two"},
      {"no sections", with<std::uint16_t>(good, coff + 2, 0), Kind::corrupt, "NumberOfSections is 0"},
      {"97 sections", with<std::uint16_t>(good, coff + 2, 97), Kind::corrupt, "NumberOfSections is 97"},
      {"more sections than headers", with<std::uint16_t>(good, coff + 2, 96), Kind::corrupt, "SizeOfHeaders of 1024"},
      {"SizeOfHeaders beyond the file", with(good, optional_header + 60, 0x7fffffffU), Kind::corrupt, "SizeOfHeaders"},
      {"a name of no characters", with(good, table, std::uint64_t{0}), Kind::corrupt, "a section's Name is not"},
      {"a name with something behind NUL", with(good, table, std::uint64_t{0x6100000000000061}), Kind::corrupt, "Name"},
      {"a name with an escape character", with(good, table, std::uint64_t{0x1b}), Kind::corrupt, "1b00000000000000"},
      {"a section beyond the file", with(good, table + 7 * entry + 20, 0x7fffffffU), Kind::corrupt,
       "section \".sdmagic\": PointerToRawData and SizeOfRawData (2147483647 + 512) leave the file"},
      {"a section whose end overflows 32 bits", with(good, table + 16, 0xffffffffU), Kind::corrupt, "leave the file"},
      {"a section over the headers", with(good, table + 20, 0x200U), Kind::corrupt, "512 overlaps the headers"},
      {"a section over another", with(good, table + entry + 20, 0xc200U), Kind::corrupt,
       "section \".reloc\": PointerToRawData of 49664 overlaps section \".text\""},
      {"a gap between sections", with(good, table + 16, 0xbe00U), Kind::unsupported,
       "a gap of 512 bytes between section \".text\" and section \".reloc\""},
      {"an address over the headers", with(good, table + 12, 0x100U), Kind::corrupt, "VirtualAddress of 256 overlaps"},
      {"an address over another section", with(good, table + 8, 0xc001U), Kind::corrupt,
       "section \".reloc\": VirtualAddress of 65536 overlaps section \".text\""},
      {"a section beyond the image", with(good, table + 7 * entry + 8, 0xffffffffU), Kind::corrupt,
       "leave SizeOfImage"},
      {"a certificate table beyond the file", with(good, certificate_entry, std::uint64_t{0xffffffff'fffffff8}),
       Kind::corrupt, "the certificate table's entry (4294967288 + 4294967295) does not end where the file does"},
      {"an empty certificate table", with(good, certificate_entry, std::uint64_t{0x14568}), Kind::corrupt, "is empty"},
      {"a certificate table at an odd place", with(good, certificate_entry, std::uint64_t{1} << 32 | 83296 | 1),
       Kind::corrupt, "not aligned to 8"},
      {"a certificate table in the headers", with(good, certificate_entry, std::uint64_t{82785} << 32 | 512),
       Kind::corrupt, "overlaps the headers"},
      {"a certificate table over sections", with(good, certificate_entry, std::uint64_t{83297 - 65536} << 32 | 65536),
       Kind::corrupt, "leave the file, of which 65536 bytes are sections'"},
  };
  for (const Case& c : cases) {
    EXPECT_THAT(read_pe_headers(c.file), FailsWith(c.kind, HasSubstr(c.message))) << c.label;
  }
}

TEST(PeHeaders, AreRefusedWhereverTheFileIsCutBeforeTheEndOfTheSections) {
  const Bytes good = stub();
  const std::size_t end = read_pe_headers(good).value().end_of_sections();
  for (std::size_t size = 0; size < end; size += size < 0x400 ? 1 : 97) {
    EXPECT_FALSE(read_pe_headers(base::ByteView(good).first(size)).has_value()) << size;
  }
  EXPECT_THAT(read_pe_headers(base::ByteView(good).first(end)), Succeeds());
}

}  // namespace
