#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/advance.hpp"
#include "base/block_device.hpp"
#include "base/result.hpp"
#include "verity/geometry.hpp"
#include "verity/root_hash.hpp"

namespace verity {

/// How hard to work, and whom to tell. Results do not depend on it.
struct Effort {
  unsigned threads = 0;   // 0: one for each available processor
  base::Advance advance;  // told the bytes of data hashed, from any thread; may be empty
};

/// Builds a hash tree from data that arrives as a stream, so that whoever writes an image hashes it in the same pass.
///
/// Memory: about 1 MiB for each thread, whatever the size of the data. Hash blocks are written to `tree` as they fill
/// up, each once, in no fixed order; nothing else of `tree` is touched, and nothing is flushed.
class HashTreeBuilder {
 public:
  /// tree    receives the hash blocks from byte `tree_offset` on; must outlive the builder
  /// Fails: no_space (the tree does not fit, with both sizes)
  static base::Result<HashTreeBuilder> create(Geometry geometry, base::BlockDevice& tree, std::uint64_t tree_offset,
                                              const Effort& effort = {});
  HashTreeBuilder(HashTreeBuilder&&) noexcept;
  HashTreeBuilder& operator=(HashTreeBuilder&&) noexcept;
  HashTreeBuilder(const HashTreeBuilder&) = delete;
  HashTreeBuilder& operator=(const HashTreeBuilder&) = delete;
  ~HashTreeBuilder();

  /// The next bytes of the data, any number of them. Fails: invalid_input (more than the geometry says), io.
  base::Result<> append(base::ByteView data);
  /// All data has been appended. Call once. Fails: invalid_input (too little data), io, no_space.
  base::Result<RootHash> finish();

 private:
  class Pipeline;
  explicit HashTreeBuilder(std::unique_ptr<Pipeline> pipeline);
  std::unique_ptr<Pipeline> pipeline_;
};

/// Builds the tree of the first geometry.data_bytes() of `data` and returns its root hash. Data and tree may lie on the
/// same device as long as they do not overlap.
/// Fails: no_space (tree does not fit), corrupt (data too short, with both sizes), io (names device and offset).
base::Result<RootHash> build_hash_tree(const base::BlockDevice& data, const Geometry& geometry, base::BlockDevice& tree,
                                       std::uint64_t tree_offset, const Effort& effort = {});

/// A block that does not have the digest which the tree, from the root hash down, demands.
struct BadBlock {
  enum class Area { tree, data };

  Area area = Area::data;
  std::uint64_t block = 0;   // counted from the first data block, or from the tree's first block
  std::uint64_t offset = 0;  // bytes from the start of the device (the tree's offset on it included)
  unsigned level = 0;        // of a tree block: 0 is the level above the data

  friend auto operator<=>(const BadBlock&, const BadBlock&) = default;
};

struct VerifyReport {
  /// Tree blocks first, then data blocks, each in ascending order; no more than max_listed of them.
  std::vector<BadBlock> bad_blocks;
  std::uint64_t bad_block_count = 0;
  std::uint64_t data_blocks_checked = 0;  // found good or bad
  std::uint64_t data_blocks_unknown = 0;  // below a bad tree block: nothing vouches for them or against them

  static constexpr std::size_t max_listed = 1024;
  bool intact() const { return bad_block_count == 0; }
};

/// Told of every bad block once, in no fixed order and never by two threads at a time. May be empty.
using BadBlockSink = std::function<void(const BadBlock&)>;

/// Checks data against a root hash. Nothing of the tree is believed before it has been checked from the root hash
/// down. All members may be called from several threads.
class HashTreeVerifier {
 public:
  /// The devices must outlive the verifier. Fails: corrupt (a device is too short for the geometry, with both sizes).
  static base::Result<HashTreeVerifier> create(const base::BlockDevice& data, const base::BlockDevice& tree,
                                               std::uint64_t tree_offset, Geometry geometry, const RootHash& root);

  const Geometry& geometry() const { return geometry_; }
  const base::BlockDevice& data_device() const { return *data_; }
  const base::BlockDevice& tree_device() const { return *tree_; }
  std::uint64_t tree_offset() const { return tree_offset_; }
  const RootHash& root_hash() const { return root_; }

  /// Every data block and every tree block; goes on after a bad one. `found` also hears of those for which the report
  /// has no room. Fails: io, cancelled.
  base::Result<VerifyReport> verify_all(const Effort& effort = {}, const BadBlockSink& found = {}) const;
  /// `count` data blocks from `first` on, and the tree blocks above them. Fails: invalid_input (range), io.
  base::Result<VerifyReport> verify_range(std::uint64_t first, std::uint64_t count, const Effort& effort = {},
                                          const BadBlockSink& found = {}) const;
  /// Reads data blocks from `first` on into `into` (whole blocks) and vouches for them.
  /// Fails: invalid_input (range); corrupt (names the block and its offset; `into` must not be used); io.
  base::Result<> read(std::uint64_t first, base::MutableByteView into) const;
  /// Whether `content` is what the tree demands in the place of a block, given that the tree above it is good.
  /// Fails: corrupt (the tree above is bad), io.
  base::Result<bool> accepts(const BadBlock& place, base::ByteView content) const;

 private:
  HashTreeVerifier(const base::BlockDevice& data, const base::BlockDevice& tree, std::uint64_t tree_offset,
                   Geometry geometry, const RootHash& root);

  const base::BlockDevice* data_;
  const base::BlockDevice* tree_;
  std::uint64_t tree_offset_;
  Geometry geometry_;
  RootHash root_;
};

/// What errors and reports call a bad block: "data block 17 at offset 69632 of root.img".
std::string describe(const BadBlock& bad, std::string_view data_name, std::string_view tree_name);

}  // namespace verity
