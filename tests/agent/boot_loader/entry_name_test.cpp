#include "agent/boot_loader/entry_name.hpp"

#include <gmock/gmock.h>

namespace {

using agent::boot_loader::EntryName;
using image::BootTries;

TEST(EntryName, IsTakenApartAsTheBootLoaderDoesIt) {
  struct Case {
    const char* file_name;
    const char* stem;
    std::optional<BootTries> tries;
    const char* image_id;
  };
  // Source: systemd, src/boot/efi/boot.c, config_entry_parse_tries(); Boot Loader Specification, "Boot counting"
  const Case cases[] = {
      {"node_1.0.0.efi", "node_1.0.0", {}, "node"},
      {"node_1.0.0+3-0.efi", "node_1.0.0", {{3, 0}}, "node"},
      {"node_1.0.0+0-3.efi", "node_1.0.0", {{0, 3}}, "node"},
      {"node_1.0.0+10.efi", "node_1.0.0", {{10, 0}}, "node"},
      {"Node_1.0.0+3-0.EFI", "node_1.0.0", {{3, 0}}, "node"},
      {"debian-6.1.conf", "debian-6.1", {}, "debian-6.1"},
      {"debian-6.1+2-1.conf", "debian-6.1", {{2, 1}}, "debian-6.1"},
      {"auto-efi-default", "auto-efi-default", {}, "auto-efi-default"},
      {"6.1+deb12u1.efi", "6.1+deb12u1", {}, "6.1+deb12u1"},
      {"a_1+.efi", "a_1+", {}, "a"},
      {"a_1+3-.efi", "a_1+3-", {}, "a"},
      {"a_1+3-0-1.efi", "a_1+3-0-1", {}, "a"},
      {"a_1+4294967296-0.efi", "a_1+4294967296-0", {}, "a"},
      {"a+1_2+3-0.efi", "a+1_2", {{3, 0}}, "a+1"},
      {"", "", {}, ""},
  };
  for (const Case& c : cases) {
    const EntryName name = EntryName::of(c.file_name);
    EXPECT_EQ(name.stem, c.stem) << c.file_name;
    EXPECT_EQ(name.tries, c.tries) << c.file_name;
    EXPECT_EQ(name.image_id(), c.image_id) << c.file_name;
  }
}

}  // namespace
