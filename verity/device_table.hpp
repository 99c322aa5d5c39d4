#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "base/uuid.hpp"
#include "verity/geometry.hpp"
#include "verity/root_hash.hpp"

namespace verity {

/// What the kernel does when a block that is read does not match the tree, beside logging it. With error correction it
/// tries that first - but the repair of a *tree* block may itself count as corruption (Linux 6.1; qemu-tests has the
/// story), so that restart and panic strike although all reads would have succeeded.
enum class OnCorruption {
  fail_read,  // EIO for whoever reads; the machine goes on
  restart,    // the machine restarts at once, unsynced writes are lost
  panic,      // kernel panic; panic= on the kernel's command line decides what follows
  ignore,     // the bad bytes are handed out: for examining a damaged image, never for running one
};

/// Blocks that the tree says are all zero.
enum class ZeroBlocks {
  check,
  assume,  // hand out zeros without reading the data device
};

enum class CheckData {
  every_read,
  first_read,  // once a block has been good, later changes of the device go unseen
};

/// Parity data (Reed-Solomon) from which the kernel repairs what does not match.
struct ErrorCorrection {
  std::string device;             // a path or "major:minor"
  std::uint64_t start_block = 0;  // where the parity begins on it, in data blocks
  std::uint64_t blocks = 0;       // how many blocks it covers: the data and then the tree, both counted
  std::uint32_t roots = 2;        // parity bytes for each codeword of 255, 2 to 24

  friend bool operator==(const ErrorCorrection&, const ErrorCorrection&) = default;
};

struct TableOptions {
  OnCorruption on_corruption = OnCorruption::fail_read;
  ZeroBlocks zero_blocks = ZeroBlocks::check;
  CheckData check_data = CheckData::every_read;
  std::optional<ErrorCorrection> error_correction;
  /// Description of the "user" key that holds the root hash's PKCS#7 signature; empty: no signature.
  std::string root_hash_signature_key;

  friend bool operator==(const TableOptions&, const TableOptions&) = default;
};

/// All that the kernel's verity target is told.
struct Table {
  std::string data_device;             // a path or "major:minor"
  std::string hash_device;             // the same; may be the data device
  Geometry geometry;                   // of the tree; the mapped device has geometry.data_bytes()
  std::uint64_t hash_start_block = 0;  // where the tree begins: tree_offset() / hash block size
  RootHash root_hash;
  TableOptions options;
};

/// The target's parameters as the kernel reads them:
/// "1 DATA HASH DATA_BLOCK_SIZE HASH_BLOCK_SIZE DATA_BLOCKS HASH_START sha256 ROOT SALT [COUNT OPTION...]".
/// Fails: invalid_input (a device or a key with blanks in its name, a tree that lies inside the data, error correction
/// that the kernel would refuse).
/// Source: Linux, Documentation/admin-guide/device-mapper/verity.rst; the order of options is libcryptsetup's.
base::Result<std::string> table_line(const Table& table);

/// The reverse, for what the kernel says of an active device. Options unknown here are passed over.
/// Fails: unsupported (hash type 0, another algorithm); corrupt (no verity table, more than 16 KiB).
base::Result<Table> parse_table_line(std::string_view line);

/// What the kernel has found so far; it has looked at nothing that nobody has read. Sticks until the device is removed.
enum class Integrity { verified, corrupted };

struct TargetStatus {
  Integrity integrity = Integrity::verified;
  std::optional<std::uint64_t> corrected_blocks;  // absent where the kernel does not say (6.1 does not)

  friend bool operator==(const TargetStatus&, const TargetStatus&) = default;
};

/// The target's status: "V" or "C", on newer kernels followed by the number of corrected blocks or "-".
/// Fails: corrupt (anything else).
base::Result<TargetStatus> parse_target_status(std::string_view line);

/// The most characters that a name may have for its UUID to fit: DM_UUID_LEN less "CRYPT-VERITY-", 32 digits, a dash
/// and the NUL.
inline constexpr std::size_t max_activated_name = 82;

/// Letters, digits and #+-.:=@_ (what libdevmapper does not have to escape), at most 127; not ".", ".." or "control".
/// Fails: invalid_input.
base::Result<> check_device_name(std::string_view name);

/// "CRYPT-VERITY-<32 digits>-<name>": by it systemd and veritysetup know whose device it is.
/// Fails: invalid_input (the name, or longer than max_activated_name).
base::Result<std::string> device_uuid(std::string_view name, const base::Uuid& superblock_uuid);

}  // namespace verity
