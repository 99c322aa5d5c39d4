#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/block_device.hpp"
#include "base/bytes.hpp"
#include "base/result.hpp"
#include "image/disk_layout.hpp"
#include "image/erofs/superblock.hpp"
#include "image/fat_reader.hpp"
#include "image/partition_table.hpp"
#include "image/release.hpp"
#include "image/uki_name.hpp"
#include "verity/signature_partition.hpp"
#include "verity/superblock.hpp"

/// What our files say about themselves, for people who ask. Nothing here is verified: verify_image() does that.
namespace image {

enum class FileKind { disk, erofs, pe, release, hash_tree, qcow2, unknown };

/// By what the file begins with. Fails: io.
base::Result<FileKind> recognise(const base::BlockDevice& file);

/// The most of one PE file that is read: no UKI of ours comes near it.
inline constexpr std::size_t max_pe_bytes = std::size_t{512} << 20;

struct PeSectionFacts {
  std::string name;
  std::uint64_t size_bytes = 0;  // as it will stand in memory
  base::Sha256Digest sha256{};   // of these bytes
};

struct PeFacts {
  std::uint64_t size_bytes = 0;
  base::Sha256Digest sha256{};  // of the whole file
  std::vector<PeSectionFacts> sections;
  std::vector<std::string> claimed_signers;
  /// What makes it a UKI; nothing where there is no such section.
  std::optional<std::string> cmdline;
  std::optional<std::string> uname;
  std::optional<std::string> os_release;
};

/// Fails: corrupt, unsupported (read_pe_headers, a malformed signature); io (OpenSSL).
base::Result<PeFacts> inspect_pe(base::ByteView file);

/// The value of a variable in os-release(5) text, without its quotes; nothing where it is not set.
std::optional<std::string> os_release_value(std::string_view text, std::string_view variable);

struct SlotFacts {
  SlotOnDisk slot;
  // What could not be read says why.
  base::Result<erofs::SuperblockInfo> root;
  base::Result<verity::Superblock> hash_tree;
  base::Result<verity::SignaturePartition> signature;
};

struct UkiFacts {
  FatNode file;
  base::Result<UkiName> name;
  base::Result<PeFacts> pe;
};

struct EspFacts {
  std::uint32_t volume_id = 0;
  std::vector<FatNode> files;  // directories left out
  std::vector<UkiFacts> ukis;
};

struct DiskFacts {
  TableOnDisk table;
  std::vector<SlotFacts> slots;  // those that are not empty
  std::optional<base::Result<EspFacts>> esp;
};

/// Fails: as read_partition_table(). What is wrong further in stands in its place in the facts.
base::Result<DiskFacts> inspect_disk(base::BlockDevice& disk);

/// A partition as a device: "partition 2 (node_1.0.0)".
base::Result<base::DeviceRange> partition_device(base::BlockDevice& disk, const Partition& partition);
/// Whether a file on the ESP is one that the boot loader takes for a UKI: "EFI/Linux/<name>.efi".
bool is_uki_path(std::string_view path);
/// The last part of a path on the ESP.
std::string_view file_name_of(std::string_view path);
/// The whole signature partition, which must not be larger than 16 MiB. Fails: as SignaturePartition::decode(), io.
base::Result<verity::SignaturePartition> read_signature_partition(const base::BlockDevice& partition);

}  // namespace image
