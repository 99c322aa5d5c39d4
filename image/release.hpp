#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/bytes.hpp"
#include "base/digest.hpp"
#include "base/result.hpp"
#include "base/uuid.hpp"
#include "image/erofs/writer.hpp"
#include "image/identifiers.hpp"
#include "verity/root_hash.hpp"

namespace image {

enum class Architecture { x86_64 };

/// What the composer was told. A cluster is what is compressed at once.
struct ComposerSettings {
  std::uint32_t version = 1;
  erofs::Compression compression = erofs::Compression::none;
  std::uint32_t cluster_bytes = 4096;  // a power of two from 4096 to 1 MiB; 4096 without compression
  std::string compressor;              // erofs::compressor_version(); empty without compression

  friend bool operator==(const ComposerSettings&, const ComposerSettings&) = default;
};

/// A file that is in the commit already: under which path, and what it must be.
struct FileInCommit {
  std::string path;  // "usr/lib/modules/6.1.0/vmlinuz": relative, printable ASCII, no empty part, "." or ".."
  std::uint64_t size_bytes = 0;
  base::Sha256Digest sha256{};

  friend bool operator==(const FileInCommit&, const FileInCommit&) = default;
};

/// A UKI that the node puts together: assemble_uki() of these parts, attach_signature(), and the file of that size and
/// digest comes out. The command line names the root hash, so it cannot be in the commit.
struct UkiFromParts {
  std::uint64_t size_bytes = 0;  // of the whole, with its signature; so is the digest
  base::Sha256Digest sha256{};
  base::Bytes signature;  // PKCS#7 in DER, of detach_signature(); empty: the UKI is not signed
  std::string cmdline;
  std::string uname;
  FileInCommit stub;
  FileInCommit os_release;
  FileInCommit initrd;
  FileInCommit kernel;

  friend bool operator==(const UkiFromParts&, const UkiFromParts&) = default;
};

/// A UKI that is fetched as one file, by this name beside the release.
struct WholeUki {
  std::string name;
  std::uint64_t size_bytes = 0;
  base::Sha256Digest sha256{};

  friend bool operator==(const WholeUki&, const WholeUki&) = default;
};

/// The whole root image for nodes that cannot compose it: fetched by this name beside the release.
enum class FileCompression { none, zstd };
struct FullImage {
  std::string name;
  std::uint64_t size_bytes = 0;  // as fetched; so is the digest
  base::Sha256Digest sha256{};
  FileCompression compression = FileCompression::none;

  friend bool operator==(const FullImage&, const FullImage&) = default;
};

/// The description of a release: what a node needs in order to make the same image from a commit, and to know that it
/// did. It is trusted because the TUF metadata vouch for it, and for nothing that it says itself.
///
/// Not in it, since it follows from `identity`: the salt of the hash tree (derive_verity_salt) and the UUID in its
/// superblock (derive_uuid with role::verity_superblock).
struct Release {
  ImageIdentity identity;
  Architecture architecture = Architecture::x86_64;
  std::array<std::byte, 32> commit{};  // OSTree checksum
  ComposerSettings composer;
  base::Uuid erofs_uuid;
  std::uint64_t erofs_time = 0;  // seconds since 1970
  verity::RootHash root_hash;
  base::Bytes root_hash_signature;  // PKCS#7 in DER
  /// SHA-256 of the certificate that made it, as the signature's partition names it; nothing: it names none.
  std::optional<base::Sha256Digest> root_hash_certificate;
  std::uint64_t image_bytes = 0;      // whole blocks of 4096; at most slot_bytes
  std::uint64_t hash_tree_bytes = 0;  // superblock and tree
  std::uint64_t slot_bytes = 0;       // of the root partition that the image was made for; whole MiB
  std::variant<UkiFromParts, WholeUki> uki;
  FullImage full_image;
  std::string minimum_agent_version;  // one to four numbers with dots between

  friend bool operator==(const Release&, const Release&) = default;
};

/// The version of the format. A change that old readers must not overlook gets another one.
inline constexpr std::uint32_t release_format = 1;
/// The most that is read. Two signatures in base64 take some 130 KiB of it.
inline constexpr std::size_t max_release_bytes = std::size_t{256} * 1024;

/// Reads the JSON text of a release. Strict, for there is one writer: a key that is unknown or missing, a wrong type, a
/// number out of range, text that is no canonical base64 or not lower-case hexadecimal is an error, which names the
/// place as a JSON pointer: "/root/hash: ...". image/release.schema.json says the same; beyond what a schema can say,
/// the image fits its slot, the label fits a partition, and the UKI's command line names the root hash, and if any
/// signature, then this one.
/// Fails: invalid_input; unsupported (another version of the format).
base::Result<Release> parse_release(std::string_view json);

/// What the slot's signature partition begins with: byte for byte what the builder has put there, for keelson-init
/// compares it with what the UKI's command line names. Fails: invalid_input (no signature, or too long a one).
base::Result<base::Bytes> signature_partition_of(const Release& release);

/// The text of a release: keys sorted, indented by two blanks, a line feed at the end. The same release gives the same
/// bytes, and parse_release() of them gives the same release, provided that it is one that parse_release() accepts.
std::string to_json(const Release& release);

}  // namespace image
