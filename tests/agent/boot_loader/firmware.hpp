#pragma once

#include <filesystem>
#include <initializer_list>
#include <string>
#include <string_view>

#include "agent/boot_loader/efi_variables.hpp"
#include "tests/support/files.hpp"
#include "tests/support/temporary_directory.hpp"

namespace support {

/// UTF-16LE of ASCII, each text with its NUL.
inline std::string utf16(std::initializer_list<std::string_view> texts) {
  std::string bytes;
  for (const std::string_view text : texts) {
    for (const char c : text) bytes += {c, '\0'};
    bytes += {'\0', '\0'};
  }
  return bytes;
}
inline std::string utf16(std::string_view text) {
  return utf16({text});
}

/// Variables in files as efivarfs shows them, without efivarfs.
class Firmware {
 public:
  static constexpr const char* loader = "-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
  static constexpr const char* global = "-8be4df61-93ca-11d2-aa0d-00e098032b8c";

  Firmware() { std::filesystem::create_directories(directory_.path("efivars")); }

  std::string path(const std::string& file) const { return directory_.path("efivars/" + file); }
  agent::boot_loader::EfiVariables variables() const {
    return agent::boot_loader::EfiVariables(directory_.path("efivars"));
  }

  void has(const std::string& file, std::string_view value, std::string_view attributes = {"\7\0\0\0", 4}) const {
    directory_.write("efivars/" + file, std::string(attributes) + std::string(value));
  }
  bool holds(const std::string& file) const { return std::filesystem::exists(path(file)); }
  std::string content(const std::string& file) const { return slurp(path(file)); }

 private:
  TemporaryDirectory directory_;
};

}  // namespace support
