#include "image/erofs/writer.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <span>
#include <string_view>
#include <utility>

#include "image/erofs/format.hpp"
#include "image/erofs/layout.hpp"
#include "image/erofs/superblock.hpp"

namespace image::erofs {

using base::Bytes;
using base::ByteView;
using base::fail;
using base::Kind;
using base::MutableByteView;
using base::Result;
using base::store_le;

namespace {

std::uint16_t type_bits(FileType type) {
  switch (type) {
    case FileType::regular:
      return 0100000;
    case FileType::directory:
      return 0040000;
    case FileType::symlink:
      return 0120000;
    case FileType::character_device:
      return 0020000;
    case FileType::block_device:
      return 0060000;
    case FileType::fifo:
      return 0010000;
    case FileType::socket:
      return 0140000;
  }
  return 0;
}

DirentType dirent_type(FileType type) {
  switch (type) {
    case FileType::regular:
      return DirentType::regular;
    case FileType::directory:
      return DirentType::directory;
    case FileType::symlink:
      return DirentType::symlink;
    case FileType::character_device:
      return DirentType::character_device;
    case FileType::block_device:
      return DirentType::block_device;
    case FileType::fifo:
      return DirentType::fifo;
    case FileType::socket:
      return DirentType::socket;
  }
  return DirentType::regular;
}

/// Linux, include/linux/kdev_t.h, new_encode_dev().
std::uint32_t encode_device(const Inode& inode) {
  return (inode.device_minor & 0xff) | (inode.device_major << 8) | ((inode.device_minor & ~0xffU) << 12);
}

std::vector<InodeIndex> parents_of(const FileTree& tree) {
  std::vector<InodeIndex> parents(tree.inodes.size(), 0);
  for (InodeIndex i = 0; i < tree.inodes.size(); ++i) {
    for (const DirectoryEntry& entry : tree.inodes[i].entries) parents[entry.inode] = i;
  }
  return parents;
}

class Writer {
 public:
  Writer(const FileTree& tree, const ContentSource& contents, const Options& options, const Layout& layout,
         ImageSink& sink, const base::Advance& advance)
      : tree_(tree),
        contents_(contents),
        options_(options),
        layout_(layout),
        sink_(sink),
        advance_(advance),
        parents_(parents_of(tree)) {}

  Result<Composed> write() {
    TRY_DO(sink_.begin(layout_.total_blocks() * block_size));
    TRY_DO(append(superblock()));
    for (const InodeIndex i : layout_.block_owners()) TRY_DO(write_own_blocks(i));
    for (const Layout::Content& content : layout_.contents()) TRY_DO(write_content(content));
    TRY_DO(append_padded(layout_.xattrs().shared()));
    TRY_DO(write_metadata());
    return Composed{layout_.total_blocks() * block_size, tree_.inodes.size()};
  }

 private:
  Result<> append(ByteView bytes) {
    TRY_DO(sink_.append(bytes));
    if (advance_) advance_(bytes.size());
    return base::ok();
  }

  Result<> append_padded(Bytes bytes) {
    bytes.resize(base::divide_rounding_up(bytes.size(), block_size) * block_size);
    return append(bytes);
  }

  Bytes superblock() const {
    Bytes block(block_size);
    std::byte* const at = &block[superblock_offset];
    store_le(at, magic);
    store_le(at + 8, compat_checksum | compat_mtime);
    at[12] = std::byte{block_bits};
    store_le(at + 14, static_cast<std::uint16_t>(layout_.place(0).slot));  // the root is packed first: always small
    store_le(at + 16, std::uint64_t{tree_.inodes.size()});
    store_le(at + 24, options_.time);
    store_le(at + 36, static_cast<std::uint32_t>(layout_.total_blocks()));
    store_le(at + 40, static_cast<std::uint32_t>(layout_.metadata_block()));
    store_le(at + 44, static_cast<std::uint32_t>(layout_.shared_xattrs_block()));
    std::ranges::copy(options_.uuid.bytes, at + 48);
    std::ranges::copy(base::bytes_of(options_.volume_name), at + 64);
    store_le(&block[superblock_checksum_offset], superblock_checksum(block));
    return block;
  }

  /// The bytes of a directory or link.
  Bytes data_of(InodeIndex index) const {
    const Inode& inode = tree_.inodes[index];
    if (inode.type != FileType::directory) {
      const ByteView target = base::bytes_of(inode.target);
      return {target.begin(), target.end()};
    }
    Bytes data;
    const std::vector<NamedInode> entries = all_entries(tree_, index, parents_[index]);
    for (std::span<const NamedInode> rest = entries; !rest.empty();) {
      const std::size_t count = entries_in_a_block(rest);
      data.resize(base::divide_rounding_up(data.size(), block_size) * block_size);
      append_directory_block(data, rest.first(count));
      rest = rest.subspan(count);
    }
    return data;
  }

  /// Twelve bytes for each entry, then the names, which have no end but the next one's beginning.
  void append_directory_block(Bytes& data, std::span<const NamedInode> entries) const {
    std::size_t name_offset = entries.size() * dirent_size;
    for (const NamedInode& entry : entries) {
      std::array<std::byte, dirent_size> raw{};
      store_le(raw.data(), layout_.place(entry.inode).slot);
      store_le(&raw[8], static_cast<std::uint16_t>(name_offset));
      raw[10] = static_cast<std::byte>(dirent_type(tree_.inodes[entry.inode].type));
      data.insert(data.end(), raw.begin(), raw.end());
      name_offset += entry.name.size();
    }
    for (const NamedInode& entry : entries) {
      const ByteView name = base::bytes_of(entry.name);
      data.insert(data.end(), name.begin(), name.end());
    }
  }

