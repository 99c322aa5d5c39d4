#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "image/erofs/compressed_content.hpp"
#include "image/erofs/xattrs.hpp"
#include "image/file_tree.hpp"

namespace image::erofs {

/// Where one inode and its data lie.
struct Place {
  std::uint64_t slot = 0;         // in units of inode_slot from the first metadata block: the inode's number
  std::uint64_t first_block = 0;  // of its whole blocks; 0 when it has none
  std::uint64_t size = 0;         // bytes of data: of a directory, its entries; of a link, its target
  std::uint32_t links = 1;
  bool extended = false;  // takes the long form of an inode
  bool tail_inline = false;
  const CompressedContent* compressed = nullptr;  // null: the blocks hold the data as it is
};

/// Where everything will lie, known before the first byte is written: a pure function of the tree
/// and of what its contents are compressed.
class Layout {
 public:
  /// `compressed` must outlive the layout. Fails: invalid_input (see check() and Xattrs::plan(); more than 2^32
  /// blocks).
  static base::Result<Layout> of(const FileTree& tree, const CompressedContents& compressed);

  const Place& place(InodeIndex inode) const { return places_[inode]; }
  const Xattrs& xattrs() const { return xattrs_; }

  /// The contents to write, each once, in order: whole blocks, or padded to whole blocks where the tail is not inline.
  struct Content {
    ContentId id;
    std::uint64_t size;
    std::uint64_t blocks;
    bool keep_tail;  // some inode has the last partial block behind it
    const CompressedContent* compressed = nullptr;
  };
  const std::vector<Content>& contents() const { return contents_; }
  /// The inodes with blocks of their own that are no file contents, in the order of their blocks.
  const std::vector<InodeIndex>& block_owners() const { return block_owners_; }
  /// Inodes in the order of their slots.
  const std::vector<InodeIndex>& by_slot() const { return by_slot_; }

  std::uint64_t shared_xattrs_block() const { return shared_xattrs_block_; }
  std::uint64_t metadata_block() const { return metadata_block_; }
  std::uint64_t total_blocks() const { return total_blocks_; }

  /// Bytes that an inode takes in the metadata: itself, its attributes, and its tail if that is inline, or its index.
  std::size_t metadata_size(const FileTree& tree, InodeIndex inode) const;

 private:
  void place_data(const FileTree& tree);
  void place_metadata(const FileTree& tree);

  std::vector<Place> places_;
  Xattrs xattrs_;
  std::vector<Content> contents_;
  std::vector<InodeIndex> block_owners_;
  std::vector<InodeIndex> by_slot_;
  std::uint64_t shared_xattrs_block_ = 0;
  std::uint64_t metadata_block_ = 0;
  std::uint64_t total_blocks_ = 0;
};

/// The entries of a directory, "." and ".." among them, bytewise ascending, as its blocks will hold them.
struct NamedInode {
  std::string_view name;
  InodeIndex inode;
};
std::vector<NamedInode> all_entries(const FileTree& tree, InodeIndex directory, InodeIndex parent);
/// How many of `entries` fit into one block, from the first on; at least one.
std::size_t entries_in_a_block(std::span<const NamedInode> entries);

}  // namespace image::erofs
