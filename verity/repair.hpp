#pragma once

#include <vector>

#include "base/block_device.hpp"
#include "base/result.hpp"
#include "verity/fec.hpp"
#include "verity/hash_tree.hpp"
#include "verity/root_hash.hpp"

namespace verity {

/// Whether repaired blocks are written back. A dry run keeps them in memory and writes nothing anywhere.
enum class RepairMode { write, dry_run };

struct RepairReport {
  /// Tree blocks first, then data blocks, each in ascending order. Of a dry run: what could be repaired.
  std::vector<BadBlock> repaired;
  /// What is bad or unknown after all that.
  VerifyReport remaining;
};

/// Puts blocks right that do not have the digest which the tree demands, with the help of the FEC parity.
///
/// Data and tree are verified; each bad block is reconstructed from its codewords, first with every block of the round
/// that is known to be bad left out of account, then as errors at places not known; and only what the tree then accepts
/// is written. A repaired tree block may reveal bad blocks below it, so this goes on until nothing more can be done.
/// The parity and what follows the tree are never written: nothing vouches for them.
///
/// data, hash_device  written only in places of bad blocks, and flushed if they were; the tree begins at
///                    layout.tree_offset(). May be read-only for a dry run
/// root               must come from somewhere trusted; it decides what is good
/// effort             advance is told of the first verification only
/// Memory: about 255 blocks for each thread, more for what a round's decoding changes; a bit for each covered block;
/// and
///         in a dry run the blocks that were repaired.
/// Fails:  corrupt (a device too short for the layout, with both sizes); io, no_space (blocks repaired so far may have
///         been written: each is good or as it was). Blocks that cannot be repaired are no failure but remain.
/// Source: Linux, Documentation/admin-guide/device-mapper/verity.rst (the kernel repairs what it reads, never the disk)
base::Result<RepairReport> repair(base::BlockDevice& data, base::BlockDevice& hash_device, const FecLayout& layout,
                                  const RootHash& root, const base::BlockDevice& fec, RepairMode mode,
                                  const Effort& effort = {});

}  // namespace verity
