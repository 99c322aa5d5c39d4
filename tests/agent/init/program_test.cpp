#include "agent/init/program.hpp"

#include <chrono>

#include <gmock/gmock.h>

#include "tests/support/matchers.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

using agent::init::run_program;
using base::Kind;
using std::chrono::seconds;
using support::FailsWith;
using support::Succeeds;
using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;

TEST(RunProgram, TellsItsStatusAndWhatItSaid) {
  const auto end = run_program({"/bin/sh", "-c", "echo out; echo err >&2; echo \"$PATH\"; cat; exit 3"}, seconds(10));
  ASSERT_THAT(end, Succeeds());
  EXPECT_EQ(end->exit_status, 3);
  EXPECT_EQ(end->output, "out\nerr\n/usr/sbin:/usr/bin");
}

TEST(RunProgram, KeepsTheEndOfMuch) {
  const auto end = run_program({"/bin/sh", "-c", "seq 100000"}, seconds(10));
  ASSERT_THAT(end, Succeeds());
  EXPECT_EQ(end->output.size(), 4095U);
  EXPECT_THAT(end->output, EndsWith("99999\n100000"));
}

TEST(RunProgram, SaysASignalAsAShellDoes) {
  const auto end = run_program({"/bin/sh", "-c", "kill -TERM $$"}, seconds(10));
  ASSERT_THAT(end, Succeeds());
  EXPECT_EQ(end->exit_status, 143);
}

TEST(RunProgram, EndsAtItsTimeLimitWithAllItsChildren) {
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_THAT(run_program({"/bin/sh", "-c", "sleep 60 & sleep 60"}, seconds(1)),
              FailsWith(Kind::cancelled, HasSubstr("/bin/sh has not ended after 1 s")));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(30));
}

TEST(RunProgram, FailsWithoutTheProgram) {
  EXPECT_THAT(run_program({"/usr/bin/absent"}, seconds(1)),
              FailsWith(Kind::not_found, AllOf(HasSubstr("/usr/bin/absent"), HasSubstr("No such file"))));
  const support::TemporaryDirectory directory;
  EXPECT_THAT(run_program({directory.write("text", "text")}, seconds(1)),
              FailsWith(Kind::permission, HasSubstr("text: Permission denied")));
}

}  // namespace
