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
}

TEST(InitOptions, AreReadFromTheirWords) {
  const auto options = parse_options("keelson.verity=panic keelson.debug panic=-1\n");
  ASSERT_THAT(options, Succeeds());
  EXPECT_EQ(options->on_corruption, verity::OnCorruption::panic);
  EXPECT_EQ(options->detail, Console::Detail::debug);
  EXPECT_EQ(options->failure_wait, seconds(0));
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
