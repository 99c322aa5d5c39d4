#include "base/subprocess.hpp"

#include <unistd.h>

#include <chrono>
#include <csignal>
#include <thread>

#include <gmock/gmock.h>

#include "tests/support/files.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

using base::Command;
using base::Kind;
using base::Subprocess;
using support::FailsWith;
using support::Holds;
using testing::HasSubstr;
using namespace std::chrono_literals;

TEST(Subprocess, PassesArgumentsAsTheyAre) {
  EXPECT_THAT(base::run_checked({.argv = {"printf", "%s|", "a b", "$HOME", "; exit 1", "\""}}),
              Holds("a b|$HOME|; exit 1|\"|"));
}

TEST(Subprocess, KeepsBothOutputsAndTheExitStatus) {
  const auto result = base::run({.argv = {"sh", "-c", "echo out; echo err >&2; exit 7"}});
  ASSERT_THAT(result, support::Succeeds());
  EXPECT_EQ(result->output, "out\n");
  EXPECT_EQ(result->errors, "err\n");
  EXPECT_EQ(result->exit_status, 7);
}

TEST(Subprocess, ThatASignalEndedHasAShellsExitStatus) {
  EXPECT_EQ(base::run({.argv = {"sh", "-c", "kill -TERM $$"}})->exit_status, 128 + SIGTERM);
}

TEST(Subprocess, TakesInputOfAnySizeWhetherItIsReadOrNot) {
  const std::string input(1 << 20, 'x');
  EXPECT_THAT(base::run_checked({.argv = {"cat"}, .input = input}), Holds(input));
  EXPECT_THAT(base::run_checked({.argv = {"true"}, .input = input}), Holds(""));
  EXPECT_THAT(base::run_checked({.argv = {"cat"}}), Holds(""));
}

TEST(Subprocess, RunsInItsDirectoryWithItsEnvironment) {
  EXPECT_THAT(base::run_checked({.argv = {"pwd"}, .working_directory = "/usr"}), Holds("/usr\n"));
  EXPECT_THAT(base::run_checked({.argv = {"/usr/bin/env"}, .environment = std::vector<std::string>{"A=1"}}),
              Holds("A=1\n"));
}

TEST(Subprocess, ThatCannotBeStartedIsNamed) {
  EXPECT_THAT(base::run({.argv = {"no-such-program"}}),
              FailsWith(Kind::not_found, HasSubstr("starting no-such-program")));
  EXPECT_THAT(base::run({.argv = {"/etc/passwd"}}), FailsWith(Kind::permission, HasSubstr("/etc/passwd")));
  EXPECT_THAT(base::run({.argv = {}}), FailsWith(Kind::invalid_input, HasSubstr("without a program")));
}

TEST(Subprocess, ThatFailsTellsTheEndOfItsErrors) {
  EXPECT_THAT(base::run_checked({.argv = {"sh", "-c", "echo no such disk >&2; exit 3"}}),
              FailsWith(Kind::io, testing::StrEq("sh ended with exit status 3: no such disk")));
}

TEST(Subprocess, IsKilledAtItsTimeLimit) {
  EXPECT_THAT(base::run({.argv = {"sleep", "60"}, .time_limit = 50ms}),
              FailsWith(Kind::cancelled, HasSubstr("within 50 ms")));
}

TEST(Subprocess, IsKilledWhenItPrintsWithoutEnd) {
  EXPECT_THAT(base::run({.argv = {"yes"}, .max_output_bytes = 100000}),
              FailsWith(Kind::no_space, HasSubstr("more than 100000 bytes of output")));
}

TEST(Subprocess, IsNotWaitedForLongerThanItsOwnLife) {
  // The child that is left behind holds the pipes open.
  const auto result = base::run({.argv = {"sh", "-c", "sleep 60 & echo done"}, .time_limit = 10s});
  ASSERT_THAT(result, support::Succeeds());
  EXPECT_EQ(result->output, "done\n");
}

TEST(Subprocess, IsKilledWithItsChildrenWhenItsHandleGoes) {
  const support::TemporaryDirectory directory;
  const std::string pid_file = directory.path("pid");
  {
    auto process = Subprocess::start({.argv = {"sh", "-c", "sleep 60 & echo $! > " + pid_file + "; wait"}});
    ASSERT_THAT(process, support::Succeeds());
    while (!std::filesystem::exists(pid_file) || std::filesystem::file_size(pid_file) == 0)
      std::this_thread::sleep_for(1ms);
  }
  const pid_t grandchild = std::stoi(support::slurp(pid_file));
  // Killed; it is gone as soon as init has reaped it, and until then it is a zombie.
  std::string state = "gone";
  for (int i = 0; i < 1000 && ::kill(grandchild, 0) == 0; ++i) {
    std::ifstream status("/proc/" + std::to_string(grandchild) + "/stat");
    std::string word;
    status >> word >> word >> state;
    if (state == "Z") break;
    std::this_thread::sleep_for(1ms);
  }
  EXPECT_TRUE(::kill(grandchild, 0) != 0 || state == "Z") << "state " << state;
}

TEST(FindProgram, LooksThroughPath) {
  EXPECT_TRUE(base::find_program("sh").has_value());
  EXPECT_EQ(base::find_program("no-such-program"), std::nullopt);
}

}  // namespace
