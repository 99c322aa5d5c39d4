#include "qemu-tests/stories/story.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "base/json.hpp"

namespace qemu {

namespace fs = std::filesystem;

using support::output_of;
using support::Succeeds;

std::string story_image(const std::string& name) {
  std::string path = std::string(KEELSON_STORY_IMAGES) + "/" + name;
  EXPECT_TRUE(fs::exists(path)) << path << " is missing: ctest runs StoryImages first";
  return path;
}

std::map<int, PartitionPlace> partitions_of(const std::string& disk) {
  constexpr std::uint64_t sector = 512;  // sfdisk reads no other from a file
  const auto json = base::parse_json(output_of({"sfdisk", "--json", disk}));
  EXPECT_THAT(json, Succeeds());
  std::map<int, PartitionPlace> places;
  if (!json) return places;
  for (const base::Json& each : (*json)["partitiontable"]["partitions"]) {
    const std::string node = each["node"].get<std::string>();
    places[std::stoi(node.substr(disk.size()))] = {.offset = each["start"].get<std::uint64_t>() * sector,
                                                   .size = each["size"].get<std::uint64_t>() * sector,
                                                   .uuid = each["uuid"].get<std::string>(),
                                                   .label = each.value("name", "")};
  }
  return places;
}

StoryDisk::StoryDisk(const std::string& image, std::uint64_t room) : path_(directory_.path("disk1.raw")) {
  output_of({"cp", "--sparse=always", story_image(image), path_});
  if (room > 0) grow(room);
}

void StoryDisk::grow(std::uint64_t bytes) const {
  fs::resize_file(path_, fs::file_size(path_) + bytes);
}

const PartitionPlace& StoryDisk::partition(int number) const {
  if (partitions_.empty()) partitions_ = partitions_of(path_);
  return partitions_.at(number);
}

void StoryDisk::flip_byte(int partition, std::uint64_t offset) const {
  support::flip_byte(path_, this->partition(partition).offset + offset);
}

std::uint64_t StoryDisk::find_in(int partition, const std::string& content) const {
  constexpr std::size_t block_size = 4096;
  const std::string wanted = content.substr(0, block_size);
  std::ifstream stream(path_, std::ios::binary);
  stream.seekg(static_cast<std::streamoff>(this->partition(partition).offset));
  std::string block(block_size, '\0');
  for (std::uint64_t at = 0; at < this->partition(partition).size && stream.read(block.data(), block_size);
       at += block_size) {
    if (block.starts_with(wanted)) return at;
  }
  ADD_FAILURE() << "partition " << partition << " does not hold the file";
  return 0;
}

std::string StoryDisk::esp() const {
  return fmt::format("{}@@{}", path_, partition(1).offset);
}

std::vector<std::string> StoryDisk::entries() const {
  std::istringstream listing(output_of({"mdir", "-b", "-i", esp(), "::EFI/Linux"}));
  std::vector<std::string> names;
  for (std::string line; std::getline(listing, line);) names.push_back(fs::path(line).filename());
  std::ranges::sort(names);
  return names;
}

void StoryDisk::rename_entry(const std::string& from, const std::string& to) const {
  output_of({"mren", "-i", esp(), "::EFI/Linux/" + from, "::EFI/Linux/" + to});
}

void StoryDisk::remove_entry(const std::string& name) const {
  output_of({"mdel", "-i", esp(), "::EFI/Linux/" + name});
}

void StoryDisk::put_entry(const std::string& file, const std::string& name) const {
  output_of({"mcopy", "-o", "-i", esp(), file, "::EFI/Linux/" + name});
}

std::string StoryDisk::entry(const std::string& name) const {
  const std::string copy = directory_.path("entry.efi");
  output_of({"mcopy", "-n", "-o", "-i", esp(), "::EFI/Linux/" + name, copy});
  return support::slurp(copy);
}

DirectBoot direct_boot(const std::string& image) {
  return {.kernel = story_image(image + "/parts/linux"),
          .initrd = story_image(image + "/parts/initrd"),
          .command_line = support::slurp(story_image(image + "/parts/cmdline"))};
}

GuestOptions saved_machine(const std::string& disk) {
  return {.disk = disk, .format = DiskFormat::qcow2, .direct = direct_boot("first"), .memory_mib = 320};
}

void StoryDisk::remove_keys() const {
  output_of({"mdeltree", "-i", esp(), "::loader/keys"});
}

void Story::TearDown() {
  if (!HasFailure() || guest_ == nullptr) return;
  const auto* test = testing::UnitTest::GetInstance()->current_test_info();
  const std::string log = fmt::format("{}/{}.{}.console", KEELSON_STORY_IMAGES, test->test_suite_name(), test->name());
  std::ofstream(log) << guest_->console();
  std::cout << "the console is in " << log << "\n";
}

void Story::start(const StoryDisk& disk, GuestOptions options) {
  options.disk = disk.path();
  if (options.variables.empty()) {
    options.variables = directory_.path("variables.fd");
    if (!fs::exists(options.variables)) {
      fs::copy_file(story_image("enrolled.fd"), options.variables);
    }
  }
  auto started = Guest::start(options);
  ASSERT_THAT(started, Succeeds());
  guest_ = std::make_unique<Guest>(std::move(*started));
}

void Story::start_directly(const StoryDisk& disk, const std::string& image, GuestOptions options,
                           const std::string& words) {
  options.disk = disk.path();
  options.direct = direct_boot(image);
  options.direct->command_line += " " + words;
  auto started = Guest::start(options);
  ASSERT_THAT(started, Succeeds());
  guest_ = std::make_unique<Guest>(std::move(*started));
}

Guest& Story::guest() {
  if (guest_ == nullptr) throw std::runtime_error("there is no machine");
  return *guest_;
}

void Story::go_on() {
  const std::string disk = directory_.path("saved.qcow2");
  output_of({"cp", "--sparse=always", story_image("saved.qcow2"), disk});
  GuestOptions options = saved_machine(disk);
  options.load_state = saved_state;
  auto started = Guest::start(options);
  ASSERT_THAT(started, Succeeds());
  guest_ = std::make_unique<Guest>(std::move(*started));
}

std::string Story::wait_until_up(Limit limit) {
  const auto boot = guest().wait_for_boot(limit);
  EXPECT_THAT(boot, Succeeds());
  if (!boot) return "not booted";
  const auto state = guest().run("systemctl is-system-running --wait", limit);
  EXPECT_THAT(state, Succeeds());
  if (!state) return "not up";
  return state->output.substr(0, state->output.find('\n'));
}

std::string Story::told(const std::string& script, Limit limit) {
  auto result = guest().run(script, limit);
  EXPECT_THAT(result, Succeeds());
  if (!result) return "";
  EXPECT_EQ(result->exit_status, 0) << script << "\n" << result->output;
  while (result->output.ends_with('\n')) result->output.pop_back();
  return result->output;
}

std::string Story::version() {
  return told(". /usr/lib/os-release && echo $IMAGE_VERSION");
}

std::string Story::reboot() {
  told("systemctl reboot --no-block");
  return wait_until_up();
}

void Story::power_off() {
  told("systemctl poweroff --no-block");
  EXPECT_THAT(guest().wait_for_end(Limit(60)), Succeeds());
}

}  // namespace qemu
