#include "agent/boot_loader/bless.hpp"

#include <gmock/gmock.h>

#include "agent/boot_loader/os_release.hpp"

namespace {

using agent::boot_loader::entry_stem_in;
using agent::boot_loader::os_release_value;
using agent::boot_loader::refusal_to_bless;
using testing::Eq;
using testing::HasSubstr;
using testing::Optional;

TEST(Bless, IsForTheVersionThatWasCountedAndStartedAndRuns) {
  struct Case {
    const char* label;
    const char* counted;
    const char* selected;
    std::optional<std::string> running;
    const char* refusal;  // null: it may
  };
  const Case cases[] = {
      {"a trial boot", "\\EFI\\Linux\\node_2+2-1.efi", "node_2+3-0.efi", "node_2", nullptr},
      {"its last try", "\\EFI\\Linux\\node_2+0-3.efi", "node_2+1-2.efi", "node_2", nullptr},
      {"mounted paths", "/EFI/Linux/node_2+2-1.efi", "node_2+3-0.efi", "node_2", nullptr},
      {"nothing counted", "", "node_2.efi", "node_2", "systemd-boot has counted nothing"},
      {"the firmware refused node_2", "\\EFI\\Linux\\node_2+0-3.efi", "node_1.efi", "node_1",
       "node_2+0-3.efi was counted, but node_1.efi was started"},
      {"and node_1 is on trial, too", "\\EFI\\Linux\\node_2+0-3.efi", "node_1+3-0.efi", "node_1",
       "node_2+0-3.efi was counted, but node_1+3-0.efi was started"},
      {"another boot loader", "\\EFI\\Linux\\node_2+2-1.efi", "", "node_2", "but nothing was started"},
      {"another root", "\\EFI\\Linux\\node_2+2-1.efi", "node_2+3-0.efi", "node_1", "but what runs is node_1"},
      {"another image of that version", "\\EFI\\Linux\\node_2+2-1.efi", "node_2+3-0.efi", "edge_2",
       "but what runs is edge_2"},
      {"no image", "\\EFI\\Linux\\node_2+2-1.efi", "node_2+3-0.efi", std::nullopt, "os-release names no image"},
      {"no counter", "\\EFI\\Linux\\node_2.efi", "node_2.efi", "node_2", "node_2.efi has no counter"},
  };
  for (const Case& c : cases) {
    const auto refusal =
        refusal_to_bless({.selected = c.selected, .entries = {}, .counted = c.counted, .one_shot = {}}, c.running);
    if (c.refusal == nullptr) {
      EXPECT_EQ(refusal, std::nullopt) << c.label;
    } else {
      EXPECT_THAT(refusal, Optional(HasSubstr(c.refusal))) << c.label;
    }
  }
}

TEST(OsRelease, IsReadAsAShellReadsIt) {
  // sh -c '. ./os-release; printf "%s\n" "$IMAGE_ID" "$NAME" ...'
  const char* text =
      "# comment\nNAME=\"Keelson \\\"node\\\"\"\nID=debian\nIMAGE_ID=old\nIMAGE_ID=node\nIMAGE_VERSION='1.0.0'\n"
      "XIMAGE_ID=x\n  ANSI_COLOR='1;31'\nEMPTY=\nHALF=a\" b\"c\n";
  EXPECT_THAT(os_release_value(text, "NAME"), Optional(Eq("Keelson \"node\"")));
  EXPECT_THAT(os_release_value(text, "IMAGE_ID"), Optional(Eq("node")));
  EXPECT_THAT(os_release_value(text, "IMAGE_VERSION"), Optional(Eq("1.0.0")));
  EXPECT_THAT(os_release_value(text, "ANSI_COLOR"), Optional(Eq("1;31")));
  EXPECT_THAT(os_release_value(text, "EMPTY"), Optional(Eq("")));
  EXPECT_THAT(os_release_value(text, "HALF"), Optional(Eq("a bc")));
  EXPECT_EQ(os_release_value(text, "IMAGE"), std::nullopt);
  EXPECT_THAT(entry_stem_in(text), Optional(Eq("node_1.0.0")));
}

TEST(OsRelease, NamesNoImageByHalves) {
  for (const char* text : {"", "IMAGE_ID=node\n", "IMAGE_VERSION=1\n", "IMAGE_ID=\nIMAGE_VERSION=1\n"}) {
    EXPECT_EQ(entry_stem_in(text), std::nullopt) << text;
  }
}

}  // namespace
