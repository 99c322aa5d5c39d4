#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "verity/root_hash.hpp"

namespace verity {

/// The content of a root-verity-sig or usr-verity-sig partition is padded to a multiple of this (bytes).
inline constexpr std::size_t signature_partition_alignment = 4096;
/// The most JSON that is read from such a partition (bytes); the longest signature takes some 43 KiB of it.
inline constexpr std::size_t max_signature_json_size = std::size_t{64} * 1024;

/// What a root-verity-sig partition says. A claim: nothing in it is checked against a key, and the root hash in it is
/// not to be used for anything but telling which image the partition belongs to. What counts is
/// verify_root_hash_signature() of `signature` with a root hash that is known from elsewhere or read from here.
///
/// One JSON object, padded with NUL bytes:
/// {"rootHash":"hex","certificateFingerprint":"hex","signature":"base64"}
/// Source: UAPI.2 Discoverable Partitions Specification, "Verity signature partition"; systemd, src/partition/repart.c
struct SignaturePartition {
  RootHash root_hash;
  std::optional<std::string> certificate_fingerprint;  // 64 lower-case digits; tells readers which key to try
  base::Bytes signature;                               // a PKCS#7 in DER, from 1 to 32767 bytes

  /// `raw` is the whole partition, or a file of its content. Unknown members are passed over, all else is checked.
  /// Fails: corrupt (empty; no JSON object of this shape; more than 64 KiB of it; anything but NUL bytes behind it).
  static base::Result<SignaturePartition> decode(base::ByteView raw);
  /// The members in the order above, without white space, NUL-padded to a multiple of 4096 bytes.
  /// Fails: invalid_input (a signature that is empty or too long, a fingerprint that is none).
  base::Result<base::Bytes> encode() const;

  friend bool operator==(const SignaturePartition&, const SignaturePartition&) = default;
};

}  // namespace verity
