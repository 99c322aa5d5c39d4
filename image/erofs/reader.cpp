#include "image/erofs/reader.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "image/erofs/compressed_reader.hpp"
#include "image/erofs/directory_block.hpp"
#include "image/erofs/format.hpp"
#include "image/erofs/inode_reader.hpp"

namespace image::erofs {

using base::Bytes;
using base::ByteView;
using base::fail;
using base::Kind;
using base::MutableByteView;
using base::Result;

namespace {

constexpr std::uint64_t max_link_target = 4095;  // PATH_MAX less its NUL
constexpr std::uint64_t max_path = 4095;
constexpr const char* own_bytes = "directories, links and indexes";

using Image = std::shared_ptr<const base::BlockDevice>;

class FlatReader final : public ContentReader {
 public:
  FlatReader(Image image, const FlatData& data) : image_(std::move(image)), data_(data) {}
  Result<> read(MutableByteView into) override {
    if (into.size() > data_.size - offset_) return fail(Kind::corrupt, "the content ends before its file");
    TRY_DO(data_.read(*image_, offset_, into));
    offset_ += into.size();
    return base::ok();
  }

 private:
  Image image_;
  FlatData data_;
  std::uint64_t offset_ = 0;
};

using Data = std::variant<FlatData, CompressedData>;

class ImageContents final : public ContentSource {
 public:
  ImageContents(Image image, SuperblockInfo superblock, std::vector<Data> contents)
      : image_(std::move(image)), superblock_(std::move(superblock)), contents_(std::move(contents)) {}
  Result<std::unique_ptr<ContentReader>> open(ContentId content) const override {
    const Data& data = contents_.at(content);
    if (const auto* const flat = std::get_if<FlatData>(&data)) return std::make_unique<FlatReader>(image_, *flat);
    return open_compressed(image_, superblock_, std::get<CompressedData>(data));
  }

 private:
  Image image_;
  SuperblockInfo superblock_;
  std::vector<Data> contents_;  // by ContentId
};

/// Walks from the root down; each directory is read once.
class TreeReader {
 public:
  TreeReader(Image image, const SuperblockInfo& superblock)
      : image_(std::move(image)),
        superblock_(superblock),
        own_bytes_left_(superblock.size_bytes()),
        path_bytes_left_(superblock.size_bytes() + (std::uint64_t{64} << 20)),
        xattr_bytes_left_((superblock.size_bytes() + block_size) * 16) {}

  Result<SourcedTree> read() {
    TRY_DO(take(superblock_.root_nid, superblock_.root_nid, "/"));
    while (!to_visit_.empty()) {
      const Directory directory = std::move(to_visit_.back());
      to_visit_.pop_back();
      TRY_DO(read_directory(directory), frame_of(directory.nid, directory.path));
    }
    put_into_order();
    if (auto sound = check(tree_); !sound) return fail(Kind::corrupt, sound.error().message());
    return SourcedTree{std::move(tree_),
                       std::make_unique<ImageContents>(std::move(image_), superblock_, std::move(contents_))};
  }

 private:
  struct Directory {
    InodeIndex index;
    std::uint64_t nid;
    std::uint64_t parent;
    std::string path;
    FlatData data;
  };

  using Place = std::tuple<bool, std::uint64_t, std::uint64_t>;  // compressed, where it begins, size

  static std::string frame_of(std::uint64_t nid, const std::string& path) {
    return fmt::format("{} (inode {})", path, nid);
  }

  /// The inode `nid`, which stands at `path` in the directory `parent`; where it is new, it becomes one of the tree's.
  Result<InodeIndex> take(std::uint64_t nid, std::uint64_t parent, const std::string& path) {
    const auto index = static_cast<InodeIndex>(tree_.inodes.size());
    const auto [known, fresh] = known_.emplace(nid, index);
    if (!fresh) {
      if (tree_.inodes[known->second].type != FileType::directory) return known->second;
      return fail(Kind::corrupt, frame_of(nid, path) + ": the directory stands in another place too");
    }
    TRY(DiskInode disk, read_inode(*image_, superblock_, nid, xattr_bytes_left_), frame_of(nid, path));
    TRY_DO(add_data(disk, parent, path), frame_of(nid, path));
    numbers_.push_back(disk.number);
    tree_.inodes.push_back(std::move(disk.inode));
    return index;
  }

