#include "image/kernel_cmdline.hpp"

#include <gmock/gmock.h>

#include "tests/support/matchers.hpp"

namespace {

using base::Kind;
using image::root_hash_in;
using support::FailsWith;
using support::Holds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* hex = "2e534ef0107d592d1706ac38ad58596b85ef3375d360a6d669f974792df5cb5a";

TEST(WordsOf, AreWhatBlanksPart) {
  EXPECT_THAT(image::words_of(" quiet\tpanic=5  a=b=c\n"), ElementsAre("quiet", "panic=5", "a=b=c"));
  EXPECT_THAT(image::words_of(" \n"), IsEmpty());
}

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

TEST(SignatureDigestIn, FindsTheOneWordOrNone) {
  const auto digest = image::signature_digest_in(std::string("quiet keelson.sig=") + hex + " keelson.sig.kernel");
  ASSERT_TRUE(digest.has_value() && digest->has_value());
  EXPECT_EQ(base::to_hex(**digest), hex);
  EXPECT_THAT(image::signature_digest_in("quiet keelson.sig xkeelson.sig=1"), Holds(testing::Eq(std::nullopt)));
}

TEST(SignatureDigestIn, RefusesWhatIsNoDigest) {
  const std::string word = std::string("keelson.sig=") + hex;
  for (const std::string& bad : {std::string("keelson.sig="), std::string("keelson.sig=zz"), word + "0", word + "00"}) {
    EXPECT_THAT(image::signature_digest_in(bad), FailsWith(Kind::invalid_input, HasSubstr(bad + "; 64 digits"))) << bad;
  }
  EXPECT_THAT(image::signature_digest_in(word + " " + word), FailsWith(Kind::invalid_input, HasSubstr("twice")));
}

}  // namespace
