#include "image/erofs/layout.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <set>
#include <span>
#include <utility>

#include "image/erofs/format.hpp"

namespace image::erofs {

using base::divide_rounding_up;
using base::fail;
using base::Kind;
using base::Result;

std::vector<NamedInode> all_entries(const FileTree& tree, InodeIndex directory, InodeIndex parent) {
  std::vector<NamedInode> entries = {{".", directory}, {"..", parent}};
  for (const DirectoryEntry& entry : tree.inodes[directory].entries) entries.push_back({entry.name, entry.inode});
  std::ranges::sort(entries, {}, &NamedInode::name);
  return entries;
}

std::size_t entries_in_a_block(std::span<const NamedInode> entries) {
  std::size_t count = 0;
  for (std::size_t used = 0; count < entries.size(); ++count) {
    used += dirent_size + entries[count].name.size();
    if (used > block_size) break;
  }
  return count;
}

namespace {

std::uint64_t size_of_directory(const FileTree& tree, InodeIndex directory) {
  const std::vector<NamedInode> entries = all_entries(tree, directory, directory);
  std::uint64_t whole_blocks = 0;
  for (std::span<const NamedInode> rest = entries; !rest.empty();) {
    const std::size_t count = entries_in_a_block(rest);
    if (count == rest.size()) {
      const auto add = [](std::uint64_t sum, const NamedInode& entry) { return sum + dirent_size + entry.name.size(); };
      return whole_blocks * block_size + std::accumulate(rest.begin(), rest.end(), std::uint64_t{0}, add);
    }
    rest = rest.subspan(count);
    ++whole_blocks;
  }
  return whole_blocks * block_size;
}

std::uint64_t size_of_data(const FileTree& tree, InodeIndex index) {
  const Inode& inode = tree.inodes[index];
  switch (inode.type) {
    case FileType::regular:
      return inode.size;
    case FileType::directory:
      return size_of_directory(tree, index);
    case FileType::symlink:
      return inode.target.size();
    default:
      return 0;
  }
}

std::vector<std::uint32_t> count_links(const FileTree& tree) {
  std::vector<std::uint32_t> links(tree.inodes.size());
  links[0] = 2;  // the root's own "." and ".."
  for (std::size_t i = 0; i < tree.inodes.size(); ++i) {
    for (const DirectoryEntry& entry : tree.inodes[i].entries) {
      ++links[entry.inode];
      if (tree.inodes[entry.inode].type != FileType::directory) continue;
      ++links[entry.inode];  // its own "."
      ++links[i];            // its ".."
    }
  }
  return links;
}

bool needs_extended(const Inode& inode, const Place& place) {
  constexpr std::uint32_t most = std::numeric_limits<std::uint16_t>::max();
  return inode.uid > most || inode.gid > most || place.links > most ||
         place.size > std::numeric_limits<std::uint32_t>::max();
}

/// Metadata blocks that are not full, so that each piece goes where it leaves the least room.
class Packer {
 public:
  /// The byte, from the first metadata block on, at which `size` bytes go: into one block where they fit into one.
  std::uint64_t put(std::size_t size) {
    const std::size_t needed = divide_rounding_up(size, inode_slot) * inode_slot;
    if (needed > block_size) {
      const std::uint64_t at = blocks_ * block_size;
      blocks_ += divide_rounding_up(needed, block_size);
      remember(blocks_ - 1, blocks_ * block_size - at - needed);
      return at;
    }
    const auto best = room_.lower_bound({needed, 0});
    const auto [room, block] =
        best != room_.end() ? *best : std::pair<std::size_t, std::uint64_t>{block_size, blocks_++};
    if (best != room_.end()) room_.erase(best);
    remember(block, room - needed);
    return block * block_size + (block_size - room);
  }
  std::uint64_t blocks() const { return blocks_; }

 private:
  void remember(std::uint64_t block, std::size_t room) {
    if (room >= inode_slot) room_.insert({room, block});
  }

