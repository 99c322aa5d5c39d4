#include "agent/boot/commands.hpp"

#include <string>

#include <gmock/gmock.h>

#include "base/json.hpp"
#include "tests/agent/boot_loader/firmware.hpp"
#include "tests/agent/disks/fake_disks.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

using agent::boot::complete;
using agent::boot::Outcome;
using agent::boot::status;
using agent::boot::why_not_bless;
using support::Holds;
using support::Succeeds;
using support::utf16;
using testing::ElementsAre;
using testing::Eq;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Optional;

using namespace std::string_view_literals;

const verity::RootHash root_hash =
    *verity::RootHash::parse("2e534ef0107d592d1706ac38ad58596b85ef3375d360a6d669f974792df5cb5a");

/// A host that has started node 1.0.0 from vda, with version 0.9.0 in the other slot.
class Boot : public testing::Test {
 protected:
  void SetUp() override {
    disks_.add_disk("vda", table_);
    directory_.write("cmdline", "quiet roothash=" + root_hash.hex() + "\n");
    directory_.write("os-release", "IMAGE_ID=node\nIMAGE_VERSION=1.0.0\n");
  }
  void loader_says(const std::string& name, const std::string& value) const {
    firmware_.has(name + support::Firmware::loader, value);
  }
  void has_started(const std::string& entry) const {
    loader_says("LoaderEntrySelected", utf16(entry));
    loader_says("LoaderEntries", utf16({entry, "node_0.9.0.efi", "auto-reboot-to-firmware-setup"}));
    loader_says("LoaderDevicePartUUID", utf16(table_.partitions[0].uuid.text()));
    firmware_.has("BootOrder-8be4df61-93ca-11d2-aa0d-00e098032b8c", "\0\0"sv);
    firmware_.has("BootCurrent-8be4df61-93ca-11d2-aa0d-00e098032b8c", "\0\0"sv);
    // The firmware's own for a disk: active, a path of 4 bytes, "d", the end of the path.
    firmware_.has("Boot0000-8be4df61-93ca-11d2-aa0d-00e098032b8c", "\1\0\0\0\4\0d\0\0\0\x7f\xff\4\0"sv);
  }
  agent::boot::Machine machine() const {
    return {.variables = firmware_.variables(),
            .devices = disks_.tree(),
            .cmdline = directory_.path("cmdline"),
            .os_release = directory_.path("os-release")};
  }

  image::PartitionTable table_ = support::table_with_var(root_hash);
  support::TemporaryDirectory directory_;
  support::FakeDisks disks_;
  support::Firmware firmware_;
};

TEST_F(Boot, OfABlessedVersionDisarmsTheFallbackAndProvidesStarts) {
  has_started("node_1.0.0.efi");
  loader_says("LoaderEntryOneShot", utf16("node_0.9.0.efi"));
  const Outcome first = complete(machine(), 3);
  EXPECT_THAT(first.failures, IsEmpty());
  EXPECT_THAT(first.lines, ElementsAre("the fallback node_0.9.0.efi is disarmed",
                                       "4 boot options lead to the boot loader: 4 are new, 0 old ones are gone"));
  EXPECT_FALSE(firmware_.holds("LoaderEntryOneShot-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"));
  EXPECT_EQ(firmware_.content("BootOrder-8be4df61-93ca-11d2-aa0d-00e098032b8c"), "\7\0\0\0\0\0\1\0\2\0\3\0\4\0"sv);
  // In the device path stand the partition's number, start and size in sectors: 1, 1 MiB, 512 MiB.
  EXPECT_THAT(base::to_hex(base::bytes_of(firmware_.content("Boot0001-8be4df61-93ca-11d2-aa0d-00e098032b8c"))),
              HasSubstr("04012a00"
                        "01000000"
                        "0008000000000000"
                        "0000100000000000"));

  const Outcome second = complete(machine(), 3);
  EXPECT_THAT(second.failures, IsEmpty());
  EXPECT_THAT(second.lines, ElementsAre("the fallback node_0.9.0.efi is not armed",
                                        "4 boot options lead to the boot loader: nothing to do"));
}

TEST_F(Boot, OnTrialHasNothingToDisarm) {
  has_started("node_1.0.0+3-0.efi");
  loader_says("LoaderEntryOneShot", utf16("memtest.efi"));
  const Outcome outcome = complete(machine(), 1);
  EXPECT_THAT(outcome.lines, ElementsAre("no fallback to disarm: the starts of node_1.0.0+3-0.efi are counted",
                                         HasSubstr("2 boot options lead to the boot loader")));
  EXPECT_TRUE(firmware_.holds("LoaderEntryOneShot-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"));
}

