#include "image/kernel_cmdline.hpp"

#include <gmock/gmock.h>

#include "tests/support/matchers.hpp"

namespace {

using base::Kind;
using image::root_hash_in;
using support::FailsWith;
using support::Holds;
using testing::HasSubstr;

constexpr const char* hex = "2e534ef0107d592d1706ac38ad58596b85ef3375d360a6d669f974792df5cb5a";

TEST(RootHashIn, FindsTheOneWord) {
  const std::string word = std::string("roothash=") + hex;
  for (const std::string& cmdline : {word, "quiet " + word, "\tquiet\n" + word + "\n", word + "  xroothash=1"}) {
    EXPECT_THAT(root_hash_in(cmdline), Holds(*verity::RootHash::parse(hex))) << cmdline;
  }
}

TEST(RootHashIn, RefusesWhatIsNotExactlyOne) {
  const std::string word = std::string("roothash=") + hex;
  EXPECT_THAT(root_hash_in(""), FailsWith(Kind::not_found, HasSubstr("names no roothash=")));
  EXPECT_THAT(root_hash_in("quiet xroothash=1 roothash"), FailsWith(Kind::not_found, HasSubstr("names no roothash=")));
  EXPECT_THAT(root_hash_in(word + " " + word), FailsWith(Kind::invalid_input, HasSubstr("twice")));
  EXPECT_THAT(root_hash_in("roothash="), FailsWith(Kind::invalid_input, HasSubstr("0 digits")));
  EXPECT_THAT(root_hash_in("roothash=zz"), FailsWith(Kind::invalid_input, HasSubstr("no hexadecimal digit")));
}

}  // namespace
