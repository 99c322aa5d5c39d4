#include "agent/boot_loader/fallback.hpp"

#include <gmock/gmock.h>

#include "tests/agent/boot_loader/firmware.hpp"
#include "tests/support/matchers.hpp"

namespace {

using agent::boot_loader::arm;
using agent::boot_loader::choose_fallback;
using agent::boot_loader::disarm;
using agent::boot_loader::read_loader_report;
using base::Kind;
using support::FailsWith;
using support::Firmware;
using support::Holds;
using support::Succeeds;
using support::utf16;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using namespace std::string_view_literals;

TEST(Fallback, IsAnotherEntryThatMayBeStarted) {
  struct Case {
    const char* label;
    const char* selected;
    std::vector<std::string> entries;
    const char* entry;  // null: none
    const char* reason;
  };
  const Case cases[] = {
      {"the other slot", "node_2.efi", {"node_2.efi", "node_1.efi"}, "node_1.efi", "node_2.efi is no longer counted"},
      {"on trial", "node_2+3-0.efi", {"node_2+3-0.efi", "node_1.efi"}, nullptr, "the starts of node_2+3-0.efi are"},
      {"on its last try", "node_2+0-3.efi", {"node_1.efi", "node_2+0-3.efi"}, nullptr, "are counted"},
      {"alone", "node_2.efi", {"node_2.efi"}, nullptr, "there is no entry beside node_2.efi"},
      {"the other has failed", "node_1.efi", {"node_1.efi", "node_2+0-3.efi"}, nullptr, "there is no entry beside"},
      {"counted without the tries done", "node_1.efi", {"node_1.efi", "node_2+0.efi"}, nullptr, "there is no entry"},
      {"the loader's own",
       "node_2.efi",
       {"node_2.efi", "auto-efi-shell", "auto-reboot-to-firmware-setup"},
       nullptr,
       "there is no entry beside"},
      {"the same version twice", "node_2.efi", {"node_2.efi", "node_2+3-0.efi"}, nullptr, "there is no entry beside"},
      {"one of the same image first", "node_2.efi", {"rescue.efi", "node_2.efi", "node_1.efi"}, "node_1.efi", ""},
      {"a good one first", "node_2.efi", {"node_3+2-1.efi", "node_2.efi", "node_1.efi"}, "node_1.efi", ""},
      {"one on trial rather than another image",
       "node_2.efi",
       {"rescue.efi", "node_2.efi", "node_3+2-1.efi"},
       "node_3+2-1.efi",
       ""},
      {"another image rather than none", "node_2.efi", {"node_2.efi", "rescue.efi", "auto-osx"}, "rescue.efi", ""},
      {"the first of equals", "node_3.efi", {"node_3.efi", "node_2.efi", "node_1.efi"}, "node_2.efi", ""},
      {"another boot loader", "", {}, nullptr, "systemd-boot did not start this"},
      {"an entry that is not listed", "node_2.efi", {"node_1.efi"}, "node_1.efi", ""},
  };
  for (const Case& c : cases) {
    const auto fallback = choose_fallback(c.selected, c.entries);
    EXPECT_EQ(fallback.entry, c.entry == nullptr ? std::nullopt : std::optional<std::string>(c.entry)) << c.label;
    EXPECT_THAT(fallback.reason, HasSubstr(c.reason)) << c.label;
  }
}

TEST(LoaderReport, IsWhatSystemdBootLeavesInItsVariables) {
  const Firmware firmware;
  constexpr std::string_view volatile_attributes("\6\0\0\0", 4);
  firmware.has("LoaderEntrySelected-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f", utf16("node_2+3-0.efi"),
               volatile_attributes);
  firmware.has("LoaderEntries-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f",
               utf16({"node_2+3-0.efi", "node_1.efi", "auto-reboot-to-firmware-setup"}), volatile_attributes);
  firmware.has("LoaderBootCountPath-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f", utf16("\\EFI\\Linux\\node_2+2-1.efi"),
               volatile_attributes);
  firmware.has("LoaderDevicePartUUID-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f",
               utf16("0F3E1A2B-4C5D-4E6F-8A9B-0C1D2E3F4A5B"), volatile_attributes);
  const auto report = read_loader_report(firmware.variables());
  ASSERT_THAT(report, Succeeds());
  EXPECT_EQ(report->selected, "node_2+3-0.efi");
  EXPECT_THAT(report->entries, ElementsAre("node_2+3-0.efi", "node_1.efi", "auto-reboot-to-firmware-setup"));
  EXPECT_EQ(report->counted, "\\EFI\\Linux\\node_2+2-1.efi");
  EXPECT_EQ(report->one_shot, "");
  EXPECT_EQ(report->esp, *base::Uuid::parse("0f3e1a2b-4c5d-4e6f-8a9b-0c1d2e3f4a5b"));
}

TEST(LoaderReport, IsEmptyWhereSystemdBootWasNot) {
  const auto report = read_loader_report(Firmware().variables());
  ASSERT_THAT(report, Succeeds());
  EXPECT_EQ(report->selected, "");
  EXPECT_THAT(report->entries, IsEmpty());
  EXPECT_EQ(report->esp, std::nullopt);
}

TEST(LoaderReport, NamesTheVariableThatIsNoText) {
  const Firmware firmware;
  firmware.has("LoaderEntries-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f", "odd");
  EXPECT_THAT(read_loader_report(firmware.variables()), FailsWith(Kind::corrupt, HasSubstr("LoaderEntries: 3 bytes")));
}

constexpr const char* one_shot = "LoaderEntryOneShot-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";

TEST(ArmedFallback, IsTheEntryForTheNextStart) {
  const Firmware firmware;
  EXPECT_THAT(arm(firmware.variables(), "node_1.efi"), Succeeds());
  EXPECT_EQ(firmware.content(one_shot), std::string("\7\0\0\0", 4) + utf16("node_1.efi"));
  EXPECT_THAT(disarm(firmware.variables(), "node_1.efi"), Holds(true));
  EXPECT_FALSE(firmware.holds(one_shot));
  EXPECT_THAT(disarm(firmware.variables(), "node_1.efi"), Holds(false));
}

TEST(ArmedFallback, LeavesWhatSomebodyElseHasAskedForAlone) {
  const Firmware firmware;
  firmware.has(one_shot, utf16("memtest.efi"));
  EXPECT_THAT(arm(firmware.variables(), "node_1.efi"), FailsWith(Kind::busy, HasSubstr("LoaderEntryOneShot")));
  EXPECT_THAT(disarm(firmware.variables(), "node_1.efi"), Holds(false));
  EXPECT_EQ(firmware.content(one_shot), std::string("\7\0\0\0", 4) + utf16("memtest.efi"));
}

}  // namespace
