#include "agent/boot_loader/efi_variables.hpp"

#include <gmock/gmock.h>

#include "tests/agent/boot_loader/firmware.hpp"
#include "tests/support/matchers.hpp"

namespace {

using agent::boot_loader::EfiVariables;
using agent::boot_loader::Vendor;
using base::bytes_of;
using base::Kind;
using support::FailsWith;
using support::Firmware;
using support::Holds;
using support::Succeeds;
using testing::ElementsAre;
using testing::Eq;
using testing::HasSubstr;
using testing::Optional;

using namespace std::string_literals;
using namespace std::string_view_literals;

// That immutable variables can be changed is for a kernel to judge.

base::Bytes value(std::string_view text) {
  const auto bytes = bytes_of(text);
  return {bytes.begin(), bytes.end()};
}

TEST(Variables, AreThereOrNot) {
  const Firmware firmware;
  EXPECT_FALSE(firmware.variables().any());  // a directory upon which nothing is mounted
  EXPECT_FALSE(EfiVariables("/nowhere").any());
  firmware.has("BootOrder-8be4df61-93ca-11d2-aa0d-00e098032b8c", "\1\0"sv);
  EXPECT_TRUE(firmware.variables().any());
}

TEST(Variables, HaveAttributesInFrontOfTheirValue) {
  const Firmware firmware;
  firmware.has("BootOrder-8be4df61-93ca-11d2-aa0d-00e098032b8c", "\1\0"sv);
  firmware.has("Nothing-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f", "");
  firmware.has("Short-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f", "", "\7\0");
  firmware.has("Unwritten-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f", "", "");
  const EfiVariables variables = firmware.variables();
  EXPECT_THAT(variables.read(Vendor::efi_global, "BootOrder"), Holds(Optional(value("\1\0"sv))));
  EXPECT_THAT(variables.read(Vendor::loader, "BootOrder"), Holds(Eq(std::nullopt)));
  EXPECT_THAT(variables.read(Vendor::loader, "Nothing"), Holds(Optional(value(""))));
  EXPECT_THAT(variables.read(Vendor::loader, "Unwritten"), Holds(Eq(std::nullopt)));
  EXPECT_THAT(variables.read(Vendor::loader, "Short"),
              FailsWith(Kind::corrupt, HasSubstr("Short is shorter than its attributes")));
}

TEST(Variables, AreReadWithinABound) {
  const Firmware firmware;
  firmware.has("Long-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f", std::string(64 * 1024, 'x'));
  firmware.has("Longer-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f", std::string(64 * 1024 + 1, 'x'));
  EXPECT_THAT(firmware.variables().read(Vendor::loader, "Long"), Succeeds());
  EXPECT_THAT(firmware.variables().read(Vendor::loader, "Longer"), FailsWith(Kind::invalid_input, HasSubstr("Longer")));
}

TEST(Variables, AreNamedByVendor) {
  const Firmware firmware;
  firmware.has("Boot0001-8be4df61-93ca-11d2-aa0d-00e098032b8c", "");
  firmware.has("Boot0000-8be4df61-93ca-11d2-aa0d-00e098032b8c", "");
  firmware.has("LoaderInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f", "");
  firmware.has("Boot0002-d719b2cb-3d3a-4596-a3bc-dad00e67656f", "");
  EXPECT_THAT(firmware.variables().names(Vendor::efi_global), Holds(ElementsAre("Boot0000", "Boot0001")));
  EXPECT_THAT(firmware.variables().names(Vendor::loader), Holds(ElementsAre("LoaderInfo")));
  EXPECT_THAT(EfiVariables("/nowhere").names(Vendor::loader), FailsWith(Kind::not_found, HasSubstr("/nowhere")));
}

TEST(Variables, AreMadeOnce) {
  const Firmware firmware;
  const EfiVariables variables = firmware.variables();
  EXPECT_THAT(variables.create(Vendor::loader, "A", bytes_of("xy")), Succeeds());
  EXPECT_EQ(firmware.content("A-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"), "\7\0\0\0xy"sv);
  EXPECT_THAT(variables.create(Vendor::loader, "A", bytes_of("z")),
              FailsWith(Kind::busy, HasSubstr("there is a variable A already")));
  EXPECT_EQ(firmware.content("A-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"), "\7\0\0\0xy"sv);
}

TEST(Variables, AreOverwrittenWhole) {
  const Firmware firmware;
  const EfiVariables variables = firmware.variables();
  for (const std::string_view text : {"long", "s", "longer"}) {
    EXPECT_THAT(variables.write(Vendor::efi_global, "A", bytes_of(text)), Succeeds());
    EXPECT_EQ(firmware.content("A-8be4df61-93ca-11d2-aa0d-00e098032b8c"), "\7\0\0\0"s + std::string(text));
  }
}

TEST(Variables, AreNotWrittenAgainAsTheyAre) {
  const Firmware firmware;
  firmware.has("A-8be4df61-93ca-11d2-aa0d-00e098032b8c", "value", {"\x27\0\0\0", 4});
  EXPECT_THAT(firmware.variables().write(Vendor::efi_global, "A", bytes_of("value")), Succeeds());
  EXPECT_EQ(firmware.content("A-8be4df61-93ca-11d2-aa0d-00e098032b8c"), "\x27\0\0\0value"sv);
}

TEST(Variables, AreRemoved) {
  const Firmware firmware;
  firmware.has("A-8be4df61-93ca-11d2-aa0d-00e098032b8c", "value");
  EXPECT_THAT(firmware.variables().remove(Vendor::efi_global, "A"), Succeeds());
  EXPECT_FALSE(firmware.holds("A-8be4df61-93ca-11d2-aa0d-00e098032b8c"));
  EXPECT_THAT(firmware.variables().remove(Vendor::efi_global, "A"), Succeeds());
}

}  // namespace
