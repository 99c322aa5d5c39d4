#include <algorithm>
#include <memory>

#include "base/block_device.hpp"
#include "image/erofs/reader.hpp"
#include "tests/fuzz/fuzzer.hpp"

namespace {

constexpr std::size_t max_image = std::size_t{1} << 20;
constexpr std::uint64_t max_contents = std::uint64_t{4} << 20;  // bytes read of all contents together

/// Reads what is in the files, a bit of each at a time, until the budget is spent.
void read_contents(const image::SourcedTree& source) {
  base::Bytes piece(5000);
  std::uint64_t left = max_contents;
  for (const image::Inode& inode : source.tree.inodes) {
    if (inode.type != image::FileType::regular || inode.size == 0) continue;
    const auto reader = source.contents->open(inode.content);
    if (!reader) continue;
    for (std::uint64_t rest = std::min(inode.size, left); rest > 0;) {
      const std::size_t now = std::min<std::uint64_t>(piece.size(), rest);
      if (!(*reader)->read(base::MutableByteView(piece).first(now))) break;
      rest -= now;
      left -= now;
    }
  }
}

}  // namespace

/// Properties: a tree that was read is one that check() accepts, and each of its contents can be read or fails.
/// The checksum of the superblock is put right first: it stops accidents, and would stop the fuzzer.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > max_image) return 0;
  base::Bytes bytes(fuzz::view(data, size).begin(), fuzz::view(data, size).end());
  // Seeds are cut off behind their last byte that is not zero.
  bytes.resize(base::divide_rounding_up(std::max<std::size_t>(size, 1), image::erofs::block_size) *
               image::erofs::block_size);
  const base::ByteView first = base::ByteView(bytes).first(image::erofs::block_size);
  base::store_le(&bytes[image::erofs::superblock_checksum_offset], image::erofs::superblock_checksum(first));
  const auto source = image::erofs::read_image(std::make_shared<base::MemoryDevice>(std::move(bytes)));
  if (!source) return 0;
  fuzz::require(image::check(source->tree).has_value(), "the tree is sound");
  read_contents(*source);
  return 0;
}
