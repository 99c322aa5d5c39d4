#include "image/esp.hpp"

#include <map>

#include <gmock/gmock.h>

#include "tests/support/files.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/program.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

using base::bytes_of;
using base::Kind;
using image::Esp;
using image::esp_entries;
using support::FailsWith;
using testing::HasSubstr;

Esp sample() {
  return {.boot_loader = bytes_of("systemd-boot"),
          .loader_conf = {.timeout = std::chrono::seconds(3), .secure_boot_enroll = image::SecureBootEnroll::if_safe},
          .enroll_keys = image::EnrollKeys{bytes_of("pk"), bytes_of("kek"), bytes_of("db")},
          .ukis = {{.name = {.id = "node", .version = "1.0.0", .tries = image::BootTries{3, 0}},
                    .content = image::FatContent::owned("uki 1.0.0")}}};
}

std::map<std::string, std::string> contents_of(const std::vector<image::FatEntry>& entries) {
  std::map<std::string, std::string> contents;
  for (const auto& entry : entries) {
    std::string text = "(directory)";
    if (entry.content) {
      text.assign(entry.content->size_bytes(), '?');
      EXPECT_THAT(entry.content->read(0, std::as_writable_bytes(std::span(text))), support::Succeeds());
    }
    contents[entry.path] = text;
  }
  return contents;
}

TEST(Esp, HoldsLoaderKeysAndUkis) {
  const auto entries = esp_entries(sample());
  ASSERT_THAT(entries, support::Succeeds());
  const std::map<std::string, std::string> expected = {
      {"EFI/BOOT/BOOTX64.EFI", "systemd-boot"},
      {"EFI/Linux", "(directory)"},
      {"EFI/Linux/node_1.0.0+3-0.efi", "uki 1.0.0"},
      {"EFI/systemd/systemd-bootx64.efi", "systemd-boot"},
      {"loader/keys/auto/KEK.auth", "kek"},
      {"loader/keys/auto/PK.auth", "pk"},
      {"loader/keys/auto/db.auth", "db"},
      {"loader/loader.conf", "timeout 3\neditor no\nsecure-boot-enroll if-safe\n"},
  };
  EXPECT_EQ(contents_of(*entries), expected);
}

TEST(Esp, IsReadBackFromItsVolume) {
  const support::TemporaryDirectory directory;
  constexpr std::uint64_t size = std::uint64_t{512} << 20;
  const auto entries = esp_entries(sample());
  auto device = base::FileDevice::create(directory.path("esp"), size);
  ASSERT_THAT(image::write_fat({.id = 1, .label = "ESP", .size_bytes = size, .timestamp = {}}, *entries, **device, 0),
              support::Succeeds());
  const auto fsck = support::run_program({"/usr/sbin/fsck.vfat", "-n", "-v", directory.path("esp")});
  EXPECT_EQ(fsck.exit_status, 0) << fsck.output;
  for (const auto& [path, content] : contents_of(*entries)) {
    if (content == "(directory)") continue;
    EXPECT_EQ(support::run_program({"mtype", "-i", directory.path("esp"), "::/" + path}).output, content) << path;
  }
}

TEST(Esp, LocksTheMenuByDefault) {
  EXPECT_EQ(image::LoaderConf{}.text(), "timeout 0\neditor no\nsecure-boot-enroll off\n");
  const image::LoaderConf open{.timeout = std::chrono::minutes(1),
                               .editor = image::BootMenuEditor::on,
                               .secure_boot_enroll = image::SecureBootEnroll::force};
  EXPECT_EQ(open.text(), "timeout 60\neditor yes\nsecure-boot-enroll force\n");
}

TEST(Esp, RefusesWhatWouldNotBoot) {
  struct {
    const char* what;
    void (*damage)(Esp&);
    const char* message;
  } const cases[] = {
      {"no loader", [](Esp& esp) { esp.boot_loader = {}; }, "the file for EFI/BOOT/BOOTX64.EFI is empty"},
      {"no db", [](Esp& esp) { esp.enroll_keys->signature_database = {}; }, "loader/keys/auto/db.auth is empty"},
      {"no keys", [](Esp& esp) { esp.enroll_keys.reset(); }, "\"if-safe\", but there are no keys"},
      {"timeout", [](Esp& esp) { esp.loader_conf.timeout = std::chrono::seconds(-1); }, "timeout of -1 s"},
      {"name", [](Esp& esp) { esp.ukis[0].name.id = "a_b"; }, "the id of a UKI"},
      {"one version twice",
       [](Esp& esp) {
         esp.ukis.push_back(esp.ukis[0]);
         esp.ukis[1].name.tries.reset();
       },
       "two UKIs are called node_1.0.0"},
  };
  for (const auto& one : cases) {
    Esp esp = sample();
    one.damage(esp);
    EXPECT_THAT(esp_entries(esp), FailsWith(Kind::invalid_input, HasSubstr(one.message))) << one.what;
  }
}

}  // namespace
