#include "image/uki.hpp"

#include <map>
#include <sstream>
#include <string>

#include <gmock/gmock.h>

#include "image/pe.hpp"
#include "tests/image/pe_data.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

using base::Bytes;
using base::ByteView;
using base::Kind;
using image::assemble_uki;
using image::extend_sbat;
using image::split_uki;
using image::UkiParts;
using pe_data::Contents;
using pe_data::stub;
using pe_data::with;
using support::FailsWith;
using support::Holds;
using support::Succeeds;
using support::TemporaryDirectory;
using testing::HasSubstr;

constexpr std::string_view keelson_sbat = "keelson,1,The Keelson Developers,keelson,0.1.0,https://keelson.example/\n";

Bytes uki() {
  return assemble_uki(stub(), Contents().parts()).value();
}

struct Section {
  std::size_t index = 0;
  std::uint64_t size = 0;
  std::uint64_t address = 0;
  std::uint64_t offset = 0;
};

/// The section table as objdump -h prints it.
std::map<std::string, Section> objdump(const std::string& path) {
  std::istringstream lines(pe_data::output_of({"objdump", "-h", path}));
  std::map<std::string, Section> sections;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    Section section;
    std::string name, lma;
    if (fields >> section.index >> name >> std::hex >> section.size >> section.address >> lma >> section.offset) {
      EXPECT_TRUE(sections.emplace(name, section).second) << name << " stands twice";
    }
  }
  return sections;
}

/// A section's content as objcopy takes it out.
std::string dumped(const std::string& path, const std::string& section) {
  const TemporaryDirectory directory;
  pe_data::output_of(
      {"objcopy", "--dump-section", section + "=" + directory.path("content"), path, directory.path("copy")});
  return support::slurp(directory.path("content"));
}

TEST(AssembleUki, PutsTheSectionsWhereObjdumpFindsThem) {
  const TemporaryDirectory directory;
  const std::string path = directory.write("uki.efi", base::text_of(uki()));
  const auto sections = objdump(path);
  const Contents contents;
  ASSERT_EQ(sections.size(), objdump(pe_data::stub_path).size() + 5);
  // The stub's last section, .sdmagic, lies at 0x19100; the next page is 0x1a000. Its data ends at 0x11400.
  struct Expected {
    const char* name;
    ByteView content;
    std::uint64_t address;
    std::uint64_t offset;
  };
  const UkiParts parts = contents.parts();
  const Expected expected[] = {
      {".osrel", parts.os_release, 0x1a000, 0x11400}, {".cmdline", parts.cmdline, 0x1b000, 0x11600},
      {".uname", parts.uname, 0x1c000, 0x11800},      {".initrd", parts.initrd, 0x1d000, 0x11a00},
      {".linux", parts.kernel, 0x1f000, 0x13a00},
  };
  std::size_t index = 8;
  for (const Expected& e : expected) {
    SCOPED_TRACE(e.name);
    ASSERT_TRUE(sections.contains(e.name));
    const Section& section = sections.at(e.name);
    EXPECT_EQ(section.index, index++);
    EXPECT_EQ(section.size, e.content.size());
    EXPECT_EQ(section.address, e.address);
    EXPECT_EQ(section.offset, e.offset);
    EXPECT_EQ(dumped(path, e.name), base::text_of(e.content));
  }
}

TEST(AssembleUki, LeavesTheStubsSectionsAlone) {
  const TemporaryDirectory directory;
  const std::string path = directory.write("uki.efi", base::text_of(uki()));
  const auto sections = objdump(path);
  for (const auto& [name, before] : objdump(pe_data::stub_path)) {
    SCOPED_TRACE(name);
    ASSERT_TRUE(sections.contains(name));
    EXPECT_EQ(sections.at(name).address, before.address);
    EXPECT_EQ(sections.at(name).offset, before.offset);
    EXPECT_EQ(dumped(path, name), dumped(pe_data::stub_path, name));
  }
}