TEST_F(Boot, WithoutVariablesHasNothingToDo) {
  const Outcome outcome = complete(machine(), 3);
  EXPECT_THAT(outcome.failures, IsEmpty());
  EXPECT_THAT(outcome.lines, ElementsAre("there are no EFI variables: nothing to do"));
  EXPECT_THAT(why_not_bless(machine()), Holds(Optional(Eq("there are no EFI variables"))));
  EXPECT_THAT(status(machine()), Holds(Eq(std::nullopt)));
}

TEST_F(Boot, ByAnotherBootLoaderLeavesTheFirmwareAlone) {
  firmware_.has("BootOrder-8be4df61-93ca-11d2-aa0d-00e098032b8c", "\0\0"sv);
  const Outcome outcome = complete(machine(), 3);
  EXPECT_THAT(outcome.failures, IsEmpty());
  EXPECT_THAT(outcome.lines, ElementsAre("no fallback to disarm: systemd-boot did not start this"));
}

TEST_F(Boot, DisarmsAlthoughNoStartsCanBeProvided) {
  has_started("node_1.0.0.efi");
  loader_says("LoaderEntryOneShot", utf16("node_0.9.0.efi"));
  loader_says("LoaderDevicePartUUID", utf16("0F3E1A2B-4C5D-4E6F-8A9B-0C1D2E3F4A5B"));
  const Outcome outcome = complete(machine(), 3);
  EXPECT_THAT(outcome.lines, ElementsAre("the fallback node_0.9.0.efi is disarmed"));
  ASSERT_EQ(outcome.failures.size(), 1U);
  EXPECT_EQ(outcome.failures[0].message(),
            "providing boot options: the boot loader was not started from vda, the root's disk");
  EXPECT_EQ(firmware_.content("BootOrder-8be4df61-93ca-11d2-aa0d-00e098032b8c"), "\7\0\0\0\0\0"sv);
}

TEST_F(Boot, MayBeBlessedWhereItIsItsOwn) {
  has_started("node_1.0.0+3-0.efi");
  loader_says("LoaderBootCountPath", utf16("\\EFI\\Linux\\node_1.0.0+2-1.efi"));
  EXPECT_THAT(why_not_bless(machine()), Holds(Eq(std::nullopt)));
  directory_.write("os-release", "IMAGE_ID=node\nIMAGE_VERSION=0.9.0\n");
  EXPECT_THAT(why_not_bless(machine()), Holds(Optional(HasSubstr("but what runs is node_0.9.0"))));
}

TEST_F(Boot, IsToldToPeopleAndMachines) {
  has_started("node_1.0.0+3-0.efi");
  loader_says("LoaderBootCountPath", utf16("\\EFI\\Linux\\node_1.0.0+2-1.efi"));
  loader_says("LoaderEntryOneShot", utf16("a \"quoted\"\tname"));
  const auto found = status(machine());
  ASSERT_THAT(found, Succeeds());
  EXPECT_EQ(text_of(*found),
            "started:   node_1.0.0+3-0.efi\n"
            "counted:   \\EFI\\Linux\\node_1.0.0+2-1.efi\n"
            "bless:     yes\n"
            "next once: a \"quoted\"\tname\n"
            "fallback:  none (the starts of node_1.0.0+3-0.efi are counted)\n"
            "starts:    0\n");
  const auto json = base::parse_json(json_of(*found));
  ASSERT_THAT(json, Succeeds());
  EXPECT_EQ(*json, (base::Json{{"efi", true},
                               {"selected", "node_1.0.0+3-0.efi"},
                               {"entries", {"node_1.0.0+3-0.efi", "node_0.9.0.efi", "auto-reboot-to-firmware-setup"}},
                               {"counted", "\\EFI\\Linux\\node_1.0.0+2-1.efi"},
                               {"may_bless", true},
                               {"one_shot", "a \"quoted\"\tname"},
                               {"fallback", nullptr},
                               {"fallback_reason", "the starts of node_1.0.0+3-0.efi are counted"},
                               {"starts", 0}}));
}

TEST(BootStatus, IsShortWithoutVariables) {
  EXPECT_EQ(agent::boot::text_of(std::nullopt), "there are no EFI variables\n");
  EXPECT_EQ(agent::boot::json_of(std::nullopt), "{\"efi\":false}\n");
}

}  // namespace
