#pragma once

#include <cstdint>

#include "base/uuid.hpp"
#include "verity/root_hash.hpp"

namespace image {

// What the Discoverable Partitions Specification (UAPI.2) rules, as far as our disks need it.
// Source: uapi-group/specifications, specs/discoverable_partitions_specification.md

namespace partition_type {

/// A UUID from its hexadecimal digits in two halves, as the tables of the specification show them.
consteval base::Uuid uuid(std::uint64_t high, std::uint64_t low) {
  base::Uuid result;
  for (unsigned i = 0; i < 8; ++i) {
    result.bytes[i] = static_cast<std::byte>(high >> (56 - 8 * i));
    result.bytes[8 + i] = static_cast<std::byte>(low >> (56 - 8 * i));
  }
  return result;
}

inline constexpr base::Uuid esp = uuid(0xc12a7328f81f11d2, 0xba4b00a0c93ec93b);
inline constexpr base::Uuid root_x86_64 = uuid(0x4f68bce3e8cd4db1, 0x96e7fbcaf984b709);
inline constexpr base::Uuid root_verity_x86_64 = uuid(0x2c7357edebd246d9, 0xaec123d437ec2bf5);
inline constexpr base::Uuid root_verity_signature_x86_64 = uuid(0x41092b059fc84523, 0x994f2def0408b176);
inline constexpr base::Uuid var = uuid(0x4d21b016b53445c2, 0xa9fb5c16e091fd2d);
inline constexpr base::Uuid linux_generic = uuid(0x0fc63daf84834772, 0x8e793d69d8477de4);

}  // namespace partition_type

/// Attribute bits that these types share.
namespace partition_flag {

inline constexpr std::uint64_t no_auto = std::uint64_t{1} << 63;    // not to be discovered
inline constexpr std::uint64_t read_only = std::uint64_t{1} << 60;  // recommended always for verity and signature
inline constexpr std::uint64_t grow_file_system = std::uint64_t{1} << 59;  // the file system may be grown when mounted

}  // namespace partition_flag

/// The UUIDs by which a root hash alone finds its partitions: the first and the last 128 bits as they are, no version
/// bits forced.
base::Uuid data_partition_uuid(const verity::RootHash& root_hash);
base::Uuid hash_partition_uuid(const verity::RootHash& root_hash);
/// The way back: the two halves make the whole root hash.
verity::RootHash root_hash_of(const base::Uuid& data_partition, const base::Uuid& hash_partition);

}  // namespace image