  Result<> add_data(DiskInode& disk, std::uint64_t parent, const std::string& path) {
    const FileType type = disk.inode.type;
    if (type == FileType::symlink) return read_target(disk);
    if (type == FileType::regular && disk.inode.size > 0) {
      TRY(disk.inode.content, content_of(disk));
    }
    if (type == FileType::directory) {
      TRY_DO(take_room(own_bytes_left_, disk.flat.size, own_bytes));
      TRY_DO(take_room(path_bytes_left_, path.size(), "the paths of directories"));
      if (path.size() > max_path) return fail(Kind::corrupt, "the path is longer than 4095 bytes");
      to_visit_.push_back({static_cast<InodeIndex>(tree_.inodes.size()), disk.nid, parent, path, disk.flat});
    }
    return base::ok();
  }

  static Result<> take_room(std::uint64_t& left, std::uint64_t bytes, const char* what) {
    if (bytes > left) return fail(Kind::corrupt, fmt::format("{} take more room than such an image can need", what));
    left -= bytes;
    return base::ok();
  }

  Result<> read_target(DiskInode& disk) {
    const std::uint64_t size = disk.flat.size;
    if (size == 0 || size > max_link_target) {
      return fail(Kind::corrupt, fmt::format("a link to a path of {} bytes", size));
    }
    TRY_DO(take_room(own_bytes_left_, size, own_bytes));
    disk.inode.target.resize(size);
    TRY_DO(disk.flat.read(*image_, 0, std::as_writable_bytes(std::span(disk.inode.target))));
    if (disk.inode.target.find('\0') != std::string::npos) return fail(Kind::corrupt, "a link to a path with a NUL");
    return base::ok();
  }

  /// One content for all files of one size whose data begins at one place, if what need not be there is equal too.
  Result<ContentId> content_of(const DiskInode& disk) {
    TRY(const Data data, data_of(disk));
    const ContentId fresh = contents_.size();
    TRY(const std::optional<Place> place, place_of(data));
    if (place) {
      const auto [known, is_new] = by_place_.emplace(*place, fresh);
      if (!is_new) {
        TRY(const bool same, same_content(contents_[known->second], data));
        if (same) return known->second;
      }
    }
    contents_.push_back(data);
    return fresh;
  }

  Result<Data> data_of(const DiskInode& disk) {
    if (disk.layout == layout_plain || disk.layout == layout_inline) return disk.flat;
    TRY(const CompressedData data, read_index_header(*image_, superblock_, disk.layout, disk.flat.size, disk.body_end));
    TRY_DO(take_room(own_bytes_left_, data.index_size(), own_bytes));
    return data;
  }

  /// Files of one content are in one place; not the other way round. Nothing: the data is the inode's own.
  Result<std::optional<Place>> place_of(const Data& data) const {
    if (const auto* const flat = std::get_if<FlatData>(&data)) {
      const bool has_blocks = flat->whole_blocks_size() > 0 || flat->tail_at == flat->blocks_at;
      if (!has_blocks) return std::nullopt;
      return Place{false, flat->blocks_at, flat->size};
    }
    const auto& compressed = std::get<CompressedData>(data);
    std::array<std::byte, 4> first_block{};  // both kinds of index begin with the first cluster's
    TRY_DO(read_within(*image_, superblock_, compressed.index_at + 4, first_block));
    return Place{true, base::load_le<std::uint32_t>(first_block.data()), compressed.size};
  }

  Result<bool> same_content(const Data& a, const Data& b) const {
    if (const auto* const flat = std::get_if<FlatData>(&a)) return same_tail(*flat, std::get<FlatData>(b));
    return same_index(std::get<CompressedData>(a), std::get<CompressedData>(b));
  }

  Result<bool> same_index(const CompressedData& a, const CompressedData& b) const {
    const auto form = [](const CompressedData& data) {
      return std::tuple(data.compact, data.two_bytes, data.big_clusters, data.index_size());
    };
    if (form(a) != form(b) || (a.compact && a.index_at % 32 != b.index_at % 32)) return false;
    Bytes part_a(block_size);
    Bytes part_b(block_size);
    for (std::uint64_t at = 0; at < a.index_size(); at += part_a.size()) {
      const std::size_t size = std::min<std::uint64_t>(block_size, a.index_size() - at);
      part_a.resize(size);
      part_b.resize(size);
      TRY_DO(read_within(*image_, superblock_, a.index_at + at, part_a));
      TRY_DO(read_within(*image_, superblock_, b.index_at + at, part_b));
      if (part_a != part_b) return false;
    }
    return true;
  }

