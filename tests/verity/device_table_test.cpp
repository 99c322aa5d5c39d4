#include "verity/device_table.hpp"

#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "tests/support/matchers.hpp"

namespace {

using base::Kind;
using support::FailsWith;
using support::Holds;
using testing::HasSubstr;
using verity::CheckData;
using verity::ErrorCorrection;
using verity::Integrity;
using verity::OnCorruption;
using verity::Table;
using verity::TableOptions;
using verity::TargetStatus;
using verity::ZeroBlocks;

// The example of the kernel's verity.rst ("Set up a device").
constexpr const char* documented_line =
    "1 /dev/sda1 /dev/sda2 4096 4096 262144 1 sha256 "
    "4392712ba01368efdf14b05c76f9e4df0d53664630b5d48632ed17a137f39076 "
    "1234000000000000000000000000000000000000000000000000000000000000";
constexpr std::uint64_t documented_tree_blocks = 2048 + 16 + 1;  // 262144 digests, 128 in a block

Table documented_table(TableOptions options = {}) {
  verity::HashTreeParams params;
  params.salt = *base::from_hex("1234000000000000000000000000000000000000000000000000000000000000");
  return {"/dev/sda1",
          "/dev/sda2",
          *verity::Geometry::of(params, 262144),
          1,
          *verity::RootHash::parse("4392712ba01368efdf14b05c76f9e4df0d53664630b5d48632ed17a137f39076"),
          std::move(options)};
}

TableOptions on_corruption(OnCorruption what) {
  TableOptions options;
  options.on_corruption = what;
  return options;
}

ErrorCorrection documented_parity() {
  return {"/dev/sda3", 17, 262144 + documented_tree_blocks, 2};
}

struct OptionCase {
  const char* label;
  TableOptions options;
  std::string words;  // what follows the salt
};

// Each option's name and arguments as verity.rst has them; the order is that of libcryptsetup's get_dm_verity_params().
std::vector<OptionCase> option_cases() {
  TableOptions all = on_corruption(OnCorruption::panic);
  all.zero_blocks = ZeroBlocks::assume;
  all.check_data = CheckData::first_read;
  all.error_correction = documented_parity();
  all.root_hash_signature_key = "cryptsetup:root";
  TableOptions zeros;
  zeros.zero_blocks = ZeroBlocks::assume;
  TableOptions once;
  once.check_data = CheckData::first_read;
  TableOptions parity;
  parity.error_correction = documented_parity();
  TableOptions signature;
  signature.root_hash_signature_key = "cryptsetup:root";
  return {
      {"none", {}, ""},
      {"the documented example of an option", on_corruption(OnCorruption::ignore), " 1 ignore_corruption"},
      {"restart", on_corruption(OnCorruption::restart), " 1 restart_on_corruption"},
      {"panic", on_corruption(OnCorruption::panic), " 1 panic_on_corruption"},
      {"zero blocks", zeros, " 1 ignore_zero_blocks"},
      {"data checked once", once, " 1 check_at_most_once"},
      {"error correction", parity, " 8 use_fec_from_device /dev/sda3 fec_start 17 fec_blocks 264209 fec_roots 2"},
      {"signature", signature, " 2 root_hash_sig_key_desc cryptsetup:root"},
      {"everything", all,
       " 13 panic_on_corruption ignore_zero_blocks check_at_most_once use_fec_from_device /dev/sda3 fec_start 17 "
       "fec_blocks 264209 fec_roots 2 root_hash_sig_key_desc cryptsetup:root"},
  };
}

TEST(TableLine, IsWhatTheKernelDocuments) {
  for (const OptionCase& c : option_cases()) {
    EXPECT_THAT(verity::table_line(documented_table(c.options)), Holds(documented_line + c.words)) << c.label;
  }
}

TEST(TableLine, WritesADashForNoSaltAndEitherBlockSize) {
  // veritysetup format --salt=- --data-block-size=1024 --hash-block-size=512, tree behind the superblock.
  Table table = documented_table();
  table.geometry = *verity::Geometry::of({1024, 512, {}}, 8);
  table.data_device = "254:16";
  EXPECT_THAT(verity::table_line(table), Holds("1 254:16 /dev/sda2 1024 512 8 1 sha256 "
                                               "4392712ba01368efdf14b05c76f9e4df0d53664630b5d48632ed17a137f39076 -"));
}

TEST(TableLine, RefusesWhatTheKernelWouldMisread) {
  struct Case {
    const char* message;
    void (*spoil)(Table&);
  };
  const std::vector<Case> cases = {
      {"the data device is empty", [](Table& t) { t.data_device.clear(); }},
      {"the data device holds a blank", [](Table& t) { t.data_device = "/dev/my disk"; }},
      {"the hash device holds a blank, a backslash", [](Table& t) { t.hash_device = "/dev/a\\b"; }},
      {"the hash device holds a blank", [](Table& t) { t.hash_device = "/dev/a\nb"; }},
      {"the hash device is longer", [](Table& t) { t.hash_device = std::string(5000, 'a'); }},
      {"signature key holds a blank", [](Table& t) { t.options.root_hash_signature_key = "two words"; }},
      {"lies inside the data of /dev/sda1", [](Table& t) { t.hash_device = t.data_device; }},
      {"error correction device is empty", [](Table& t) { t.options.error_correction->device = ""; }},
      {"264208 blocks does not cover the 264209", [](Table& t) { t.options.error_correction->blocks -= 1; }},
      {"1 error correction roots", [](Table& t) { t.options.error_correction->roots = 1; }},
      {"25 error correction roots", [](Table& t) { t.options.error_correction->roots = 25; }},
      {"blocks of one size", [](Table& t) { t.geometry = *verity::Geometry::of({4096, 1024, {}}, 262144); }},
  };
  for (const Case& c : cases) {
    Table table = documented_table();
    table.options.error_correction = documented_parity();
    c.spoil(table);
    EXPECT_THAT(verity::table_line(table), FailsWith(Kind::invalid_input, HasSubstr(c.message))) << c.message;
  }
}

TEST(TableLine, TakesATreeBehindTheDataOfTheSameDevice) {
  Table table = documented_table();
  table.hash_device = table.data_device;
  table.hash_start_block = 262144;
  EXPECT_THAT(verity::table_line(table), Holds(HasSubstr(" 262144 262144 sha256 ")));
}

TEST(ParsedTableLine, IsWhatWasWritten) {
  for (const OptionCase& c : option_cases()) {
    const auto table = verity::parse_table_line(documented_line + c.words);
    ASSERT_THAT(table, support::Succeeds()) << c.label;
    EXPECT_EQ(table->data_device, "/dev/sda1");
    EXPECT_EQ(table->hash_device, "/dev/sda2");
    EXPECT_EQ(table->root_hash, documented_table().root_hash);
    EXPECT_EQ(table->geometry.data_blocks(), 262144U);
    EXPECT_EQ(table->geometry.params().salt, documented_table().geometry.params().salt);
    EXPECT_EQ(table->hash_start_block, 1U);
    EXPECT_EQ(table->options, c.options) << c.label;
  }
}

TEST(ParsedTableLine, TakesTheKernelsOrderAndPassesOverOptionsOfOthers) {
  // Linux, verity_status() and verity_fec_status_table(): blocks come before start.
  const auto table = verity::parse_table_line(std::string(documented_line) +
                                              " 10 restart_on_error try_verify_in_tasklet use_fec_from_device 8:3 "
                                              "fec_blocks 264209 fec_start 17 fec_roots 24");
  ASSERT_THAT(table, support::Succeeds());
  EXPECT_EQ(table->options.error_correction, (ErrorCorrection{"8:3", 17, 264209, 24}));
  EXPECT_EQ(table->options.on_corruption, OnCorruption::fail_read);
}

TEST(ParsedTableLine, RefusesWhatIsNone) {
  const std::string root(64, 'a');
  struct Case {
    Kind kind;
    const char* message;
    std::string line;
  };
  const std::vector<Case> cases = {
      {Kind::corrupt, "ends before the hash type", ""},
      {Kind::corrupt, "ends before the hash type", "   "},
      {Kind::corrupt, "the hash type is no number", "one"},
      {Kind::corrupt, "the hash type is no number", "-1 8:1 8:2"},
      {Kind::unsupported, "hash type 0", "0 8:1 8:2 4096 4096 8 1 sha256 " + root + " -"},
      {Kind::unsupported, "sha512", "1 8:1 8:2 4096 4096 8 1 sha512 " + root + root + " -"},
      {Kind::corrupt, "ends before the salt", "1 8:1 8:2 4096 4096 8 1 sha256 " + root},
      {Kind::corrupt, "the verity table: ", "1 8:1 8:2 4096 4096 8 1 sha256 abcd -"},
      {Kind::corrupt, "the salt of the verity table", "1 8:1 8:2 4096 4096 8 1 sha256 " + root + " 123"},
      {Kind::corrupt, "is impossible", "1 8:1 8:2 4097 4096 8 1 sha256 " + root + " -"},
      {Kind::corrupt, "is impossible", "1 8:1 8:2 4096 4096 0 1 sha256 " + root + " -"},
      {Kind::corrupt, "the number of data blocks is no number",
       "1 8:1 8:2 4096 4096 99999999999999999999 1 sha256 " + root + " -"},
      {Kind::corrupt, "the number of options is no number", "1 8:1 8:2 4096 4096 8 1 sha256 " + root + " - x"},
      {Kind::corrupt, "ends before fec_start", "1 8:1 8:2 4096 4096 8 1 sha256 " + root + " - 1 fec_start"},
      {Kind::corrupt, "error correction without a device",
       "1 8:1 8:2 4096 4096 8 1 sha256 " + root + " - 2 fec_start 1"},
      {Kind::corrupt, "the data device is too long", "1 " + std::string(5000, 'a')},
      {Kind::corrupt, "a verity table of 20000 bytes", std::string(20000, 'a')},
  };
  for (const Case& c : cases) {
    EXPECT_THAT(verity::parse_table_line(c.line), FailsWith(c.kind, HasSubstr(c.message))) << c.line.substr(0, 200);
  }
}

TEST(TargetStatusLine, IsALetterAndOnNewKernelsACount) {
  EXPECT_THAT(verity::parse_target_status("V"), Holds(TargetStatus{Integrity::verified, {}}));
  EXPECT_THAT(verity::parse_target_status("C"), Holds(TargetStatus{Integrity::corrupted, {}}));
  EXPECT_THAT(verity::parse_target_status("V -"), Holds(TargetStatus{Integrity::verified, {}}));
  EXPECT_THAT(verity::parse_target_status("V 0"), Holds(TargetStatus{Integrity::verified, 0}));
  EXPECT_THAT(verity::parse_target_status("C 12"), Holds(TargetStatus{Integrity::corrupted, 12}));
}

TEST(TargetStatusLine, IsNeverGuessed) {
  for (const char* line : {"", "v", "VC", "Valid"}) {
    EXPECT_THAT(verity::parse_target_status(line), FailsWith(Kind::corrupt, HasSubstr("the status"))) << line;
  }
  for (const char* line : {"V x", "V -1", "V - -"}) {
    EXPECT_THAT(verity::parse_target_status(line), FailsWith(Kind::corrupt, HasSubstr("corrected blocks"))) << line;
  }
  EXPECT_THAT(verity::parse_target_status("V " + std::string(100'000, '1')),
              FailsWith(Kind::corrupt, HasSubstr("too long")));
}

TEST(DeviceUuid, IsTheOneOfVeritysetup) {
  // libcryptsetup: "CRYPT-VERITY-" UUID without dashes "-" NAME
  const auto uuid = *base::Uuid::parse("c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
  EXPECT_THAT(verity::device_uuid("root", uuid), Holds("CRYPT-VERITY-c12a7328f81f11d2ba4b00a0c93ec93b-root"));
  EXPECT_THAT(verity::device_uuid(std::string(82, 'n'), uuid), Holds(testing::SizeIs(128)));
  EXPECT_THAT(verity::device_uuid(std::string(83, 'n'), uuid), FailsWith(Kind::invalid_input, HasSubstr("82")));
}

TEST(DeviceName, IsOneThatNobodyHasToEscape) {
  for (const std::string& name : {std::string("root"), std::string("a#+-.:=@_9"), std::string(127, 'x')}) {
    EXPECT_THAT(verity::check_device_name(name), support::Succeeds()) << name;
  }
  for (const std::string& name :
       {std::string(), std::string("."), std::string(".."), std::string("control"), std::string("a/b"),
        std::string("a b"), std::string("a\\x20b"), std::string("ä"), std::string("a\0b", 3), std::string(128, 'x')}) {
    EXPECT_THAT(verity::check_device_name(name), FailsWith(Kind::invalid_input, HasSubstr("is no device-mapper name")))
        << name;
  }
}

}  // namespace