  Result<> write_own_blocks(InodeIndex index) {
    Bytes data = data_of(index);
    if (layout_.place(index).tail_inline) data.resize(data.size() / block_size * block_size);
    return append_padded(std::move(data));
  }

  Result<> write_content(const Layout::Content& content) {
    TRY(const auto reader, contents_.open(content.id));
    std::uint64_t left = content.size;
    std::uint64_t blocks_left = content.blocks;
    while (left > 0) {
      const std::size_t now = std::min<std::uint64_t>(piece_.size(), left);
      const MutableByteView piece = MutableByteView(piece_).first(now);
      TRY_DO(reader->read(piece));
      left -= now;
      const std::size_t tail = now % block_size;  // only the last piece has one
      if (tail > 0 && content.keep_tail)
        tails_[content.id].assign(piece.end() - static_cast<std::ptrdiff_t>(tail), piece.end());
      const std::uint64_t blocks = std::min<std::uint64_t>(base::divide_rounding_up(now, block_size), blocks_left);
      blocks_left -= blocks;
      if (blocks * block_size > now)
        std::ranges::fill(MutableByteView(piece_).subspan(now, blocks * block_size - now), std::byte{0});
      TRY_DO(append(ByteView(piece_).first(blocks * block_size)));
    }
    return base::ok();
  }

  Result<> write_metadata() {
    Bytes block;              // what has been made since the last whole block
    std::uint64_t start = 0;  // where `block` begins, in bytes from the first metadata block
    for (const InodeIndex index : layout_.by_slot()) {
      const std::uint64_t at = layout_.place(index).slot * inode_slot;
      while (at - start >= block_size) {  // the block in hand is complete
        block.resize(std::max<std::size_t>(block.size(), block_size));
        TRY_DO(append(ByteView(block).first(block_size)));
        block.erase(block.begin(), block.begin() + block_size);
        start += block_size;
      }
      block.resize(at - start);
      append_inode(block, index);
    }
    return append_padded(std::move(block));
  }

  void append_inode(Bytes& to, InodeIndex index) const {
    const Inode& inode = tree_.inodes[index];
    const Place& place = layout_.place(index);
    const Bytes xattrs = layout_.xattrs().body(inode);
    const std::size_t size = place.extended ? extended_inode_size : compact_inode_size;
    to.resize(to.size() + size);
    std::byte* const at = &to[to.size() - size];

    const unsigned layout = place.tail_inline ? layout_inline : layout_plain;
    store_le(at, static_cast<std::uint16_t>((layout << 1) | (place.extended ? 1U : 0U)));
    // The header counts as one unit, however long it is.
    const std::size_t xattr_units = xattrs.empty() ? 0 : (xattrs.size() - xattr_header_size) / 4 + 1;
    store_le(at + 2, static_cast<std::uint16_t>(xattr_units));
    store_le(at + 4, static_cast<std::uint16_t>(type_bits(inode.type) | inode.permissions));
    const bool device = inode.type == FileType::character_device || inode.type == FileType::block_device;
    const std::uint32_t where = device ? encode_device(inode) : static_cast<std::uint32_t>(place.first_block);
    if (place.extended) {
      store_le(at + 8, place.size);
      store_le(at + 16, where);
      store_le(at + 20, index + 1);
      store_le(at + 24, inode.uid);
      store_le(at + 28, inode.gid);
      store_le(at + 32, options_.time);
      store_le(at + 44, place.links);
    } else {
      store_le(at + 6, static_cast<std::uint16_t>(place.links));
      store_le(at + 8, static_cast<std::uint32_t>(place.size));
      store_le(at + 16, where);
      store_le(at + 20, index + 1);
      store_le(at + 24, static_cast<std::uint16_t>(inode.uid));
      store_le(at + 26, static_cast<std::uint16_t>(inode.gid));
    }
    to.insert(to.end(), xattrs.begin(), xattrs.end());
    if (!place.tail_inline) return;
    if (inode.type == FileType::regular) {
      const Bytes& tail = tails_.at(inode.content);
      to.insert(to.end(), tail.begin(), tail.end());
    } else {
      const Bytes data = data_of(index);
      to.insert(to.end(), data.end() - static_cast<std::ptrdiff_t>(data.size() % block_size), data.end());
    }
  }

  const FileTree& tree_;
  const ContentSource& contents_;
  const Options& options_;
  const Layout& layout_;
  ImageSink& sink_;
  const base::Advance& advance_;
  const std::vector<InodeIndex> parents_;
  std::map<ContentId, Bytes> tails_;
  Bytes piece_ = Bytes(std::size_t{256} << 10);
};

}  // namespace

Result<Composed> compose(const FileTree& tree, const ContentSource& contents, const Options& options, ImageSink& sink,
                         const base::Advance& advance) {
  if (options.volume_name.size() > 15) {
    return fail(Kind::invalid_input, "the volume name \"" + options.volume_name + "\" has more than 15 bytes");
  }
  TRY(const Layout layout, Layout::of(tree));
  return Writer(tree, contents, options, layout, sink, advance).write();
}

}  // namespace image::erofs