  std::set<std::pair<std::size_t, std::uint64_t>> room_;  // bytes left, block
  std::uint64_t blocks_ = 0;
};

}  // namespace

Result<Layout> Layout::of(const FileTree& tree, const CompressedContents& compressed) {
  TRY_DO(check(tree));
  Layout layout;
  TRY(layout.xattrs_, Xattrs::plan(tree));
  layout.places_.resize(tree.inodes.size());
  const std::vector<std::uint32_t> links = count_links(tree);
  for (InodeIndex i = 0; i < tree.inodes.size(); ++i) {
    Place& place = layout.places_[i];
    place.size = size_of_data(tree, i);
    place.links = links[i];
    place.extended = needs_extended(tree.inodes[i], place);
    if (tree.inodes[i].type == FileType::regular && place.size > 0) {
      place.compressed = compressed.find(tree.inodes[i].content);
    }
    if (place.compressed != nullptr) continue;
    const std::size_t tail = place.size % block_size;
    place.tail_inline = tail > 0;  // so that metadata_size() counts it
    if (layout.metadata_size(tree, i) > block_size) place.tail_inline = false;
  }
  layout.place_data(tree);
  layout.place_metadata(tree);
  if (layout.total_blocks_ > std::numeric_limits<std::uint32_t>::max()) {
    return fail(Kind::invalid_input,
                "an image of " + std::to_string(layout.total_blocks_) + " blocks; EROFS holds 2^32 - 1");
  }
  return layout;
}

std::size_t Layout::metadata_size(const FileTree& tree, InodeIndex inode) const {
  const Place& place = places_[inode];
  const std::size_t size =
      (place.extended ? extended_inode_size : compact_inode_size) + xattrs_.body_size(tree.inodes[inode]);
  if (place.compressed != nullptr) return divide_rounding_up(size, 8) * 8 + index_size(*place.compressed);
  return size + (place.tail_inline ? place.size % block_size : 0);
}

void Layout::place_data(const FileTree& tree) {
  std::uint64_t next = 1;  // behind the superblock's
  const auto blocks_of = [this](InodeIndex i) {
    const Place& place = places_[i];
    if (place.compressed != nullptr) return place.compressed->blocks;
    return place.tail_inline ? place.size / block_size : divide_rounding_up(place.size, block_size);
  };
  for (InodeIndex i = 0; i < tree.inodes.size(); ++i) {
    if (tree.inodes[i].type == FileType::regular || blocks_of(i) == 0) continue;
    places_[i].first_block = next;
    next += blocks_of(i);
    block_owners_.push_back(i);
  }
  // Of inodes with one content some may have the tail behind them and some not: then it has room in the blocks too.
  std::map<ContentId, std::size_t> known;
  for (InodeIndex i = 0; i < tree.inodes.size(); ++i) {
    if (tree.inodes[i].type != FileType::regular || places_[i].size == 0) continue;
    const auto [at, fresh] = known.emplace(tree.inodes[i].content, contents_.size());
    if (fresh) contents_.push_back({tree.inodes[i].content, places_[i].size, 0, false, places_[i].compressed});
    Content& content = contents_[at->second];
    content.blocks = std::max(content.blocks, blocks_of(i));
    content.keep_tail = content.keep_tail || places_[i].tail_inline;
  }
  std::vector<std::uint64_t> first_block;
  for (const Content& content : contents_) {
    first_block.push_back(next);
    next += content.blocks;
  }
  for (InodeIndex i = 0; i < tree.inodes.size(); ++i) {
    if (tree.inodes[i].type != FileType::regular || blocks_of(i) == 0) continue;
    places_[i].first_block = first_block[known[tree.inodes[i].content]];
  }
  shared_xattrs_block_ = next;
  metadata_block_ = next + divide_rounding_up(xattrs_.shared().size(), block_size);
}

void Layout::place_metadata(const FileTree& tree) {
  Packer packer;
  for (InodeIndex i = 0; i < tree.inodes.size(); ++i) places_[i].slot = packer.put(metadata_size(tree, i)) / inode_slot;
  total_blocks_ = metadata_block_ + packer.blocks();
  by_slot_.resize(tree.inodes.size());
  for (InodeIndex i = 0; i < by_slot_.size(); ++i) by_slot_[i] = i;
  std::ranges::sort(by_slot_, {}, [this](InodeIndex i) { return places_[i].slot; });
}

}  // namespace image::erofs
