#include "image/erofs/compressed_reader.hpp"

#include <lz4.h>

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "image/erofs/format.hpp"
#include "image/erofs/inode_reader.hpp"

namespace image::erofs {

using base::Bytes;
using base::ByteView;
using base::divide_rounding_up;
using base::fail;
using base::Kind;
using base::load_le;
using base::MutableByteView;
using base::Result;

namespace {

constexpr std::uint16_t advise_known = advise_two_byte_indexes | advise_big_clusters | advise_big_second_clusters;

/// What the index says of 4096 bytes of a file.
struct Entry {
  IndexType type = IndexType::plain;
  std::uint32_t within = 0;  // a cluster that begins: at which of the 4096 bytes
  std::uint64_t block = 0;   // ... and where its blocks begin
  std::uint32_t blocks = 0;  // inside of a cluster: how many blocks that has; 0 where it is not said
};

/// Compact entries lie in packs: values of 14 or 16 bits, then the block before that of the pack's first cluster.
struct Pack {
  std::uint64_t at;  // bytes from the beginning of the image
  unsigned count;    // entries
  unsigned size;     // bytes
  unsigned number;   // of the entry asked for, within the pack

  unsigned bits() const { return (size - 4) * 8 / count; }
};

class Index {
 public:
  Index(const base::BlockDevice& image, const SuperblockInfo& superblock, const CompressedData& data)
      : image_(image), superblock_(superblock), data_(data) {}

  std::uint64_t count() const { return divide_rounding_up(data_.size, block_size); }
  Result<Entry> entry(std::uint64_t number) { return data_.compact ? compact_entry(number) : full_entry(number); }

 private:
  Result<Entry> full_entry(std::uint64_t number) {
    TRY(const std::byte* const raw, at(data_.index_at + number * full_index_size));
    Entry entry;
    entry.type = static_cast<IndexType>(load_le<std::uint16_t>(raw) & 3);
    if (entry.type == IndexType::inside) {
      const auto distance = load_le<std::uint16_t>(raw + 4);
      if ((distance & cluster_blocks_flag) != 0) entry.blocks = distance & (cluster_blocks_flag - 1U);
    } else {
      entry.within = load_le<std::uint16_t>(raw + 2);
      entry.block = load_le<std::uint32_t>(raw + 4);
    }
    return entry;
  }

  Pack pack_of(std::uint64_t number) const {
    // Entries of 4 bytes come first, until the address is a multiple of 32; then 16 of 2 at a time; then 4 bytes again.
    const std::uint64_t first = (32 - data_.index_at % 32) / 4 % 8;
    const std::uint64_t twos = data_.two_bytes && first < count() ? (count() - first) / 16 * 16 : 0;
    if (number >= first && number < first + twos) {
      const std::uint64_t rest = number - first;
      return {data_.index_at + first * 4 + rest / 16 * 32, 16, 32, static_cast<unsigned>(rest % 16)};
    }
    const std::uint64_t before = number < first ? 0 : first + twos;
    const std::uint64_t start = number < first ? data_.index_at : data_.index_at + first * 4 + twos * 2;
    return {start + (number - before) / 2 * 8, 2, 8, static_cast<unsigned>((number - before) % 2)};
  }

