#pragma once

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/block_device.hpp"
#include "image/erofs/reader.hpp"
#include "image/erofs/writer.hpp"
#include "image/file_tree.hpp"
#include "tests/support/matchers.hpp"
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
      if (have > 0) std::memcpy(into.data(), left_.data(), have);
      if (have < into.size()) std::memset(&into[have], 0, into.size() - have);
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
    // Each byte equals the one before it, and the first is zero. (memcmp, for 4 GiB pass here without optimization.)
    const bool zero = bytes[0] == std::byte{0} && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
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

using image::SourcedTree;

inline base::Result<SourcedTree> read_file_image(const std::string& path) {
  TRY(std::shared_ptr<const base::BlockDevice> device, base::FileDevice::open(path, base::Access::read_only));
  return image::erofs::read_image(std::move(device));
}

/// The whole of a content, in pieces that meet no boundary of blocks.
inline Bytes content_of(const SourcedTree& source, const Inode& inode) {
  Bytes bytes(inode.size);
  auto reader = source.contents->open(inode.content);
  EXPECT_THAT(reader, support::Succeeds());
  for (std::size_t at = 0; reader && at < bytes.size();) {
    const std::size_t now = std::min<std::size_t>(5003, bytes.size() - at);
    EXPECT_THAT((*reader)->read(base::MutableByteView(bytes).subspan(at, now)), support::Succeeds());
    at += now;
  }
  return bytes;
}

inline void describe(const SourcedTree& source, image::InodeIndex index, const std::string& path, std::string& to) {
  const Inode& inode = source.tree.inodes[index];
  to += fmt::format("{} {} {:o} {} {} {} {}:{}", path, static_cast<int>(inode.type), inode.permissions, inode.uid,
                    inode.gid, inode.target, inode.device_major, inode.device_minor);
  if (inode.size > 0) {
    const Bytes content = content_of(source, inode);
    to += fmt::format(" {} bytes {:x}", content.size(), std::hash<std::string_view>()(base::text_of(content)));
  }
  for (const auto& [name, value] : inode.xattrs) to += " " + name + "=" + base::to_hex(value);
  to += "\n";
  for (const image::DirectoryEntry& entry : inode.entries) describe(source, entry.inode, path + "/" + entry.name, to);
}

/// Everything that a tree says, as text to compare.
inline std::string describe(const SourcedTree& source) {
  std::string text;
  describe(source, 0, "", text);
  return text;
}

inline SourcedTree everything() {
  return {one_of_everything(), std::make_unique<MemoryContents>(contents_of_everything())};
}

/// Directories in directories, hard links, contents in common, sizes around a block.
inline SourcedTree deep_tree() {
  FileTree tree;
  tree.inodes = {Inode{.type = FileType::directory, .permissions = 0755, .entries = {{"a", 1}, {"linked", 3}}},
                 Inode{.type = FileType::directory, .permissions = 0700, .entries = {{"b", 2}, {"linked-too", 3}}},
                 Inode{.type = FileType::directory, .permissions = 01777}, Inode{.permissions = 0644, .size = 3}};
  std::vector<Bytes> contents = {support::pattern(3)};
  for (const std::size_t size : {1U, 4031U, 4064U, 4065U, 4095U, 4096U, 4097U, 65535U, 65536U, 65537U, 300001U}) {
    for (const char* name : {"copy", "file"}) {
      tree.inodes[2].entries.push_back(
          {fmt::format("{}-{}", name, size), static_cast<image::InodeIndex>(tree.inodes.size())});
      tree.inodes.push_back(Inode{.permissions = 0644, .uid = 7, .size = size, .content = contents.size()});
    }
    contents.push_back(support::pattern(size, size));
  }
  tree.inodes.back().xattrs = {{"user.note", support::pattern(4000)}};  // no room for a tail behind it
  std::ranges::sort(tree.inodes[2].entries, {}, &image::DirectoryEntry::name);
  return {std::move(tree), std::make_unique<MemoryContents>(std::move(contents))};
}

inline base::Result<image::erofs::Composed> compose_to(const std::string& path, const SourcedTree& source,
                                                       image::erofs::Options options = {}) {
  SparseSink sink(path);
  options.time = 1700000000;
  options.volume_name = "fifteen bytes..";
  return image::erofs::compose(source.tree, *source.contents, options, sink);
}

}  // namespace erofs_data