TEST(AssembleUki, WritesHeadersThatObjdumpReads) {
  const TemporaryDirectory directory;
  const std::string headers = pe_data::output_of({"objdump", "-p", directory.write("uki.efi", base::text_of(uki()))});
  // .linux begins at 0x1f000 and has 123457 bytes (0x1e241); the stub's data are 0x5000 bytes.
  EXPECT_THAT(headers, HasSubstr("SizeOfImage\t\t0003d400\n"));
  EXPECT_THAT(headers, HasSubstr("SizeOfInitializedData\t0000000000007600\n"));
  EXPECT_THAT(headers, HasSubstr("SizeOfHeaders\t\t00000400\n"));
  EXPECT_THAT(headers, HasSubstr("AddressOfEntryPoint\t0000000000004000\n"));
  EXPECT_THAT(headers, HasSubstr("Time/Date\t\tThu Jan  1 00:00:00 1970\n"));
  EXPECT_EQ(pe_data::output_of({"nm", directory.path("uki.efi")}), "");  // no symbols are left
}

TEST(AssembleUki, FillsWithZeros) {
  const Bytes file = uki();
  const auto headers = image::read_pe_headers(file).value();
  EXPECT_EQ(headers.end_of_sections(), file.size());
  for (const image::PeSection& section : headers.sections) {
    for (std::size_t i = section.raw_offset + section.virtual_size; i < section.raw_end(); ++i) {
      ASSERT_EQ(file[i], std::byte{0}) << section.name << " at " << i;
    }
  }
}

// tests/fuzz/make_corpus.sh assembles it from the same parts, in Python.
TEST(AssembleUki, GivesTheBytesOfAnotherAssembler) {
  const std::string initrd = [] {
    std::string text;
    for (int i = 0; i < 90; ++i) text += "070701";
    return text;
  }();
  const UkiParts parts{.os_release = base::bytes_of("ID=keelson\n"),
                       .cmdline = base::bytes_of("quiet"),
                       .uname = base::bytes_of("6.1.0"),
                       .initrd = base::bytes_of(initrd),
                       .kernel = base::bytes_of("MZ kernel")};
  const Bytes theirs = pe_data::file(KEELSON_CORPUS "/pe/uki");
  for (const char* name : {"stub", "stub-with-symbols"}) {
    EXPECT_THAT(assemble_uki(pe_data::file(KEELSON_CORPUS "/pe/" + std::string(name)), parts), Holds(theirs)) << name;
  }
}

TEST(AssembleUki, GivesTheSameBytesEachTime) {
  EXPECT_EQ(uki(), uki());
}

TEST(AssembleUki, RefusesBadInput) {
  const Contents contents;
  const UkiParts good = contents.parts();
  const auto changed = [&](ByteView UkiParts::* part, ByteView content) {
    UkiParts parts = good;
    parts.*part = content;
    return parts;
  };
  struct Case {
    const char* label;
    Bytes stub;
    UkiParts parts;
    Kind kind;
    const char* message;
  };
  const Case cases[] = {
      {"no PE", support::pattern(1000), good, Kind::corrupt, "the EFI stub: no PE file"},
      {"for another machine", with<std::uint16_t>(stub(), 0x84, 0xaa64), good, Kind::invalid_input,
       "the EFI stub: Machine is 43620; x86-64 (34404) is wanted"},
      {"a driver", with<std::uint16_t>(stub(), 0x98 + 68, 11), good, Kind::invalid_input, "Subsystem is 11"},
      {"systemd-boot in place of the stub", pe_data::file(pe_data::boot_loader_path), good, Kind::invalid_input,
       "the EFI stub: it has a section .osrel already"},
      {"a UKI in place of the stub", uki(), good, Kind::invalid_input, "it has a section .osrel already"},
      {"FileAlignment 32", with(stub(), 0x98 + 36, 32U), good, Kind::invalid_input, "FileAlignment is 32"},
      {"FileAlignment 4096", with(stub(), 0x98 + 36, 4096U), good, Kind::invalid_input,
       "its sections end at 70656, FileAlignment is 4096"},
      {"something where a header would go", with(stub(), 0x188 + 10 * 40, 1U), good, Kind::invalid_input,
       "its header has no room for the section .uname: other bytes follow the section table at 792"},
      {"no os-release", stub(), changed(&UkiParts::os_release, {}), Kind::invalid_input, ".osrel is empty"},
      {"no kernel", stub(), changed(&UkiParts::kernel, {}), Kind::invalid_input, "the content of .linux is empty"},
      {"NUL in the command line", stub(), changed(&UkiParts::cmdline, base::bytes_of(std::string_view("a\0b", 3))),
       Kind::invalid_input, "the text of .cmdline has a NUL"},
  };
  for (const Case& c : cases) {
    EXPECT_THAT(assemble_uki(c.stub, c.parts), FailsWith(c.kind, HasSubstr(c.message))) << c.label;
  }
}

