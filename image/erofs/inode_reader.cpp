#include "image/erofs/inode_reader.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "image/erofs/format.hpp"
#include "image/erofs/xattrs.hpp"

namespace image::erofs {

using base::Bytes;
using base::ByteView;
using base::fail;
using base::Kind;
using base::load_le;
using base::MutableByteView;
using base::Result;

namespace {

std::optional<FileType> type_of(std::uint16_t mode) {
  switch (mode & 0170000) {
    case 0100000:
      return FileType::regular;
    case 0040000:
      return FileType::directory;
    case 0120000:
      return FileType::symlink;
    case 0020000:
      return FileType::character_device;
    case 0060000:
      return FileType::block_device;
    case 0010000:
      return FileType::fifo;
    case 0140000:
      return FileType::socket;
    default:
      return std::nullopt;
  }
}

class InodeParser {
 public:
  InodeParser(const base::BlockDevice& image, const SuperblockInfo& superblock, std::uint64_t& xattr_bytes_left)
      : image_(image), superblock_(superblock), xattr_bytes_left_(xattr_bytes_left) {}

  Result<DiskInode> parse(std::uint64_t nid) {
    found_.nid = nid;
    if (nid > superblock_.size_bytes() / inode_slot) return fail(Kind::corrupt, "it lies outside of the image");
    const std::uint64_t at = superblock_.metadata_block * block_size + nid * inode_slot;
    std::array<std::byte, extended_inode_size> raw{};
    TRY_DO(read(at, MutableByteView(raw).first(compact_inode_size)));
    const auto format = load_le<std::uint16_t>(raw.data());
    const bool extended = (format & extended_inode_bit) != 0;
    if (extended) TRY_DO(read(at, raw));
    if (format >> 4 != 0) return fail(Kind::unsupported, fmt::format("its format is {:#x}", format));
    found_.layout = format >> 1;

    const auto mode = load_le<std::uint16_t>(&raw[4]);
    const auto type = type_of(mode);
    if (!type) return fail(Kind::corrupt, fmt::format("it has mode {:#o}", mode));
    Inode& inode = found_.inode;
    inode.type = *type;
    inode.permissions = mode & 07777;
    inode.uid = extended ? load_le<std::uint32_t>(&raw[24]) : load_le<std::uint16_t>(&raw[24]);
    inode.gid = extended ? load_le<std::uint32_t>(&raw[28]) : load_le<std::uint16_t>(&raw[26]);
    found_.flat.size = extended ? load_le<std::uint64_t>(&raw[8]) : load_le<std::uint32_t>(&raw[8]);
    found_.number = load_le<std::uint32_t>(&raw[20]);
    found_.data_word = load_le<std::uint32_t>(&raw[16]);
    found_.body_end = at + (extended ? extended_inode_size : compact_inode_size);
    TRY_DO(read_xattrs(load_le<std::uint16_t>(&raw[2])));
    TRY_DO(place_data());
    return std::move(found_);
  }

 private:
  Result<> read(std::uint64_t at, MutableByteView into) const { return read_within(image_, superblock_, at, into); }

  Result<> add_xattr(XattrOnDisk xattr) {
    const std::uint64_t takes = xattr.name.size() + xattr.value.size();
    if (takes > xattr_bytes_left_) return fail(Kind::corrupt, "attributes take more room than there is in the image");
    xattr_bytes_left_ -= takes;
    const auto [at, fresh] = found_.inode.xattrs.emplace(std::move(xattr.name), std::move(xattr.value));
    if (!fresh) return fail(Kind::corrupt, "it has the extended attribute " + at->first + " twice");
    return base::ok();
  }

  Result<> read_xattrs(std::uint16_t units) {
    if (units == 0) return base::ok();
    Bytes body(xattr_header_size + std::size_t{4} * (units - 1U));
    TRY_DO(read(found_.body_end, body));
    found_.body_end += body.size();
    const auto shared = std::to_integer<std::size_t>(body[4]);
    ByteView rest = ByteView(body).subspan(xattr_header_size);
    if (shared * 4 > rest.size()) return fail(Kind::corrupt, "its list of shared attributes is cut short");
    for (std::size_t i = 0; i < shared; ++i) TRY_DO(read_shared_xattr(load_le<std::uint32_t>(&rest[i * 4])));
    for (rest = rest.subspan(shared * 4); !rest.empty();) {
      // mkfs.erofs may leave zeros behind the last one.
      if (std::ranges::all_of(rest.first(4), [](std::byte byte) { return byte == std::byte{0}; })) break;
      TRY(XattrOnDisk xattr, read_xattr(rest));
      rest = rest.subspan(xattr.size_bytes);
      TRY_DO(add_xattr(std::move(xattr)));
    }
    return base::ok();
  }

