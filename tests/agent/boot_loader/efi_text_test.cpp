#include "agent/boot_loader/efi_text.hpp"

#include <gmock/gmock.h>

#include "tests/support/matchers.hpp"

namespace {

using agent::boot_loader::decode_string;
using agent::boot_loader::decode_strings;
using agent::boot_loader::encode_string;
using base::bytes_of;
using base::Kind;
using support::FailsWith;
using support::Holds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using namespace std::string_view_literals;

TEST(EfiText, IsUtf16WithANul) {
  const auto bytes = encode_string("aé\U0001f6f6");
  ASSERT_TRUE(bytes.has_value());
  EXPECT_EQ(base::to_hex(*bytes), "6100e9003dd8f6de0000");
  EXPECT_THAT(decode_string(*bytes), Holds("aé\U0001f6f6"));
}

TEST(EfiText, HoldsNoNul) {
  EXPECT_THAT(encode_string("a\0b"sv), FailsWith(Kind::invalid_input, HasSubstr("NUL")));
  EXPECT_THAT(encode_string("\xff"), FailsWith(Kind::invalid_input, HasSubstr("no UTF-8")));
}

TEST(EfiText, EndsWithItsNulOrWithTheVariable) {
  EXPECT_THAT(decode_string(bytes_of("a\0\0\0b\0"sv)), Holds("a"));
  EXPECT_THAT(decode_string(bytes_of("a\0b\0"sv)), Holds("ab"));
  EXPECT_THAT(decode_string(bytes_of("")), Holds(""));
  EXPECT_THAT(decode_string(bytes_of("a\0b"sv)), FailsWith(Kind::corrupt, HasSubstr("3 bytes are no UTF-16")));
}

TEST(EfiText, ComesInLists) {
  EXPECT_THAT(decode_strings(bytes_of("a\0\0\0b\0c\0\0\0"sv)), Holds(ElementsAre("a", "bc")));
  EXPECT_THAT(decode_strings(bytes_of("\0\0a\0\0\0\0\0b\0"sv)), Holds(ElementsAre("a", "b")));
  EXPECT_THAT(decode_strings(bytes_of("")), Holds(IsEmpty()));
  EXPECT_THAT(decode_strings(bytes_of("a")), FailsWith(Kind::corrupt, HasSubstr("1 bytes")));
}

}  // namespace
