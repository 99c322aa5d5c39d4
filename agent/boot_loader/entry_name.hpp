#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "image/uki_name.hpp"

namespace agent::boot_loader {

/// The name of a boot entry's file, ours or somebody else's, as systemd-boot takes it apart: "<stem>.efi", ".conf",
/// and in front of that "+<left>-<done>" or "+<left>" where its starts are counted.
struct EntryName {
  std::string stem;  // what stays when the counter goes; lower case, as systemd-boot compares
  std::optional<image::BootTries> tries;

  static EntryName of(std::string_view file_name);
  /// "node" of "node_1.0.0"; the whole stem where nothing divides it.
  std::string_view image_id() const { return std::string_view(stem).substr(0, stem.find('_')); }

  friend bool operator==(const EntryName&, const EntryName&) = default;
};

}  // namespace agent::boot_loader
