#pragma once

#include <cstdint>

#include "base/block_device.hpp"
#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/uuid.hpp"
#include "verity/geometry.hpp"

namespace verity {

/// Bytes that the superblock takes; the tree begins at the next multiple of the hash block size.
inline constexpr std::size_t superblock_size = 512;
/// Where a superblock may lie: at multiples of this many bytes.
inline constexpr std::uint64_t hash_offset_alignment = 512;

/// dm-verity's on-disk superblock, version 1, hash type 1, SHA-256.
/// Source: cryptsetup, docs/v1.4.1-ReleaseNotes and the wiki page DMVerity ("Verity superblock format").
struct Superblock {
  base::Uuid uuid;
  HashTreeParams params;
  std::uint64_t data_blocks = 0;

  /// `raw` holds at least 512 bytes. Every field is checked, unused bytes must be zero.
  /// Fails: corrupt (no superblock, impossible values); unsupported (another version, hash type or algorithm).
  static base::Result<Superblock> decode(base::ByteView raw);
  /// 512 bytes. The parameters must have passed Geometry::of.
  base::Bytes encode() const;
};

/// Reads the superblock at `hash_offset` (bytes, a multiple of 512) and checks that the device holds the tree that it
/// promises. Fails: as decode(); invalid_input (offset); corrupt (device too short, with both sizes).
base::Result<Superblock> read_superblock(const base::BlockDevice& hash_device, std::uint64_t hash_offset);
base::Result<> write_superblock(base::BlockDevice& hash_device, std::uint64_t hash_offset,
                                const Superblock& superblock);

/// The byte at which the tree begins: behind the superblock at `hash_offset`, rounded up to a hash block. Without a
/// superblock `hash_offset` itself, which must then be a multiple of the hash block size. Fails: invalid_input.
enum class HasSuperblock { no, yes };
base::Result<std::uint64_t> tree_offset(std::uint64_t hash_offset, HasSuperblock has, std::uint32_t hash_block_size);

}  // namespace verity