  Result<Entry> compact_entry(std::uint64_t number) {
    const Pack pack = pack_of(number);
    TRY(const std::byte* const raw, at(pack.at));
    const auto value = [&](unsigned i) {
      const unsigned bit = i * pack.bits();
      std::array<std::byte, 4> bytes{};  // the last value ends where the block number begins
      std::copy_n(raw + bit / 8, std::min(4U, pack.size - bit / 8), bytes.begin());
      return (load_le<std::uint32_t>(bytes.data()) >> (bit % 8)) & 0x3fff;
    };
    const auto type = [&](unsigned i) { return static_cast<IndexType>(value(i) >> block_bits); };
    const auto low = [&](unsigned i) { return value(i) & (block_size - 1); };
    const auto blocks = [&](unsigned i) {
      const bool said = data_.big_clusters && type(i) == IndexType::inside && (low(i) & cluster_blocks_flag) != 0;
      return said ? low(i) & (cluster_blocks_flag - 1U) : 0U;
    };
    Entry entry{.type = type(pack.number)};
    if (entry.type == IndexType::inside) {
      entry.blocks = blocks(pack.number);
      return entry;
    }
    entry.within = low(pack.number);
    // With clusters of one block the number in the pack is that of the block before.
    std::uint64_t before = data_.big_clusters ? 0 : 1;
    for (unsigned i = 0; i < pack.number; ++i) {
      const bool counted_by_the_next = i + 1 < pack.number && blocks(i + 1) > 0;
      before += type(i) == IndexType::inside ? blocks(i) : (counted_by_the_next ? 0U : 1U);
    }
    entry.block = load_le<std::uint32_t>(raw + pack.size - 4) + before;
    return entry;
  }

  /// The bytes from `offset` to the end of its block; neither entries nor packs lie in two.
  Result<const std::byte*> at(std::uint64_t offset) {
    const std::uint64_t block = offset / block_size;
    if (cached_block_ != block || cache_.empty()) {
      cache_.resize(block_size);
      TRY_DO(read_within(image_, superblock_, block * block_size, cache_));
      cached_block_ = block;
    }
    return &cache_[offset % block_size];
  }

  const base::BlockDevice& image_;
  const SuperblockInfo& superblock_;
  const CompressedData data_;
  Bytes cache_;
  std::uint64_t cached_block_ = 0;
};

class CompressedReader final : public ContentReader {
 public:
  CompressedReader(std::shared_ptr<const base::BlockDevice> image, SuperblockInfo superblock,
                   const CompressedData& data)
      : image_(std::move(image)),
        superblock_(std::move(superblock)),
        size_(data.size),
        index_(*image_, superblock_, data) {}

  Result<> read(MutableByteView into) override {
    while (!into.empty()) {
      if (given_ == cluster_.size()) TRY_DO(read_cluster());
      const std::size_t now = std::min(into.size(), cluster_.size() - given_);
      std::copy_n(cluster_.begin() + static_cast<std::ptrdiff_t>(given_), now, into.begin());
      given_ += now;
      into = into.subspan(now);
    }
    return base::ok();
  }

 private:
  /// Where a cluster lies, and where in the file the next one begins.
  struct Cluster {
    IndexType type = IndexType::plain;
    std::uint64_t block = 0;
    std::uint64_t blocks = 1;
    std::uint64_t end = 0;  // bytes of the file
    std::uint64_t next_entry = 0;
  };

  Result<Cluster> find_cluster() {
    if (begin_ >= size_) return fail(Kind::corrupt, "the content ends before its file");
    TRY(const Entry head, index_.entry(entry_));
    if (head.type == IndexType::inside || entry_ * block_size + head.within != begin_) {
      return fail(Kind::corrupt, fmt::format("no cluster begins at byte {} of a compressed file", begin_));
    }
    if (head.type == IndexType::compressed_by_second) {
      return fail(Kind::unsupported, "a file is compressed in two ways");
    }
    Cluster found{.type = head.type, .block = head.block, .end = size_, .next_entry = entry_ + 1};
    for (; found.next_entry < index_.count(); ++found.next_entry) {
      TRY(const Entry entry, index_.entry(found.next_entry));
      if (entry.type != IndexType::inside) {
        found.end = std::min(found.next_entry * block_size + entry.within, size_);
        break;
      }
      if (found.next_entry == entry_ + 1 && entry.blocks > 0 && found.type == IndexType::compressed) {
        found.blocks = entry.blocks;
      }
      if (found.next_entry - entry_ >= cluster_blocks_flag) {
        return fail(Kind::corrupt, fmt::format("the cluster at byte {} of a compressed file is too long", begin_));
      }
    }
    return found;
  }

