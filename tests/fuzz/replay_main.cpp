// Stands in for libFuzzer where there is none: gives every file of the directories that are its arguments to the
// fuzzer, in the order of their names. A corpus without a file is a failure, not a success of nothing.

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "base/file.hpp"
#include "tests/fuzz/fuzzer.hpp"

namespace {

constexpr std::size_t max_input_bytes = std::size_t{1} << 20;

std::vector<std::string> files_in(const char* directory) {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.is_regular_file()) paths.push_back(entry.path().string());
  }
  std::ranges::sort(paths);
  return paths;
}

bool replay(const std::string& path) {
  const auto content = base::read_file(path, max_input_bytes);
  if (!content) {
    std::fprintf(stderr, "%s\n", content.error().message().c_str());
    return false;
  }
  std::printf("%s\n", path.c_str());
  std::fflush(stdout);  // so that the last line names the input of a crash
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(content->data()), content->size());
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  std::size_t count = 0;
  for (int i = 1; i < argc; ++i) {
    for (const std::string& path : files_in(argv[i])) {
      if (!replay(path)) return 1;
      ++count;
    }
  }
  std::printf("%zu inputs\n", count);
  return count == 0 ? 1 : 0;
}
