#include "agent/init/options.hpp"

#include <gmock/gmock.h>

#include "tests/support/matchers.hpp"

namespace {

using agent::init::Console;
using agent::init::parse_options;
using base::Kind;
using std::chrono::seconds;
using support::FailsWith;
using support::Succeeds;
using testing::HasSubstr;

TEST(InitOptions, AreTheSafeOnesWithoutWords) {
  const auto options = parse_options("roothash=1 console=ttyS0 quiet init=/bin/sh panic=5 xkeelson.debug\n");
  ASSERT_THAT(options, Succeeds());
  EXPECT_EQ(options->on_corruption, verity::OnCorruption::restart);
  EXPECT_EQ(options->detail, Console::Detail::usual);
  EXPECT_EQ(options->failure_wait, seconds(3));
  EXPECT_EQ(options->signature_digest, std::nullopt);
  EXPECT_FALSE(options->signature_for_kernel);
}

TEST(InitOptions, AreReadFromTheirWords) {
  const auto options = parse_options("keelson.verity=panic keelson.debug panic=-1\n");
  ASSERT_THAT(options, Succeeds());
  EXPECT_EQ(options->on_corruption, verity::OnCorruption::panic);
  EXPECT_EQ(options->detail, Console::Detail::debug);
  EXPECT_EQ(options->failure_wait, seconds(0));
}

TEST(InitOptions, NameTheSignatureOfTheRoot) {
  const std::string digest(64, '2');
  const auto options = parse_options("keelson.sig.kernel keelson.sig=" + digest);
  ASSERT_THAT(options, Succeeds());
  ASSERT_TRUE(options->signature_digest);
  EXPECT_EQ(base::to_hex(*options->signature_digest), digest);
  EXPECT_TRUE(options->signature_for_kernel);
  EXPECT_THAT(parse_options("keelson.sig=22"), FailsWith(Kind::invalid_input, HasSubstr("keelson.sig=22")));
}

TEST(InitOptions, LetTheLastWordCountAsTheKernelDoes) {
  const auto options = parse_options("keelson.verity=panic panic=-1 panic=5 keelson.verity=restart");
  ASSERT_THAT(options, Succeeds());
  EXPECT_EQ(options->on_corruption, verity::OnCorruption::restart);
  EXPECT_EQ(options->failure_wait, seconds(3));
}

TEST(InitOptions, RefuseAnotherFateForCorruptBlocks) {
  for (const char* word : {"keelson.verity=", "keelson.verity=ignore", "keelson.verity=Panic"}) {
    EXPECT_THAT(parse_options(word), FailsWith(Kind::invalid_input, HasSubstr(word))) << word;
  }
}

}  // namespace