  Result<> read_cluster() {
    TRY(const Cluster found, find_cluster());
    const std::string frame = fmt::format("the cluster at byte {} of a compressed file", begin_);
    if (found.end <= begin_ || found.blocks * block_size > max_cluster_size ||
        (found.type == IndexType::plain && found.end - begin_ > block_size)) {
      return fail(Kind::corrupt, frame + " has a size that cannot be");
    }
    Bytes raw(found.blocks * block_size);
    TRY_DO(read_within(*image_, superblock_, found.block * block_size, raw), frame);
    cluster_.resize(found.end - begin_);
    if (found.type == IndexType::plain) {
      std::copy_n(raw.begin(), cluster_.size(), cluster_.begin());
    } else {
      const auto data = std::ranges::find_if(raw, [](std::byte byte) { return byte != std::byte{0}; });
      const int made = LZ4_decompress_safe(reinterpret_cast<const char*>(raw.data()) + (data - raw.begin()),
                                           reinterpret_cast<char*>(cluster_.data()), static_cast<int>(raw.end() - data),
                                           static_cast<int>(cluster_.size()));
      if (made < 0 || static_cast<std::size_t>(made) != cluster_.size()) {
        return fail(Kind::corrupt, frame + " is no LZ4 data of its size");
      }
    }
    given_ = 0;
    begin_ = found.end;
    entry_ = found.end / block_size;
    return base::ok();
  }

  std::shared_ptr<const base::BlockDevice> image_;
  const SuperblockInfo superblock_;
  const std::uint64_t size_;
  Index index_;
  Bytes cluster_;  // of which `given_` bytes have been handed out
  std::size_t given_ = 0;
  std::uint64_t begin_ = 0;  // of the next cluster, bytes of the file
  std::uint64_t entry_ = 0;  // in which it begins
};

}  // namespace

std::uint64_t CompressedData::index_size() const {
  const std::uint64_t entries = divide_rounding_up(size, block_size);
  if (!compact) return entries * full_index_size;
  const std::uint64_t first = (32 - index_at % 32) / 4 % 8;
  const std::uint64_t twos = two_bytes && first < entries ? (entries - first) / 16 * 16 : 0;
  return divide_rounding_up(entries - twos, 2) * 8 + twos * 2;
}

Result<CompressedData> read_index_header(const base::BlockDevice& image, const SuperblockInfo& superblock,
                                         unsigned layout, std::uint64_t size, std::uint64_t body_end) {
  if ((superblock.incompatible_features & incompat_zero_padding) == 0) {
    return fail(Kind::unsupported, "its compressed data begins at the beginning of its blocks");
  }
  const std::uint64_t at = divide_rounding_up(body_end, 8) * 8;
  std::array<std::byte, map_header_size> header{};
  TRY_DO(read_within(image, superblock, at, header));
  CompressedData data{.size = size, .index_at = at + map_header_size, .compact = layout == layout_compressed_compact};
  if (!data.compact) data.index_at += full_index_padding;
  // Without big clusters, full indexes have no header.
  const bool has_header = data.compact || (superblock.incompatible_features & incompat_big_clusters) != 0;
  const auto advise = load_le<std::uint16_t>(&header[4]);
  if (has_header && ((advise & ~advise_known) != 0 || header[6] != std::byte{0} || header[7] != std::byte{0})) {
    return fail(Kind::unsupported,
                fmt::format("it is compressed in another way than plain LZ4: {:#x} {} {}", advise,
                            std::to_integer<unsigned>(header[6]), std::to_integer<unsigned>(header[7])));
  }
  data.two_bytes = data.compact && (advise & advise_two_byte_indexes) != 0;
  data.big_clusters = has_header && (advise & advise_big_clusters) != 0;
  if (size > superblock.size_bytes() * block_size || data.index_at > superblock.size_bytes() ||
      data.index_size() > superblock.size_bytes() - data.index_at) {
    return fail(Kind::corrupt, fmt::format("the index of its {} bytes leaves the image", size));
  }
  return data;
}

std::unique_ptr<ContentReader> open_compressed(std::shared_ptr<const base::BlockDevice> image,
                                               const SuperblockInfo& superblock, const CompressedData& data) {
  return std::make_unique<CompressedReader>(std::move(image), superblock, data);
}

}  // namespace image::erofs