  Result<> read_shared_xattr(std::uint32_t number) {
    const std::uint64_t at = superblock_.shared_xattrs_block * block_size + std::uint64_t{number} * 4;
    std::array<std::byte, xattr_entry_size> header{};
    TRY_DO(read(at, header));
    Bytes whole(xattr_entry_size + std::to_integer<std::size_t>(header[0]) + load_le<std::uint16_t>(&header[2]));
    TRY_DO(read(at, whole));
    TRY(XattrOnDisk xattr, read_xattr(whole));
    return add_xattr(std::move(xattr));
  }

  Result<> place_data() {
    Inode& inode = found_.inode;
    switch (inode.type) {
      case FileType::character_device:
      case FileType::block_device:  // Linux, include/linux/kdev_t.h, new_decode_dev()
        inode.device_major = (found_.data_word & 0xfff00) >> 8;
        inode.device_minor = (found_.data_word & 0xff) | ((found_.data_word >> 12) & 0xfff00);
        return base::ok();
      case FileType::fifo:
      case FileType::socket:
        return base::ok();
      default:
        break;
    }
    if (inode.type == FileType::regular) inode.size = found_.flat.size;
    if (found_.flat.size == 0) {
      found_.layout = layout_plain;
      return base::ok();
    }
    if (found_.layout == layout_plain || found_.layout == layout_inline) return place_flat();
    return fail(Kind::unsupported, fmt::format("its data has layout {}", found_.layout));
  }

  Result<> place_flat() {
    FlatData& flat = found_.flat;
    const std::uint64_t whole = flat.whole_blocks_size();
    const std::uint64_t tail = flat.size - whole;
    flat.blocks_at = std::uint64_t{found_.data_word} * block_size;
    flat.tail_at = found_.layout == layout_inline ? found_.body_end : flat.blocks_at + whole;
    if (found_.layout == layout_inline && found_.body_end % block_size + tail > block_size) {
      return fail(Kind::corrupt, "its last bytes leave their block");
    }
    const std::uint64_t in_blocks = found_.layout == layout_inline ? whole : flat.size;
    const std::uint64_t size = superblock_.size_bytes();
    const bool blocks_fit = in_blocks == 0 || (flat.blocks_at <= size && in_blocks <= size - flat.blocks_at);
    if (!blocks_fit || flat.tail_at + tail > size) {
      return fail(Kind::corrupt, fmt::format("its {} bytes do not fit into the image", flat.size));
    }
    return base::ok();
  }

  const base::BlockDevice& image_;
  const SuperblockInfo& superblock_;
  std::uint64_t& xattr_bytes_left_;
  DiskInode found_;
};

}  // namespace

Result<> FlatData::read(const base::BlockDevice& image, std::uint64_t offset, MutableByteView into) const {
  const std::uint64_t whole = whole_blocks_size();
  const std::size_t first = offset < whole ? std::min<std::uint64_t>(into.size(), whole - offset) : 0;
  if (first > 0) TRY_DO(image.read(blocks_at + offset, into.first(first)));
  if (first == into.size()) return base::ok();
  return image.read(tail_at + (offset + first - whole), into.subspan(first));
}

Result<DiskInode> read_inode(const base::BlockDevice& image, const SuperblockInfo& superblock, std::uint64_t nid,
                             std::uint64_t& xattr_bytes_left) {
  return InodeParser(image, superblock, xattr_bytes_left).parse(nid);
}

Result<> read_within(const base::BlockDevice& image, const SuperblockInfo& superblock, std::uint64_t offset,
                     MutableByteView into) {
  const std::uint64_t size = superblock.size_bytes();
  if (offset > size || into.size() > size - offset) {
    return fail(Kind::corrupt, fmt::format("byte {} is outside of the image", offset));
  }
  return image.read(offset, into);
}

}  // namespace image::erofs
