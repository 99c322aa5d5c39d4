#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/block_device.hpp"
#include "image/erofs/writer.hpp"
#include "image/file_tree.hpp"
#include "tests/support/pattern.hpp"

/// Trees from memory and images of them, for the tests of EROFS.
namespace erofs_data {

using base::Bytes;
using base::ByteView;
using image::FileTree;
using image::FileType;
using image::Inode;

/// Contents from memory; one without bytes of its own is zeros.
class MemoryContents final : public image::ContentSource {
 public:
  explicit MemoryContents(std::vector<Bytes> contents) : contents_(std::move(contents)) {}
  base::Result<std::unique_ptr<image::ContentReader>> open(image::ContentId content) const override {
    return std::make_unique<Reader>(contents_.at(content));
  }

 private:
  class Reader final : public image::ContentReader {
   public:
    explicit Reader(ByteView left) : left_(left) {}
    base::Result<> read(base::MutableByteView into) override {
      const std::size_t have = std::min(into.size(), left_.size());
      std::ranges::copy(left_.first(have), into.begin());
      std::ranges::fill(into.subspan(have), std::byte{0});
      left_ = left_.subspan(have);
      return base::ok();
    }

   private:
    ByteView left_;
  };
  std::vector<Bytes> contents_;
};

/// A file with holes where the image is zero.
class SparseSink final : public image::erofs::ImageSink {
 public:
  explicit SparseSink(std::string path) : path_(std::move(path)) {}
  base::Result<> begin(std::uint64_t size_bytes) override {
    TRY(device_, base::FileDevice::create(path_, size_bytes));
    return base::ok();
  }
  base::Result<> append(ByteView bytes) override {
    const bool zero = std::ranges::all_of(bytes, [](std::byte byte) { return byte == std::byte{0}; });
    if (!zero) TRY_DO(device_->write(written_, bytes));
    written_ += bytes.size();
    return base::ok();
  }

 private:
  std::string path_;
  std::unique_ptr<base::FileDevice> device_;
  std::uint64_t written_ = 0;
};

inline base::Result<image::erofs::Composed> compose_to(const std::string& path, const FileTree& tree,
                                                       std::vector<Bytes> contents) {
  SparseSink sink(path);
  return image::erofs::compose(tree, MemoryContents(std::move(contents)), {}, sink);
}

/// One of everything that a tree can hold.
inline FileTree one_of_everything() {
  FileTree tree;
  const std::map<std::string, Bytes> common = {{"user.common", support::pattern(20)}};
  const auto file = [](std::uint64_t size, image::ContentId content) {
    return Inode{.permissions = 0644, .uid = 1000, .gid = 100, .size = size, .content = content};
  };
  tree.inodes.push_back({.type = FileType::directory, .permissions = 0755});
  std::vector<std::pair<std::string, Inode>> children = {
      {"block",
       {.type = FileType::block_device, .permissions = 0660, .gid = 6, .device_major = 259, .device_minor = 70000}},
      {"char", {.type = FileType::character_device, .permissions = 0666, .device_major = 1, .device_minor = 3}},
      {"fifo", {.type = FileType::fifo, .permissions = 0600}},
      {"file", file(10000, 0)},
      {"high-owner", {.permissions = 0600, .uid = 100000, .gid = 4000000000}},
      {"link", {.type = FileType::symlink, .permissions = 0777, .target = "file"}},
      {"ping", file(5000, 1)},
      {"socket", {.type = FileType::socket, .permissions = 0600}},
      {"xattrs-1", file(3, 2)},
      {"xattrs-2", file(4097, 3)},
  };
  children[6].second.xattrs = {{"security.capability", support::pattern(20, 3)}};
  children[8].second.xattrs = common;
  children[9].second.xattrs = common;
  children[9].second.xattrs.emplace("user.large", support::pattern(5000));
  for (auto& [name, inode] : children) {
    tree.inodes[0].entries.push_back({name, static_cast<image::InodeIndex>(tree.inodes.size())});
    tree.inodes.push_back(std::move(inode));
  }
  return tree;
}

inline std::vector<Bytes> contents_of_everything() {
  return {support::pattern(10000, 1), support::pattern(5000, 2), support::pattern(3, 3), support::pattern(4097, 4)};
}

}  // namespace erofs_data
