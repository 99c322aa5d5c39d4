#pragma once

#include <chrono>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/subprocess.hpp"

namespace support {

/// Runs a program and returns how it ended; a program that cannot be started or hangs fails the test.
inline base::CommandResult run_program(std::vector<std::string> argv) {
  const std::string name = argv.front();
  auto result = base::run({.argv = std::move(argv), .time_limit = std::chrono::seconds(100)});
  if (result) return *result;
  ADD_FAILURE() << name << ": " << result.error().message();
  return {255, "", ""};
}

/// What a program prints, without the line feeds at its end; a failure of the program fails the test.
inline std::string output_of(std::vector<std::string> argv) {
  const std::string name = argv.front();
  auto result = run_program(std::move(argv));
  EXPECT_EQ(result.exit_status, 0) << name << ": " << result.output << result.errors;
  while (result.output.ends_with('\n')) result.output.pop_back();
  return result.output;
}

/// The program under test, built beside the tests.
inline base::CommandResult keelson(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), KEELSON_PROGRAM);
  return run_program(std::move(arguments));
}

/// The outside judge of hash trees.
inline base::CommandResult veritysetup(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "veritysetup");
  return run_program(std::move(arguments));
}

}  // namespace support
