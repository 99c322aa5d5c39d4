#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/uuid.hpp"

namespace image {

/// Which image this is: its name and its version, both fit for a partition label, a file name on the ESP and
/// os-release.
class ImageIdentity {
 public:
  /// Both of "0-9 a-z . -", beginning with a letter or digit; "<id>_<version>" at most 36 characters, which is all that
  /// a partition label holds. The underscore is left out: it parts name from version in the label (UAPI.2).
  /// Fails: invalid_input.
  static base::Result<ImageIdentity> of(std::string id, std::string version);

  const std::string& id() const { return id_; }
  const std::string& version() const { return version_; }
  /// "<id>_<version>": the label of its partitions and the beginning of its UKI's file name.
  std::string label() const { return id_ + "_" + version_; }

  friend bool operator==(const ImageIdentity&, const ImageIdentity&) = default;

 private:
  ImageIdentity(std::string id, std::string version) : id_(std::move(id)), version_(std::move(version)) {}

  std::string id_;
  std::string version_;
};

// Nothing in an image is random, and nothing is the same in two images that may meet on one host. So every identifier
// is cut from one digest: SHA-256 over four strings, each followed by a NUL byte,
//
//     "keelson-identifier-1"   image id   version   role
//
// which is  printf '%s\0' keelson-identifier-1 node 1.0.0 disk | sha256sum . The version is empty where an identifier
// must stay the same from version to version. These bytes are pinned for ever, as the composer versions are: a node
// that recomposes an image must find the identifiers that its builder found.

/// What an identifier is for. Each role is used once in an image.
namespace role {
inline constexpr std::string_view disk = "disk";                                // GUID of the partition table
inline constexpr std::string_view esp_partition = "esp-partition";              // partition UUID
inline constexpr std::string_view esp_volume = "esp-volume";                    // FAT volume id
inline constexpr std::string_view root_filesystem = "root-filesystem";          // EROFS UUID
inline constexpr std::string_view verity_superblock = "verity-superblock";      // superblock UUID
inline constexpr std::string_view signature_partition = "signature-partition";  // partition UUID; UAPI.2 has no rule
inline constexpr std::string_view empty_root_partition = "empty-root-partition";
inline constexpr std::string_view empty_verity_partition = "empty-verity-partition";
inline constexpr std::string_view empty_signature_partition = "empty-signature-partition";
inline constexpr std::string_view verity_salt = "verity-salt";  // without the version
}  // namespace role

/// The digest's first 16 bytes as a UUID of version 8 (custom; RFC 9562).
base::Uuid derive_uuid(const ImageIdentity& identity, std::string_view role);
/// The digest's first 8 hexadecimal digits as the number that tools show as XXXX-XXXX.
std::uint32_t derive_fat_volume_id(const ImageIdentity& identity, std::string_view role = role::esp_volume);
/// All 32 bytes, from the image id alone: leaf hashes of two versions are then comparable, and the hash tree of the
/// installed version is an index of its blocks.
base::Bytes derive_verity_salt(const ImageIdentity& identity);

}  // namespace image
