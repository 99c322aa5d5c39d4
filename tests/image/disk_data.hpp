#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "image/authenticode.hpp"
#include "image/compose.hpp"
#include "image/directory_source.hpp"
#include "image/disk.hpp"
#include "image/uki.hpp"
#include "tests/image/pe_data.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/temporary_directory.hpp"
#include "verity/certificate.hpp"
#include "verity/root_hash_signature.hpp"

/// A real disk, only small: an EROFS root with its hash tree, signed; a signed UKI that names it; a signed boot loader.
namespace disk_data {

inline constexpr const char* keys = KEELSON_TEST_DATA "/keys/";
inline constexpr std::chrono::sys_seconds timestamp{std::chrono::seconds(1795219200)};

inline verity::Certificate certificate(const std::string& name) {
  return verity::read_certificate(keys + name + ".crt.pem").value();
}
inline base::Bytes signed_pe(base::ByteView pe, const std::string& key) {
  return image::sign_pe(pe, verity::read_private_key(keys + key + ".key.pem").value(), certificate(key)).value();
}

inline constexpr image::LayoutSizes small_sizes{.esp_bytes = 40 * image::mib, .root_bytes = 4 * image::mib};

struct Recipe {
  std::string id = "node";
  std::string version = "1.0.0";
  std::string root_hash_key = "rsa-2048";
  std::string secure_boot_key = "rsa-3072";
  image::LayoutSizes sizes = small_sizes;
  std::optional<std::string> cmdline;  // instead of "roothash=... quiet"
  std::optional<base::Bytes> salt;     // instead of the derived one
  bool with_uki = true;
};

/// The parts of a disk, in files and memory of its own.
class Parts {
 public:
  explicit Parts(const Recipe& recipe = {}) : recipe_(recipe) {
    std::filesystem::create_directories(directory.path("tree/usr/lib"));
    directory.write("tree/usr/lib/os-release", "ID=keelson\n");
    directory.write("tree/usr/noise", base::text_of(support::pattern(1000000)));
    const auto source = image::read_directory(directory.path("tree"));
    const auto composed =
        image::compose_root(source->tree, *source->contents,
                            {.erofs = {.uuid = image::derive_uuid(identity, image::role::root_filesystem),
                                       .time = 1795219200,
                                       .volume_name = "root"},
                             .salt = recipe.salt.value_or(image::derive_verity_salt(identity)),
                             .hash_uuid = image::derive_uuid(identity, image::role::verity_superblock)},
                            {directory.path("root.erofs"), directory.path("root.verity")});
    EXPECT_THAT(composed, support::Succeeds());
    root_hash = *composed->root_hash;
    boot_loader_ = signed_pe(pe_data::file(pe_data::boot_loader_path), recipe.secure_boot_key);
    pe_data::Contents contents;
    contents.os_release =
        "ID=keelson\nPRETTY_NAME=\"Keelson test\"\nIMAGE_ID=" + recipe.id + "\nIMAGE_VERSION=" + recipe.version + "\n";
    contents.cmdline = recipe.cmdline.value_or("roothash=" + root_hash.hex() + " quiet");
    uki_ = signed_pe(image::assemble_uki(pe_data::stub(), contents.parts()).value(), recipe.secure_boot_key);
  }

  image::DiskParts parts() const {
    const auto key = verity::read_private_key(keys + recipe_.root_hash_key + ".key.pem").value();
    const verity::Certificate signer = certificate(recipe_.root_hash_key);
    image::Esp esp{.boot_loader = boot_loader_, .loader_conf = {}};
    if (recipe_.with_uki) {
      esp.ukis.push_back({.name = {.id = recipe_.id, .version = recipe_.version, .tries = image::BootTries{3, 0}},
                          .content = image::FatContent::view(uki_)});
    }
    return {.identity = identity,
            .root_hash = root_hash,
            .root_image = directory.path("root.erofs"),
            .hash_tree = directory.path("root.verity"),
            .signature = verity::SignaturePartition{root_hash, signer.fingerprint(),
                                                    verity::sign_root_hash(root_hash, key, signer).value()},
            .esp = esp,
            .timestamp = timestamp};
  }
  image::DiskOptions options() const { return {.sizes = recipe_.sizes}; }
  const base::Bytes& uki() const { return uki_; }

  /// Writes the disk and returns its path.
  std::string disk(const char* name = "disk.raw") const {
    const auto written = image::assemble_disk(parts(), options(), directory.path(name));
    EXPECT_THAT(written, support::Succeeds());
    return directory.path(name);
  }

  const support::TemporaryDirectory directory;

 private:
  Recipe recipe_;
  base::Bytes boot_loader_;
  base::Bytes uki_;

 public:
  const image::ImageIdentity identity = *image::ImageIdentity::of(recipe_.id, recipe_.version);
  verity::RootHash root_hash;
};

}  // namespace disk_data
