#include "agent/init/modules.hpp"

#include <fcntl.h>
#include <fnmatch.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <string_view>
#include <utility>

#include "base/directory.hpp"
#include "base/file.hpp"
#include "base/lines.hpp"

namespace agent::init {

using base::Result;

namespace {

constexpr std::size_t max_list = std::size_t{64} << 10;
constexpr std::size_t max_drivers = std::size_t{1} << 20;
constexpr std::size_t max_modalias = 4096;

Result<> load_module(const std::string& path) {
  TRY(const base::File file, base::File::open(path, O_RDONLY));
  if (::syscall(SYS_finit_module, file.fd(), "", 0) != 0 && errno != EEXIST && errno != ENODEV) {
    const int error = errno;
    return base::fail_errno(error, "loading the module " + path);
  }
  return base::ok();
}

/// What the devices of a machine say of themselves: "pci:v00001AF4d00001001sv...", each once.
std::vector<std::string> devices_in(const std::string& sys) {
  std::set<std::string> found;
  const auto add = [&found](const std::string& path) {
    if (const auto text = base::read_file(path, max_modalias)) found.emplace(text->substr(0, text->find('\n')));
  };
  add(sys + "/devices/system/cpu/modalias");
  const auto buses = base::entries_of(sys + "/bus");
  for (const std::string& bus : buses.value_or(std::vector<std::string>())) {
    const std::string devices = std::string(sys).append("/bus/").append(bus).append("/devices");
    const auto names = base::entries_of(devices);
    for (const std::string& name : names.value_or(std::vector<std::string>())) {
      add(std::string(devices).append("/").append(name).append("/modalias"));
    }
  }
  return {found.begin(), found.end()};
}

bool is_for_one_of(const std::vector<std::string>& patterns, const std::vector<std::string>& devices) {
  return std::ranges::any_of(patterns, [&](const std::string& pattern) {
    return std::ranges::any_of(
        devices, [&](const std::string& device) { return ::fnmatch(pattern.c_str(), device.c_str(), 0) == 0; });
  });
}

}  // namespace

Drivers::Drivers(std::string directory) : directory_(std::move(directory)) {
  const auto text = base::read_file(directory_ + ".drivers", max_drivers);
  if (!text) return;
  for (const std::string_view line : base::lines_of(*text)) {
    Driver driver;
    bool behind_colon = false;
    for (std::string& word : base::split(line, ' ')) {
      if (word == ":") {
        behind_colon = true;
      } else if (!word.empty()) {
        (behind_colon ? driver.patterns : driver.files).push_back(std::move(word));
      }
    }
    drivers_.push_back(std::move(driver));
  }
}

std::vector<base::Error> Drivers::load_wanted(const std::string& sys) {
  std::vector<base::Error> failures;
  while (!drivers_.empty()) {
    const std::vector<std::string> devices = devices_in(sys);
    const auto wanted = std::ranges::stable_partition(
        drivers_, [&](const Driver& driver) { return !is_for_one_of(driver.patterns, devices); });
    if (wanted.empty()) break;
    for (const Driver& driver : wanted) {
      for (const std::string& file : driver.files) {
        if (auto loaded = load_module(directory_ + "/" + file); !loaded) failures.push_back(std::move(loaded).error());
      }
    }
    drivers_.erase(wanted.begin(), wanted.end());
  }
  return failures;
}

std::vector<base::Error> load_modules(const std::string& directory) {
  std::vector<base::Error> failures;
  auto list = base::read_file(directory + ".list", max_list);
  if (!list) {
    // An initrd without modules, for a kernel that has built in what it needs.
    if (list.error().kind() != base::Kind::not_found) failures.push_back(std::move(list).error());
    return failures;
  }
  for (const std::string_view name : base::lines_of(*list)) {
    if (name.empty()) continue;
    if (auto loaded = load_module(directory + "/" + std::string(name)); !loaded) {
      failures.push_back(std::move(loaded).error());
    }
  }
  return failures;
}

}  // namespace agent::init
