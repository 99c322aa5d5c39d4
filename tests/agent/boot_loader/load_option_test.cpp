#include "agent/boot_loader/load_option.hpp"

#include <gmock/gmock.h>

#include "tests/support/matchers.hpp"

namespace {

using agent::boot_loader::decode_load_option;
using agent::boot_loader::encode_load_option;
using agent::boot_loader::HardDrive;
using agent::boot_loader::LoadOption;
using base::Bytes;
using base::Kind;
using support::FailsWith;
using support::Holds;
using support::Succeeds;
using testing::HasSubstr;

Bytes bytes(const std::string& hex) {
  auto decoded = base::from_hex(hex);
  EXPECT_THAT(decoded, Succeeds()) << hex;
  return decoded.value_or(Bytes());
}

const HardDrive esp{.number = 1,
                    .start_sector = 2048,
                    .sectors = 1048576,
                    .uuid = *base::Uuid::parse("0f3e1a2b-4c5d-4e6f-8a9b-0c1d2e3f4a5b")};

// efibootmgr 17 on a disk with such a partition: efibootmgr -c -d disk -p 1 -l '\EFI\systemd\systemd-bootx64.efi'
// -L 'Keelson (spare 1)'; the bytes of Boot0000 behind its attributes.
const std::string by_efibootmgr =
    "01000000"
    "7400"
    "4b00650065006c0073006f006e00200028007300700061007200650020003100290000"
    "00"
    "04012a0001000000000800000000000000001000000000002b1a3e0f5d4c6f4e8a9b0c1d2e3f4a5b0202"
    "040446005c004500460049005c00730079007300740065006d0064005c00730079007300740065006d0064002d0062006f006f0074007800"
    "360034002e0065006600690000007fff0400";

TEST(LoadOption, HasTheBytesThatEfibootmgrWrites) {
  const LoadOption option{.attributes = 1,
                          .description = "Keelson (spare 1)",
                          .partition = esp,
                          .file = "\\EFI\\systemd\\systemd-bootx64.efi"};
  const auto encoded = encode_load_option(option);
  ASSERT_THAT(encoded, Succeeds());
  EXPECT_EQ(base::to_hex(*encoded), by_efibootmgr);
  EXPECT_THAT(decode_load_option(*encoded), Holds(option));
}

// What follows is put together by hand from the UEFI specification, 2.10: 3.1.3 (load options), 10.3 (device paths).
const std::string pci_root = "02010c00d041030a00000000";  // ACPI, HID PNP0A03, UID 0
const std::string pci = "010106000003";                   // hardware, PCI, function 0, device 3
const std::string nvme =
    "0317100001000000"
    "0011223344556677";            // messaging, NVMe, namespace 1, EUI-64
const std::string gpt_partition =  // media, hard drive, 42 bytes
    "04012a00"
    "01000000"
    "0008000000000000"
    "0000100000000000"  // partition 1, start, size
    "2b1a3e0f5d4c6f4e8a9b0c1d2e3f4a5b"
    "02"
    "02";  // signature; GPT; a GUID
const std::string mbr_partition =
    "04012a00"
    "01000000"
    "0008000000000000"
    "0000100000000000"
    "44332211000000000000000000000000"
    "01"
    "01";
const std::string file =
    "04040c00"
    "5c0061005c000000";  // media, file: "\a\"
const std::string more_of_file =
    "04040800"
    "62000000";  // "b"
const std::string end = "7fff0400";
const std::string next_instance = "7f010400";

/// Attributes, length of the paths, the description "x", the paths.
std::string option(const std::string& attributes, const std::string& paths) {
  const std::size_t size = paths.size() / 2;
  return attributes + base::to_hex(Bytes{std::byte(size & 0xff), std::byte(size >> 8)}) + "78000000" + paths;
}

TEST(LoadOption, IsReadFromWhatFirmwareWrites) {
  struct Case {
    const char* label;
    std::string hex;
    LoadOption option;
  };
  const Case cases[] = {
      {"a whole device path",
       option("01000000", pci_root + pci + nvme + gpt_partition + file + end),
       {1, "x", esp, "\\a\\"}},
      {"a file in two parts", option("01000000", gpt_partition + file + more_of_file + end), {1, "x", esp, "\\a\\b"}},
      {"what is behind the paths is the program's",
       option("01000000", gpt_partition + end) + "ffffff",
       {1, "x", esp, ""}},
      {"only the first path counts", option("01000000", gpt_partition + next_instance + file + end), {1, "x", esp, ""}},
      {"a whole disk", option("01000000", pci_root + pci + nvme + end), {1, "x", {}, ""}},
      {"a disk without GPT", option("01000000", mbr_partition + file + end), {1, "x", {}, "\\a\\"}},
      {"not active, hidden", option("08000000", gpt_partition + end), {8, "x", esp, ""}},
  };
  for (const Case& c : cases) EXPECT_THAT(decode_load_option(bytes(c.hex)), Holds(c.option)) << c.label;
  EXPECT_TRUE(cases[0].option.is_active());
  EXPECT_FALSE(cases[6].option.is_active());
}

TEST(LoadOption, IsRefusedWhereItsLengthsAreWrong) {
  struct Case {
    const char* label;
    std::string hex;
    const char* message;
  };
  const Case cases[] = {
      {"nothing", "", "ends inside its header"},
      {"half a header", "0100000074", "ends inside its header"},
      {"no description", "010000000000", "its description has no end"},
      {"an endless description", "010000000000780079", "its description has no end"},
      {"a path longer than the rest",
       "010000000500"
       "78000000"
       "7fff0400",
       "longer than it is itself"},
      {"no path", option("01000000", ""), "its device path has no end"},
      {"a path without an end", option("01000000", gpt_partition), "its device path has no end"},
      {"a node of no length", option("01000000", "04010000" + end), "a node of its device path has a wrong length"},
      {"a node beyond the path", option("01000000", "04042000" + end), "a node of its device path has a wrong length"},
      {"a short partition",
       option("01000000",
              "04010800"
              "01000000" +
                  end),
       "its partition has a wrong length"},
      {"half a character",
       option("01000000",
              "04040500"
              "5c" +
                  end),
       "its file: 1 bytes are no UTF-16"},
  };
  for (const Case& c : cases) {
    EXPECT_THAT(decode_load_option(bytes(c.hex)), FailsWith(Kind::corrupt, HasSubstr(c.message))) << c.label;
  }
}

TEST(LoadOption, IsNotWrittenByHalves) {
  EXPECT_THAT(encode_load_option({1, "x", {}, "\\a"}), FailsWith(Kind::invalid_input, HasSubstr("needs a partition")));
  EXPECT_THAT(encode_load_option({1, "x", esp, ""}), FailsWith(Kind::invalid_input, HasSubstr("and a file")));
  EXPECT_THAT(encode_load_option({1, "\xff", esp, "\\a"}), FailsWith(Kind::invalid_input, HasSubstr("description")));
  EXPECT_THAT(encode_load_option({1, "x", esp, std::string(40000, 'a')}),
              FailsWith(Kind::invalid_input, HasSubstr("too long")));
}

}  // namespace
