#include "image/erofs/directory_block.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "image/erofs/format.hpp"

namespace image::erofs {

using base::ByteView;
using base::fail;
using base::Kind;
using base::load_le;
using base::Result;

namespace {

constexpr std::array<std::pair<DirentType, FileType>, 7> types = {{
    {DirentType::regular, FileType::regular},
    {DirentType::directory, FileType::directory},
    {DirentType::character_device, FileType::character_device},
    {DirentType::block_device, FileType::block_device},
    {DirentType::fifo, FileType::fifo},
    {DirentType::socket, FileType::socket},
    {DirentType::symlink, FileType::symlink},
}};

}  // namespace

Result<std::vector<EntryOnDisk>> read_directory_block(ByteView block) {
  const auto name_offset = [&](std::size_t entry) {
    return std::size_t{load_le<std::uint16_t>(&block[entry * dirent_size + 8])};
  };
  if (block.size() < dirent_size) return fail(Kind::corrupt, "a directory block is cut short");
  const std::size_t names = name_offset(0);
  if (names < dirent_size || names % dirent_size != 0 || names > block.size()) {
    return fail(Kind::corrupt, "a directory block has its first name at byte " + std::to_string(names));
  }
  const std::size_t count = names / dirent_size;
  std::vector<EntryOnDisk> entries(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t begin = name_offset(i);
    const std::size_t end = i + 1 < count ? name_offset(i + 1) : block.size();
    if (begin < names || begin >= end || end > block.size()) {
      return fail(Kind::corrupt, "the names in a directory block do not follow each other");
    }
    std::string_view name = base::text_of(block.subspan(begin, end - begin));
    if (i + 1 == count) name = name.substr(0, name.find('\0'));  // the rest of a block is zeros
    const auto type = std::ranges::find(types, static_cast<DirentType>(block[i * dirent_size + 10]),
                                        &std::pair<DirentType, FileType>::first);
    if (type == types.end()) return fail(Kind::corrupt, "a directory entry is of no known type");
    entries[i] = {name, load_le<std::uint64_t>(&block[i * dirent_size]), type->second};
  }
  return entries;
}

}  // namespace image::erofs
