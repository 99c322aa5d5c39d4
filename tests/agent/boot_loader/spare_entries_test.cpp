#include "agent/boot_loader/spare_entries.hpp"

#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "tests/agent/boot_loader/firmware.hpp"
#include "tests/support/matchers.hpp"

namespace {

using agent::boot_loader::BootOptions;
using agent::boot_loader::carry_out;
using agent::boot_loader::HardDrive;
using agent::boot_loader::LoadOption;
using agent::boot_loader::plan_spares;
using agent::boot_loader::read_boot_options;
using agent::boot_loader::SparePlan;
using base::Kind;
using base::Uuid;
using support::FailsWith;
using support::Firmware;
using support::Succeeds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Optional;
using testing::UnorderedElementsAre;

using namespace std::string_view_literals;

Uuid uuid(unsigned number) {
  Uuid made;
  made.bytes.back() = static_cast<std::byte>(number);
  return made;
}

const HardDrive esp{.number = 1, .start_sector = 2048, .sectors = 1048576, .uuid = uuid(1)};
const std::vector<Uuid> present = {uuid(1), uuid(2), uuid(3)};
constexpr const char* systemd_boot = "\\EFI\\systemd\\systemd-bootx64.efi";

LoadOption leading_to(const std::string& description, const Uuid& partition, const std::string& file = systemd_boot) {
  return {1, description, HardDrive{1, 2048, 1048576, partition}, file};
}
LoadOption elsewhere(const std::string& description) {
  return {1, description, {}, ""};
}

/// Boot0000 and on, in this order.
BootOptions firmware_with(std::vector<LoadOption> options, std::vector<std::uint16_t> order,
                          std::optional<std::uint16_t> current = {}) {
  BootOptions firmware{.options = {}, .taken = {}, .order = std::move(order), .current = current};
  for (std::uint16_t number = 0; LoadOption & option : options) {
    firmware.taken.insert(number);
    firmware.options.push_back({number++, std::move(option)});
  }
  return firmware;
}

std::vector<std::uint16_t> created(const SparePlan& plan) {
  std::vector<std::uint16_t> numbers;
  for (const auto& each : plan.create) numbers.push_back(each.number);
  return numbers;
}

TEST(Spares, StandBehindTheOptionThatThisBootCameFrom) {
  const auto firmware = firmware_with(
      {elsewhere("UiApp"), elsewhere("UEFI Misc Device"), elsewhere("PXE"), elsewhere("Shell")}, {1, 2, 3}, 1);
  const SparePlan plan = plan_spares(firmware, esp, present, 4);
  EXPECT_THAT(created(plan), ElementsAre(4, 5, 6, 7));
  EXPECT_THAT(plan.order, Optional(ElementsAre(1, 4, 5, 6, 7, 2, 3)));
  EXPECT_EQ(plan.starts, 4U);
  EXPECT_EQ(plan.create[1].option, (LoadOption{1, "Keelson (spare 2)", esp, "\\EFI\\systemd\\systemd-bootx64.efi"}));
}

TEST(Spares, StandAtTheEndWhereNothingIsKnown) {
  const SparePlan plan = plan_spares(firmware_with({elsewhere("PXE")}, {0}), esp, present, 2);
  EXPECT_THAT(plan.order, Optional(ElementsAre(0, 1, 2)));
  EXPECT_THAT(plan_spares({}, esp, present, 2).order, Optional(ElementsAre(0, 1)));
}

TEST(Spares, AreNotNeededWhereEnoughLeadsToTheBootLoader) {
  const auto firmware = firmware_with({leading_to("Linux Boot Manager", uuid(1)), elsewhere("PXE"),
                                       leading_to("UEFI OS", uuid(1), "\\efi\\boot\\bootx64.efi")},
                                      {1, 0, 2}, 0);
  EXPECT_TRUE(plan_spares(firmware, esp, present, 2).is_empty());
  const SparePlan plan = plan_spares(firmware, esp, present, 3);
  EXPECT_THAT(created(plan), ElementsAre(3));
  EXPECT_THAT(plan.order, Optional(ElementsAre(1, 0, 2, 3)));  // behind those that lead there, one behind the other
}

TEST(Spares, AreWrittenOnce) {
  auto firmware = firmware_with({elsewhere("disk"), elsewhere("PXE")}, {0, 1}, 0);
  const SparePlan first = plan_spares(firmware, esp, present, 3);
  for (const auto& each : first.create) {
    firmware.options.push_back(each);
    firmware.taken.insert(each.number);
  }
  firmware.order = *first.order;
  EXPECT_TRUE(plan_spares(firmware, esp, present, 3).is_empty());
  firmware.current = 2;  // one of them was the one, this time
  EXPECT_TRUE(plan_spares(firmware, esp, present, 3).is_empty());
}

TEST(Spares, AreNotWhatLeadsElsewhereOrNowhere) {
  LoadOption inactive = leading_to("off", uuid(1));
  inactive.attributes = 0;
  const auto firmware = firmware_with(
      {leading_to("another disk", uuid(2)), leading_to("another program", uuid(1), "\\EFI\\debian\\shimx64.efi"),
       inactive, leading_to("not in the order", uuid(1))},
      {0, 1, 2});
  EXPECT_THAT(created(plan_spares(firmware, esp, present, 1)), ElementsAre(4));
}

TEST(Spares, AreGivenNumbersThatNobodyHas) {
  auto firmware = firmware_with({elsewhere("a")}, {0, 2});
  firmware.taken = {0, 1, 3};  // one that could not be read; 2 stands in the order only
  EXPECT_THAT(created(plan_spares(firmware, esp, present, 2)), ElementsAre(4, 5));
}

TEST(Spares, ArePutBackIntoAnOrderThatHasLostThem) {
  const auto firmware = firmware_with(
      {elsewhere("disk"), leading_to("Keelson (spare 1)", uuid(1)), leading_to("Keelson (spare 2)", uuid(1))}, {0}, 0);
  const SparePlan plan = plan_spares(firmware, esp, present, 3);
  EXPECT_THAT(created(plan), ElementsAre(3));
  EXPECT_EQ(plan.create[0].option.description, "Keelson (spare 3)");
  EXPECT_THAT(plan.order, Optional(ElementsAre(0, 1, 2, 3)));
  EXPECT_THAT(plan_spares(firmware, esp, present, 1).order, Optional(ElementsAre(0, 1)));
}

TEST(Spares, GoWithThePartitionThatTheyLedTo) {
  const auto firmware =
      firmware_with({leading_to("Keelson (spare 1)", uuid(9)), leading_to("Keelson (spare 1)", uuid(2)),
                     leading_to("debian", uuid(9), "\\EFI\\debian\\shimx64.efi")},
                    {0, 1, 2}, 1);
  const SparePlan plan = plan_spares(firmware, esp, present, 1);
  EXPECT_THAT(plan.remove, ElementsAre(0));  // another disk's stays, and so does what is not ours
  EXPECT_THAT(created(plan), ElementsAre(3));
  EXPECT_THAT(plan.order, Optional(ElementsAre(1, 3, 2)));
}

TEST(Spares, AreNeverMoreThanFirmwareBears) {
  EXPECT_EQ(plan_spares({}, esp, present, 100).create.size(), 16U);
}

TEST(Spares, AreReadAndWrittenAsVariables) {
  const Firmware variables;
  variables.has("BootOrder-8be4df61-93ca-11d2-aa0d-00e098032b8c", "\1\0\0\0"sv);
  variables.has("BootCurrent-8be4df61-93ca-11d2-aa0d-00e098032b8c", "\1\0"sv, {"\6\0\0\0", 4});
  variables.has("Boot0000-8be4df61-93ca-11d2-aa0d-00e098032b8c", "spoiled");
  // Active, a path of 4 bytes, "x", the end of the path.
  variables.has("Boot0001-8be4df61-93ca-11d2-aa0d-00e098032b8c", "\1\0\0\0\4\0x\0\0\0\x7f\xff\4\0"sv);
  for (const char* other : {"BootOptionSupport", "Boot000a", "Boot00010", "BootNext"}) {
    variables.has(std::string(other) + Firmware::global, "\1\0"sv);
  }
  const auto found = read_boot_options(variables.variables());
  ASSERT_THAT(found, Succeeds());
  EXPECT_THAT(found->taken, UnorderedElementsAre(0, 1));
  ASSERT_EQ(found->options.size(), 1U);
  EXPECT_EQ(found->options[0].option, elsewhere("x"));
  EXPECT_THAT(found->order, ElementsAre(1, 0));
  EXPECT_THAT(found->current, Optional(1));

  ASSERT_THAT(carry_out(plan_spares(*found, esp, present, 2), variables.variables()), Succeeds());
  EXPECT_EQ(variables.content("BootOrder-8be4df61-93ca-11d2-aa0d-00e098032b8c"), "\7\0\0\0\1\0\2\0\3\0\0\0"sv);
  EXPECT_TRUE(variables.holds("Boot0003-8be4df61-93ca-11d2-aa0d-00e098032b8c"));
  const auto again = read_boot_options(variables.variables());
  ASSERT_THAT(again, Succeeds());
  EXPECT_TRUE(plan_spares(*again, esp, present, 2).is_empty());

  const std::vector<Uuid> without_esp = {uuid(2)};
  ASSERT_THAT(carry_out(plan_spares(*again, {1, 2048, 2048, uuid(2)}, without_esp, 0), variables.variables()),
              Succeeds());
  EXPECT_FALSE(variables.holds("Boot0003-8be4df61-93ca-11d2-aa0d-00e098032b8c"));
  EXPECT_EQ(variables.content("BootOrder-8be4df61-93ca-11d2-aa0d-00e098032b8c"), "\7\0\0\0\1\0\0\0"sv);
}

TEST(Spares, AreNotWrittenIntoAnOrderThatCannotBeRead) {
  const Firmware variables;
  variables.has("BootOrder-8be4df61-93ca-11d2-aa0d-00e098032b8c", "\1\0\0"sv);
  EXPECT_THAT(read_boot_options(variables.variables()),
              FailsWith(Kind::corrupt, HasSubstr("BootOrder ends inside a number")));
}

}  // namespace