TEST(AssembleUki, RefusesAStubWithoutRoomForHeaders) {
  // The table has room for 15 headers. Seven empty sections more, each at the end of the one before.
  Bytes full = stub();
  const auto headers = image::read_pe_headers(full).value();
  const std::uint32_t end = static_cast<std::uint32_t>(headers.sections.back().virtual_end());
  for (std::size_t i = 8; i < 15; ++i) {
    image::store_section({.name = ".x" + std::to_string(i), .virtual_address = end},
                         std::span(full).subspan(0x188 + i * 40));
  }
  for (std::uint16_t count = 8; count <= 15; ++count) {
    const Bytes crowded = with(full, 0x84 + 2, count);
    Bytes clean = crowded;
    std::fill(clean.begin() + 0x188 + count * 40, clean.begin() + 0x400, std::byte{0});
    if (count <= 10) {
      EXPECT_THAT(assemble_uki(clean, Contents().parts()), Succeeds()) << count;
    } else {
      EXPECT_THAT(assemble_uki(clean, Contents().parts()),
                  FailsWith(Kind::invalid_input, HasSubstr("its header has no room for the section .")))
          << count;
    }
  }
}

TEST(AssembleUki, RefusesMoreThan32BitsCanSay) {
  // Only its size is looked at: the address space is there, the memory is not touched.
  const Contents contents;
  UkiParts parts = contents.parts();
  parts.initrd = ByteView(contents.initrd.data(), std::size_t{0xfffff000});
  EXPECT_THAT(
      assemble_uki(stub(), parts),
      FailsWith(Kind::invalid_input, HasSubstr("with .initrd of 4294963200 bytes the image would reach 4 GiB")));
  parts.initrd = ByteView(contents.initrd.data(), std::size_t{1} << 40);
  EXPECT_THAT(assemble_uki(stub(), parts), FailsWith(Kind::invalid_input, HasSubstr("the image would reach 4 GiB")));
}

TEST(SplitUki, GivesThePartsAndAStubThatMakeTheSameBytesAgain) {
  const Bytes whole = uki();
  const auto split = split_uki(whole);
  ASSERT_THAT(split, Succeeds());
  const Contents contents;
  EXPECT_EQ(base::text_of(split->parts.os_release), contents.os_release);
  EXPECT_EQ(base::text_of(split->parts.cmdline), contents.cmdline);
  EXPECT_EQ(base::text_of(split->parts.uname), contents.uname);
  EXPECT_EQ(base::text_of(split->parts.initrd), base::text_of(contents.initrd));
  EXPECT_EQ(base::text_of(split->parts.kernel), base::text_of(contents.kernel));
  EXPECT_THAT(assemble_uki(split->stub, split->parts), Holds(whole));
  EXPECT_THAT(assemble_uki(split->stub, contents.parts()), Holds(whole));
}

TEST(SplitUki, GivesAStubThatDiffersFromTheOriginalInComputedFieldsOnly) {
  const Bytes whole = uki();
  const Bytes split = split_uki(whole).value().stub;
  const Bytes original = stub();
  ASSERT_EQ(split.size(), 0x11400U);  // without the symbol table
  for (std::size_t i = 0; i < split.size(); ++i) {
    const bool symbols = i >= 0x84 + 8 && i < 0x84 + 16;
    const bool size_of_image = i >= 0x98 + 56 && i < 0x98 + 60;
    const bool checksum = i >= 0x98 + 64 && i < 0x98 + 68;
    if (symbols || size_of_image || checksum) continue;
    ASSERT_EQ(split[i], original[i]) << i;
  }
}

TEST(SplitUki, RefusesWhatWeDidNotAssemble) {
  const Bytes whole = uki();
  const auto at_end = [&](std::size_t back) { return whole.size() - back; };
  struct Case {
    const char* label;
    Bytes file;
    Kind kind;
    const char* message;
  };
  const Case cases[] = {
      {"no PE", support::pattern(1000), Kind::corrupt, "splitting a UKI: no PE file"},
      {"a stub", stub(), Kind::unsupported, "no UKI of ours: the section .dynamic stands where .osrel would"},
      {"a byte behind the sections", pe_data::joined(whole, base::bytes_of("x")), Kind::unsupported, "somebody else"},
      {"fill that is not zero", with<std::uint8_t>(whole, at_end(1), 1), Kind::unsupported,
       "somebody else assembled it"},
      {"another checksum", with(whole, 0x98 + 64, 0U), Kind::unsupported, "somebody else assembled it"},
      {"a part without content", with(whole, 0x188 + 10 * 40 + 8, 0U), Kind::unsupported, ".uname is empty"},
      {"names changed round",
       with(with(whole, 0x188 + 8 * 40, std::uint64_t{0x0000656d616e752e}), 0x188 + 10 * 40,
            std::uint64_t{0x00006c6572736f2e}),
       Kind::unsupported, "the section .uname stands where .osrel would"},
  };
  for (const Case& c : cases) {
    EXPECT_THAT(split_uki(c.file), FailsWith(c.kind, HasSubstr(c.message))) << c.label;
  }
}

