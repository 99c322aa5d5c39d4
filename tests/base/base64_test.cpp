#include "base/base64.hpp"

#include <array>
#include <string_view>

#include <gmock/gmock.h>

#include "tests/support/matchers.hpp"
#include "tests/support/pattern.hpp"

namespace {

using base::Kind;
using support::FailsWith;
using support::Holds;
using testing::HasSubstr;

struct Vector {
  std::string_view plain;
  std::string_view encoded;
};

// RFC 4648, section 10
constexpr std::array vectors{Vector{"", ""},
                             Vector{"f", "Zg=="},
                             Vector{"fo", "Zm8="},
                             Vector{"foo", "Zm9v"},
                             Vector{"foob", "Zm9vYg=="},
                             Vector{"fooba", "Zm9vYmE="},
                             Vector{"foobar", "Zm9vYmFy"}};

TEST(Base64, WritesAndReadsTheVectorsOfTheRfc) {
  for (const auto& [plain, encoded] : vectors) {
    EXPECT_EQ(base::to_base64(base::bytes_of(plain)), encoded);
    const auto decoded = base::from_base64(encoded);
    ASSERT_TRUE(decoded.has_value()) << encoded;
    EXPECT_EQ(base::text_of(*decoded), plain);
  }
}

TEST(Base64, ReadsBackWhatItWroteAtEveryLength) {
  for (std::size_t size = 0; size < 70; ++size) {
    const base::Bytes bytes = support::pattern(size, size + 1);
    EXPECT_THAT(base::from_base64(base::to_base64(bytes)), Holds(bytes)) << size;
  }
}

TEST(Base64, RefusesEveryOtherSpelling) {
  struct Case {
    const char* label;
    std::string_view text;
    const char* message;
  };
  const std::array cases{
      Case{"missing padding", "Zg", "multiple of 4"},
      Case{"a line feed inside", "Zm9v\nYg==", "multiple of 4"},
      Case{"white space that keeps the length", "Zm9 Yg==", "position 4"},
      Case{"padding in the middle", "Zg==Zg==", "position 3"},
      Case{"three padding characters", "Z===", "position 2"},
      Case{"only padding", "====", "position 1"},
      Case{"unused bits set, two padding characters", "Zh==", "position 2 sets bits"},
      Case{"unused bits set, one padding character", "Zm9=", "position 3 sets bits"},
      Case{"the URL alphabet", "Zm-_", "position 3"},
      Case{"a character above ASCII", "Zm\xc3\xa4", "position 3"},
  };
  for (const Case& c : cases) {
    EXPECT_THAT(base::from_base64(c.text), FailsWith(Kind::invalid_input, HasSubstr(c.message))) << c.label;
  }
}

}  // namespace
