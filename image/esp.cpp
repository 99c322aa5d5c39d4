#include "image/esp.hpp"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

namespace image {

using base::ByteView;
using base::fail;
using base::Kind;
using base::ok;
using base::Result;

namespace {

std::string_view to_text(SecureBootEnroll enroll) {
  switch (enroll) {
    case SecureBootEnroll::off:
      return "off";
    case SecureBootEnroll::manual:
      return "manual";
    case SecureBootEnroll::if_safe:
      return "if-safe";
    case SecureBootEnroll::force:
      return "force";
  }
  return "off";
}

Result<> add_file(std::vector<FatEntry>& to, std::string path, ByteView content) {
  if (content.empty()) return fail(Kind::invalid_input, "the file for " + path + " is empty");
  to.push_back({.path = std::move(path), .content = FatContent::view(content)});
  return ok();
}

Result<> add_keys(std::vector<FatEntry>& to, const EnrollKeys& keys) {
  TRY_DO(add_file(to, "loader/keys/auto/PK.auth", keys.platform_key));
  TRY_DO(add_file(to, "loader/keys/auto/KEK.auth", keys.key_exchange_key));
  return add_file(to, "loader/keys/auto/db.auth", keys.signature_database);
}

Result<> check(const Esp& esp) {
  if (esp.loader_conf.timeout.count() < 0) {
    return fail(Kind::invalid_input,
                "a boot menu timeout of " + std::to_string(esp.loader_conf.timeout.count()) + " s");
  }
  if (esp.loader_conf.secure_boot_enroll != SecureBootEnroll::off && !esp.enroll_keys) {
    return fail(Kind::invalid_input, "secure-boot-enroll is \"" +
                                         std::string(to_text(esp.loader_conf.secure_boot_enroll)) +
                                         "\", but there are no keys to enrol");
  }
  std::set<std::string> entries;
  for (const EspUki& uki : esp.ukis) {
    if (const std::string entry = uki.name.entry(); !entries.insert(entry).second) {
      return fail(Kind::invalid_input, "two UKIs are called " + entry);
    }
  }
  return ok();
}

}  // namespace

std::string LoaderConf::text() const {
  return "timeout " + std::to_string(timeout.count()) + "\neditor " + (editor == BootMenuEditor::on ? "yes" : "no") +
         "\nsecure-boot-enroll " + std::string(to_text(secure_boot_enroll)) + "\n";
}

Result<std::vector<FatEntry>> esp_entries(const Esp& esp) {
  TRY_DO(check(esp));
  std::vector<FatEntry> entries;
  TRY_DO(add_file(entries, "EFI/BOOT/BOOTX64.EFI", esp.boot_loader));
  TRY_DO(add_file(entries, "EFI/systemd/systemd-bootx64.efi", esp.boot_loader));
  entries.push_back({.path = "EFI/Linux"});  // there for the agent, even before the first UKI
  entries.push_back({.path = "loader/loader.conf", .content = FatContent::owned(esp.loader_conf.text())});
  if (esp.enroll_keys) TRY_DO(add_keys(entries, *esp.enroll_keys));
  for (const EspUki& uki : esp.ukis) {
    TRY(const std::string file, uki_file_name(uki.name));
    entries.push_back({.path = "EFI/Linux/" + file, .content = uki.content});
  }
  return entries;
}

}  // namespace image
