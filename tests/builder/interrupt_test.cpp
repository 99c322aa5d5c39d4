#include <chrono>
#include <csignal>
#include <filesystem>
#include <thread>

#include <gmock/gmock.h>

#include "base/file.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/program.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

using support::Succeeds;
using testing::HasSubstr;

std::vector<std::string> names_in(const std::string& directory) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    names.push_back(entry.path().filename().string());
  }
  return names;
}

/// Starts the program, waits until it has begun to write, and sends the signal.
base::CommandResult interrupted(std::vector<std::string> arguments, const std::string& output_directory, int signal) {
  arguments.insert(arguments.begin(), KEELSON_PROGRAM);
  auto started = base::Subprocess::start({.argv = std::move(arguments), .time_limit = std::chrono::seconds(60)});
  EXPECT_THAT(started, Succeeds());
  while (names_in(output_directory).empty()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_EQ(::kill(started->pid(), signal), 0);
  auto ended = started->wait();
  EXPECT_THAT(ended, Succeeds());
  return *ended;
}

class Interrupt : public testing::TestWithParam<int> {
 protected:
  Interrupt() {
    std::filesystem::create_directory(directory.path("in"));
    std::filesystem::create_directory(directory.path("out"));
    // All holes: takes no room, and some minutes to be hashed.
    std::filesystem::resize_file(directory.write("in/data", ""), std::uintmax_t{256} << 30);
  }
  const support::TemporaryDirectory directory;
  const std::string data = directory.path("in/data");
  const std::string out = directory.path("out");
};

TEST_P(Interrupt, LeavesNothingOfAHashTree) {
  const auto ended =
      interrupted({"verity", "format", data, out + "/tree", "--fec-device", out + "/parity"}, out, GetParam());
  EXPECT_EQ(ended.exit_status, 130);
  EXPECT_THAT(ended.errors, HasSubstr("keelson: interrupted"));
  EXPECT_THAT(names_in(out), testing::IsEmpty());
}

TEST_P(Interrupt, LeavesNothingOfAnImage) {
  const auto ended = interrupted(
      {"compose", "--tree", directory.path("in"), "-o", out + "/image", "--verity", out + "/tree"}, out, GetParam());
  EXPECT_EQ(ended.exit_status, 130);
  EXPECT_THAT(names_in(out), testing::IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Signals, Interrupt, testing::Values(SIGINT, SIGTERM, SIGHUP),
                         [](const auto& one) { return std::string(::sigabbrev_np(one.param)); });

TEST(Interrupts, ThatNohupIgnoresStayIgnored) {
  const support::TemporaryDirectory directory;
  std::filesystem::resize_file(directory.write("data", ""), std::uintmax_t{256} << 20);
  const std::string script = "trap '' HUP; " KEELSON_PROGRAM " -q verity format '" + directory.path("data") + "' '" +
                             directory.path("tree") + "' & child=$!; while ! ls '" + directory.path() +
                             "' | grep -q tree; do :; done; kill -HUP $child; wait $child";
  EXPECT_EQ(support::run_program({"sh", "-c", script}).exit_status, 0);
  EXPECT_TRUE(std::filesystem::exists(directory.path("tree")));
}

}  // namespace
