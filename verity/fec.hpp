#pragma once

#include <cstdint>

#include "base/block_device.hpp"
#include "base/bytes.hpp"
#include "base/result.hpp"
#include "verity/geometry.hpp"
#include "verity/hash_tree.hpp"

namespace verity {

/// What decides dm-verity's forward error correction, beside the tree.
struct FecParams {
  unsigned roots = 2;        // parity bytes for each codeword of 255 bytes, 2 to 24
  std::uint64_t offset = 0;  // bytes from the FEC device's start to the parity; a multiple of the block size
};

/// Which bytes the parity covers and where it lies.
///
/// Covered are the data blocks and, as if they followed directly, the blocks of the hash device from the tree's first
/// block to the end of the metadata. With n = 255 - roots and R = ceil(covered blocks / n) rounds, byte b of the
/// covered blocks r, r + R, r + 2R ... makes one codeword; blocks beyond the last read as zeros. Its parity lies at
/// offset + (r * block size + b) * roots. So up to `roots` * R blocks in a row may be lost.
/// Source: cryptsetup, lib/verity/verity_fec.c; Linux, drivers/md/dm-verity-fec.c
class FecLayout {
 public:
  /// tree_offset   byte of the hash device at which the tree begins (see verity::tree_offset)
  /// metadata_end  bytes of the hash device: its whole size, also where foreign bytes follow the tree; or params.offset
  ///               when the parity follows on the same device. Rounded down to blocks
  /// Fails: invalid_input (roots; offsets that are no whole blocks or beyond 2^62; block sizes of data and hashes that
  ///        differ; metadata that ends before the tree does).
  static base::Result<FecLayout> of(Geometry geometry, std::uint64_t tree_offset, std::uint64_t metadata_end,
                                    FecParams params = {});

  const Geometry& geometry() const { return geometry_; }
  const FecParams& params() const { return params_; }
  std::uint64_t tree_offset() const { return tree_offset_; }
  std::uint32_t block_size() const { return geometry_.params().data_block_size; }

  /// Data blocks, tree blocks, and what follows the tree. The kernel calls it fec_blocks.
  std::uint64_t covered_blocks() const { return geometry_.data_blocks() + metadata_blocks_; }
  std::uint64_t covered_bytes() const { return covered_blocks() * block_size(); }
  /// Where on the hash device the covered metadata ends, in bytes; 0 when there is none.
  std::uint64_t metadata_end() const;
  /// Data bytes of a codeword: 255 - roots.
  std::uint64_t data_symbols() const;
  std::uint64_t rounds() const;
  /// What one round's parity takes on the FEC device, in bytes.
  std::uint64_t round_parity_bytes() const { return std::uint64_t{block_size()} * params_.roots; }
  /// What the whole parity takes, in bytes: the FEC device needs params().offset more.
  std::uint64_t parity_bytes() const { return rounds() * round_parity_bytes(); }

 private:
  FecLayout(Geometry geometry, FecParams params, std::uint64_t tree_offset, std::uint64_t metadata_blocks);

  Geometry geometry_;
  FecParams params_;
  std::uint64_t tree_offset_;
  std::uint64_t metadata_blocks_;
};

/// Whether both devices are large enough for what the layout covers. Fails: corrupt (names both sizes).
base::Result<> check_covered(const base::BlockDevice& data, const base::BlockDevice& hash_device,
                             const FecLayout& layout);

/// Reads covered blocks from `first` on into `into` (whole blocks); those beyond the last are zeros.
/// Fails: io; corrupt (a device is too short).
base::Result<> read_covered(const base::BlockDevice& data, const base::BlockDevice& hash_device,
                            const FecLayout& layout, std::uint64_t first, base::MutableByteView into);

/// Computes the parity and writes it to `fec`, each byte once, in no fixed order; nothing is flushed. The tree must be
/// complete. The devices may be the same one as long as the parity lies behind what it covers.
///
/// Memory: (2 * roots + 1) * 64 KiB for each thread. effort.advance is told of layout.covered_bytes() in all.
/// Fails:  no_space (the FEC device is too small, with both sizes); corrupt (data or hash device too short);
///         invalid_input (the parity would overwrite what it covers); io (names the device).
base::Result<> encode_fec(const base::BlockDevice& data, const base::BlockDevice& hash_device, const FecLayout& layout,
                          base::BlockDevice& fec, const Effort& effort = {});

}  // namespace verity