TEST(SplitUki, RefusesAUkiOfObjcopys) {
  const TemporaryDirectory directory;
  const Contents contents;
  std::vector<std::string> argv{"objcopy"};
  const auto add = [&](const std::string& name, ByteView content, const char* address) {
    const std::string path = directory.write(name, base::text_of(content));
    argv.insert(argv.end(), {"--add-section", name + "=" + path, "--change-section-vma", name + "=" + address});
  };
  add(".osrel", contents.parts().os_release, "0x1a000");
  add(".cmdline", contents.parts().cmdline, "0x1b000");
  add(".uname", contents.parts().uname, "0x1c000");
  add(".initrd", contents.parts().initrd, "0x1d000");
  add(".linux", contents.parts().kernel, "0x1f000");
  argv.insert(argv.end(), {pe_data::stub_path, directory.path("uki.efi")});
  pe_data::output_of(argv);
  EXPECT_THAT(split_uki(pe_data::file(directory.path("uki.efi"))),
              FailsWith(Kind::unsupported, HasSubstr("somebody else assembled it")));
}

TEST(ExtendSbat, KeepsTheStubsLinesInOneSectionBehindTheOthers) {
  const auto extended = extend_sbat(stub(), keelson_sbat);
  ASSERT_THAT(extended, Succeeds());
  const TemporaryDirectory directory;
  const std::string path = directory.write("stub.efi", base::text_of(*extended));
  const auto sections = objdump(path);
  ASSERT_EQ(sections.size(), 8U);
  EXPECT_EQ(sections.at(".sbat").index, 7U);
  EXPECT_EQ(sections.at(".sbat").address, 0x1a000U);
  std::string before = dumped(pe_data::stub_path, ".sbat");
  before.resize(before.find('\0'));
  EXPECT_EQ(dumped(path, ".sbat"), before + std::string(keelson_sbat));
  for (const char* name : {".text", ".reloc", ".data", ".dynamic", ".rela", ".dynsym", ".sdmagic"}) {
    EXPECT_EQ(dumped(path, name), dumped(pe_data::stub_path, name)) << name;
    EXPECT_EQ(sections.at(name).address, objdump(pe_data::stub_path).at(name).address) << name;
  }
}

TEST(ExtendSbat, GivesAStubThatAUkiSplitsIntoAgain) {
  const Bytes extended = extend_sbat(stub(), keelson_sbat).value();
  const auto whole = assemble_uki(extended, Contents().parts());
  ASSERT_THAT(whole, Succeeds());
  const auto split = split_uki(*whole);
  ASSERT_THAT(split, Succeeds());
  EXPECT_EQ(split->stub, extended);
  EXPECT_EQ(extend_sbat(extended, "another,2,A,b,c,d\n").value().size(), extended.size());  // within the same fill
}

TEST(ExtendSbat, RefusesLinesThatAreNone) {
  struct Case {
    const char* lines;
    const char* message;
  };
  const Case cases[] = {
      {"", "each ended by a line feed"},
      {"keelson,1,a,b,c,d", "each ended by a line feed"},
      {"keelson,1,a,b,c\n", "not six printable fields"},
      {"keelson,1,a,b,c,d\n\n", "not six printable fields"},
      {"keelson,1,a,\x1b,c,d\n", "not six printable fields"},
      {"keelson,one,a,b,c,d\n", "a positive number"},
      {"keelson,0,a,b,c,d\n", "a positive number"},
      {",1,a,b,c,d\n", "does not begin with a component"},
  };
  for (const Case& c : cases) {
    EXPECT_THAT(extend_sbat(stub(), c.lines), FailsWith(Kind::invalid_input, HasSubstr(c.message))) << c.lines;
  }
}

}  // namespace
