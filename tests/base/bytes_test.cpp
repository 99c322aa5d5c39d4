#include "base/bytes.hpp"

#include <gmock/gmock.h>

#include "base/uuid.hpp"
#include "tests/support/matchers.hpp"

namespace {

using base::Kind;
using support::FailsWith;
using support::Holds;
using testing::HasSubstr;

TEST(Hex, WritesTwoLowerCaseDigitsAByte) {
  EXPECT_EQ(base::to_hex(base::bytes_of(std::string_view("\x00\x7f\xab", 3))), "007fab");
}

TEST(Hex, ReadsBothCases) {
  EXPECT_THAT(base::from_hex("00aBFf"), Holds(testing::ElementsAre(std::byte{0}, std::byte{0xab}, std::byte{0xff})));
}

TEST(Hex, NamesThePlaceOfABadDigit) {
  EXPECT_THAT(base::from_hex("00x1"), FailsWith(Kind::invalid_input, HasSubstr("position 3")));
  EXPECT_THAT(base::from_hex("001"), FailsWith(Kind::invalid_input, HasSubstr("odd number")));
}

TEST(Integers, AreLittleEndianAtAnyAlignment) {
  base::Bytes bytes(9);
  base::store_le(&bytes[1], std::uint64_t{0x0102030405060708});
  EXPECT_EQ(base::to_hex(bytes), "000807060504030201");
  EXPECT_EQ(base::load_le<std::uint16_t>(&bytes[2]), 0x0607);
}

TEST(Uuid, KeepsTheOrderOfItsText) {
  const auto uuid = base::Uuid::parse("C12A7328-f81f-11d2-ba4b-00a0c93ec93b");
  ASSERT_TRUE(uuid.has_value());
  EXPECT_EQ(base::to_hex(uuid->bytes), "c12a7328f81f11d2ba4b00a0c93ec93b");
  EXPECT_EQ(uuid->text(), "c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
}

TEST(Uuid, RefusesWhatIsNone) {
  for (const char* text :
       {"", "c12a7328", "c12a7328-f81f-11d2-ba4b-00a0c93ec93", "c12a7328xf81f-11d2-ba4b-00a0c93ec93b",
        "g12a7328-f81f-11d2-ba4b-00a0c93ec93b", "c12a7328-f81f-11d2-ba4b-00a0c93ec93-"}) {
    EXPECT_THAT(base::Uuid::parse(text), FailsWith(Kind::invalid_input, HasSubstr("is no UUID"))) << text;
  }
}

TEST(Uuid, FromADigestHasVersionEightAndItsVariant) {
  const base::Bytes ones(32, std::byte{0xff});
  EXPECT_EQ(base::Uuid::from_digest(ones).text(), "ffffffff-ffff-8fff-bfff-ffffffffffff");
}

}  // namespace