  Result<bool> same_tail(const FlatData& a, const FlatData& b) const {
    if (a.tail_at == b.tail_at) return true;
    Bytes tail_a(a.size % block_size);
    Bytes tail_b(tail_a.size());
    TRY_DO(a.read(*image_, a.whole_blocks_size(), tail_a));
    TRY_DO(b.read(*image_, b.whole_blocks_size(), tail_b));
    return tail_a == tail_b;
  }

  Result<> read_directory(const Directory& directory) {
    Bytes block(block_size);
    std::vector<DirectoryEntry> entries;
    bool has_itself = false;
    bool has_parent = false;
    for (std::uint64_t at = 0; at < directory.data.size; at += block_size) {
      const MutableByteView part =
          MutableByteView(block).first(std::min<std::uint64_t>(block_size, directory.data.size - at));
      TRY_DO(directory.data.read(*image_, at, part));
      TRY(const std::vector<EntryOnDisk> found, read_directory_block(part));
      for (const EntryOnDisk& entry : found) {
        if (entry.name == ".") {
          has_itself = entry.nid == directory.nid;
        } else if (entry.name == "..") {
          has_parent = entry.nid == directory.parent;
        } else {
          TRY(DirectoryEntry taken, take_entry(directory, entry));
          entries.push_back(std::move(taken));
        }
      }
    }
    if (!has_itself || !has_parent)
      return fail(Kind::corrupt, R"(it does not know itself as "." and what it is in as "..")");
    tree_.inodes[directory.index].entries = std::move(entries);
    return base::ok();
  }

  Result<DirectoryEntry> take_entry(const Directory& directory, const EntryOnDisk& entry) {
    const std::string path = (directory.path == "/" ? "" : directory.path) + "/" + std::string(entry.name);
    TRY(const InodeIndex index, take(entry.nid, directory.nid, path));
    if (tree_.inodes[index].type != entry.type) {
      return fail(Kind::corrupt, fmt::format("\"{}\" is of another type than its inode", entry.name));
    }
    return DirectoryEntry{std::string(entry.name), index};
  }

  /// Numbers the inodes as the image does, if it has them as compose() would.
  void put_into_order() {
    const std::size_t count = tree_.inodes.size();
    std::vector<InodeIndex> at_number(count, static_cast<InodeIndex>(count));
    for (InodeIndex i = 0; i < count; ++i) {
      const std::uint32_t number = numbers_[i];
      if (number == 0 || number > count || at_number[number - 1] != count || (i == 0 && number != 1)) return;
      at_number[number - 1] = i;
    }
    std::vector<Inode> ordered;
    ordered.reserve(count);
    for (const InodeIndex i : at_number) ordered.push_back(std::move(tree_.inodes[i]));
    for (Inode& inode : ordered) {
      for (DirectoryEntry& entry : inode.entries) entry.inode = numbers_[entry.inode] - 1;
    }
    tree_.inodes = std::move(ordered);
  }

  Image image_;
  const SuperblockInfo& superblock_;
  // What a hostile image may not multiply. No two directories, links or indexes have bytes in common; attributes do.
  std::uint64_t own_bytes_left_;
  std::uint64_t path_bytes_left_;
  std::uint64_t xattr_bytes_left_;
  FileTree tree_;
  std::vector<std::uint32_t> numbers_;         // by InodeIndex: the image's own
  std::map<std::uint64_t, InodeIndex> known_;  // by nid
  std::vector<Directory> to_visit_;
  std::vector<Data> contents_;
  std::map<Place, ContentId> by_place_;
};

}  // namespace

Result<SourcedTree> read_image(std::shared_ptr<const base::BlockDevice> image) {
  TRY(const SuperblockInfo superblock, read_superblock(*image));
  const std::string name = image->name();
  auto tree = TreeReader(std::move(image), superblock).read();
  if (!tree) return std::unexpected(std::move(tree).error().while_doing("reading " + name));
  return tree;
}

}  // namespace image::erofs
