#include "image/uki_name.hpp"

#include <gmock/gmock.h>

#include "tests/support/matchers.hpp"

namespace {

using base::Kind;
using image::BootAssessment;
using image::BootTries;
using image::parse_uki_file_name;
using image::uki_file_name;
using image::UkiName;
using support::FailsWith;
using support::Holds;
using testing::HasSubstr;

TEST(UkiName, CarriesTheCounterDirectlyBeforeTheSuffix) {
  EXPECT_THAT(uki_file_name("node", "1.0.0", 3, 0), Holds("node_1.0.0+3-0.efi"));
  EXPECT_THAT(uki_file_name("node", "1.0.0", 0, 3), Holds("node_1.0.0+0-3.efi"));
  EXPECT_THAT(uki_file_name({.id = "node", .version = "1.0.0"}), Holds("node_1.0.0.efi"));
}

TEST(UkiName, HasOneLengthForAllOfATrial) {
  for (std::uint32_t done = 0; done <= 12; ++done) {
    const auto name = uki_file_name("node", "2026.3-rc1", 12 - done, done);
    ASSERT_THAT(name, support::Succeeds());
    EXPECT_EQ(name->size(), std::string_view("node_2026.3-rc1+12-00.efi").size());
    EXPECT_THAT(parse_uki_file_name(*name),
                Holds(UkiName{.id = "node", .version = "2026.3-rc1", .tries = BootTries{12 - done, done}}));
  }
}

TEST(UkiName, ReadsTheCountersThatOthersWrite) {
  EXPECT_THAT(parse_uki_file_name("node_1+3.efi"),
              Holds(UkiName{.id = "node", .version = "1", .tries = BootTries{3, 0}}));
  EXPECT_THAT(parse_uki_file_name("node_1+03-1.efi"),
              Holds(UkiName{.id = "node", .version = "1", .tries = BootTries{3, 1}}));
  EXPECT_THAT(parse_uki_file_name("node_1.efi"), Holds(UkiName{.id = "node", .version = "1", .tries = {}}));
}

TEST(UkiName, IsGoodWithoutACounterAndBadWithoutTriesLeft) {
  EXPECT_EQ(parse_uki_file_name("a_1.efi")->assessment(), BootAssessment::good);
  EXPECT_EQ(parse_uki_file_name("a_1+1-2.efi")->assessment(), BootAssessment::indeterminate);
  EXPECT_EQ(parse_uki_file_name("a_1+0-3.efi")->assessment(), BootAssessment::bad);
}

TEST(UkiName, RefusesToReadAnythingElse) {
  struct {
    std::string name;
    const char* message;
  } const cases[] = {
      {"", "does not end in .efi"},
      {".efi", "no \"_\""},
      {"node_1.EFI", "does not end in .efi"},
      {"node_1.efi.tmp", "does not end in .efi"},
      {"node.efi", "no \"_\" in front of a version"},
      {"_1.efi", "the id has"},
      {"node_.efi", "the version has"},
      {"node_+3-0.efi", "the version has"},
      {"node_1_2.efi", "the version has"},
      {"Node_1.efi", "the id has"},
      {"node_1~rc1.efi", "the version has"},
      {"node_-1.efi", "the version has"},
      {"../node_1.efi", "the id has"},
      {"node_1+.efi", "one to three digits"},
      {"node_1+3-.efi", "one to three digits"},
      {"node_1+-0.efi", "one to three digits"},
      {"node_1+3-0-0.efi", "one to three digits"},
      {"node_1+3x.efi", "one to three digits"},
      {"node_1+ 3.efi", "one to three digits"},
      {"node_1+1000-0.efi", "one to three digits"},
      {"node_1+3-0+3-0.efi", "the version has"},
      {"node_" + std::string(200, '1') + ".efi", "a file name of 209 characters"},
  };
  for (const auto& one : cases) {
    EXPECT_THAT(parse_uki_file_name(one.name), FailsWith(Kind::invalid_input, HasSubstr(one.message))) << one.name;
  }
}

TEST(UkiName, RefusesToWriteWhatItWouldNotRead) {
  EXPECT_THAT(uki_file_name("a_b", "1", 3, 0), FailsWith(Kind::invalid_input, HasSubstr("the id of a UKI has")));
  EXPECT_THAT(uki_file_name("node", "1+2", 3, 0),
              FailsWith(Kind::invalid_input, HasSubstr("the version of a UKI has")));
  EXPECT_THAT(uki_file_name("node", "", 3, 0), FailsWith(Kind::invalid_input, HasSubstr("the version of a UKI has")));
  EXPECT_THAT(uki_file_name("node", "1", 999, 1), FailsWith(Kind::invalid_input, HasSubstr("1000 tries")));
  EXPECT_THAT(uki_file_name("node", "1", UINT32_MAX, UINT32_MAX),
              FailsWith(Kind::invalid_input, HasSubstr("8589934590 tries")));
  EXPECT_THAT(uki_file_name("node", std::string(120, '1'), 3, 0),
              FailsWith(Kind::invalid_input, HasSubstr("133 characters")));
}

}  // namespace
