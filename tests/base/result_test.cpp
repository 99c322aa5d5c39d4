#include "base/result.hpp"

#include <cerrno>
#include <memory>

#include <gmock/gmock.h>

#include "base/exit_status.hpp"
#include "tests/support/matchers.hpp"

namespace {

using base::Error;
using base::Kind;
using base::Result;
using support::FailsWith;
using support::Holds;
using testing::StrEq;

Result<std::unique_ptr<int>> find(int number) {
  if (number < 0) return base::fail(Kind::not_found, "no such number");
  return std::make_unique<int>(number);
}

Result<int> twice(int number, int& frames_made) {
  const auto frame = [&frames_made] {
    ++frames_made;
    return std::string("doubling");
  };
  TRY(const std::unique_ptr<int> found, find(number), frame());
  TRY_DO(base::ok(), frame());
  return *found * 2;
}

TEST(Try, BindsTheValueAndMakesNoFrameForIt) {
  int frames_made = 0;
  EXPECT_THAT(twice(21, frames_made), Holds(42));
  EXPECT_EQ(frames_made, 0);
}

TEST(Try, ReturnsTheErrorWithItsFrame) {
  int frames_made = 0;
  EXPECT_THAT(twice(-1, frames_made), FailsWith(Kind::not_found, StrEq("doubling: no such number")));
  EXPECT_EQ(frames_made, 1);
}

TEST(Error, ReadsFromTheOutermostFrameInwards) {
  Error inner(Kind::io, "No such file or directory");
  const Error error = std::move(inner).while_doing("opening usr/lib/modules").while_doing("staging 7f3a91");
  EXPECT_EQ(error.message(), "staging 7f3a91: opening usr/lib/modules: No such file or directory");
  EXPECT_EQ(error.kind(), Kind::io);
}

TEST(Error, OfASystemCallHasTheKindThatACallerCanActOn) {
  struct {
    int error_number;
    Kind kind;
  } const cases[] = {{ENOENT, Kind::not_found}, {EACCES, Kind::permission},  {EROFS, Kind::permission},
                     {ENOSPC, Kind::no_space},  {EDQUOT, Kind::no_space},    {EBUSY, Kind::busy},
                     {EIO, Kind::io},           {ENOSYS, Kind::unsupported}, {ECANCELED, Kind::cancelled}};
  for (const auto& one : cases) {
    const Result<> failed = base::fail_errno(one.error_number, "opening x");
    EXPECT_EQ(failed.error().kind(), one.kind) << failed.error().message();
  }
}

TEST(ExitStatus, TellsBadInputFromABadMachineFromBytesThatAreNotGenuine) {
  using base::ExitStatus;
  EXPECT_EQ(exit_status_for(Kind::invalid_input), ExitStatus::usage);
  EXPECT_EQ(exit_status_for(Kind::io), ExitStatus::failure);
  EXPECT_EQ(exit_status_for(Kind::corrupt), ExitStatus::not_genuine);
  EXPECT_EQ(exit_status_for(Kind::untrusted), ExitStatus::not_genuine);
}

}  // namespace
