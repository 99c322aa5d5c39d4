// Judges: the tree that the image was made of, by our composer and by mkfs.erofs (Debian's erofs-utils).

#include <sys/stat.h>

#include <filesystem>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "image/directory_source.hpp"
#include "image/erofs/reader.hpp"
#include "tests/image/erofs_data.hpp"
#include "tests/support/files.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/pattern.hpp"
#include "tests/support/program.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

using base::Bytes;
using base::Kind;
using erofs_data::compose_to;
using image::FileTree;
using image::FileType;
using image::Inode;
using image::SourcedTree;
using support::FailsWith;
using support::Succeeds;
using testing::HasSubstr;

base::Result<SourcedTree> read_file_image(const std::string& path) {
  TRY(std::shared_ptr<const base::BlockDevice> device, base::FileDevice::open(path, base::Access::read_only));
  return image::erofs::read_image(std::move(device));
}

/// The whole of a content, in pieces that meet no boundary of blocks.
Bytes content_of(const SourcedTree& source, const Inode& inode) {
  Bytes bytes(inode.size);
  auto reader = source.contents->open(inode.content);
  EXPECT_THAT(reader, Succeeds());
  for (std::size_t at = 0; reader && at < bytes.size();) {
    const std::size_t now = std::min<std::size_t>(5003, bytes.size() - at);
    EXPECT_THAT((*reader)->read(base::MutableByteView(bytes).subspan(at, now)), Succeeds());
    at += now;
  }
  return bytes;
}

void describe(const SourcedTree& source, image::InodeIndex index, const std::string& path, std::string& to) {
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
std::string describe(const SourcedTree& source) {
  std::string text;
  describe(source, 0, "", text);
  return text;
}

SourcedTree everything() {
  return {erofs_data::one_of_everything(),
          std::make_unique<erofs_data::MemoryContents>(erofs_data::contents_of_everything())};
}

/// Directories in directories, hard links, contents in common, sizes around a block.
SourcedTree deep_tree() {
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
  return {std::move(tree), std::make_unique<erofs_data::MemoryContents>(std::move(contents))};
}

base::Result<image::erofs::Composed> compose_to(const std::string& path, const SourcedTree& source) {
  erofs_data::SparseSink sink(path);
  return image::erofs::compose(source.tree, *source.contents, {.time = 1700000000, .volume_name = "fifteen bytes.."},
                               sink);
}

TEST(ErofsReader, FindsWhatWasComposedAndComposesTheSameBytes) {
  const support::TemporaryDirectory directory;
  for (const SourcedTree& source : {everything(), deep_tree()}) {
    const std::string image = directory.path("image");
    ASSERT_THAT(compose_to(image, source), Succeeds());
    const auto read = read_file_image(image);
    ASSERT_THAT(read, Succeeds());
    EXPECT_EQ(describe(*read), describe(source));
    const std::string again = directory.path("again");
    ASSERT_THAT(compose_to(again, *read), Succeeds());
    EXPECT_TRUE(support::slurp(again) == support::slurp(image));
  }
}

TEST(ErofsReader, TellsWhatTheSuperblockSays) {
  const support::TemporaryDirectory directory;
  const std::string image = directory.path("image");
  ASSERT_THAT(compose_to(image, everything()), Succeeds());
  const auto device = base::FileDevice::open(image, base::Access::read_only);
  const auto info = image::erofs::read_superblock(**device);
  ASSERT_THAT(info, Succeeds());
  EXPECT_EQ(info->volume_name, "fifteen bytes..");
  EXPECT_EQ(info->time, 1700000000U);
  EXPECT_EQ(info->inodes, 11U);
  EXPECT_EQ(info->size_bytes(), std::filesystem::file_size(image));
}

class ErofsReaderOfMkfs : public testing::TestWithParam<std::vector<std::string>> {};

TEST_P(ErofsReaderOfMkfs, FindsTheDirectory) {
  const support::TemporaryDirectory directory;
  const std::string tree = directory.path("tree");
  std::filesystem::create_directories(tree + "/deep/deeper");
  for (const std::size_t size : {0U, 1U, 4000U, 4064U, 4095U, 4096U, 4097U, 8200U, 65536U, 200001U}) {
    directory.write(fmt::format("tree/deep/noise-{}", size), base::text_of(support::pattern(size, size)));
    std::string text;
    while (text.size() < size) text += fmt::format("line {} of a file that gets smaller\n", text.size() / 37);
    directory.write(fmt::format("tree/deep/deeper/text-{}", size), text.substr(0, size));
  }
  directory.write("tree/zeros", std::string(3 << 20, '\0'));
  for (int i = 0; i < 400; ++i) directory.write(fmt::format("tree/deep/{:020}", i), "");
  std::filesystem::create_hard_link(tree + "/zeros", tree + "/deep/zeros-too");
  std::filesystem::create_symlink(std::string(3000, 'x'), tree + "/link");
  ASSERT_EQ(::chmod((tree + "/zeros").c_str(), 04750), 0);

  const std::string image = directory.path("image");
  std::vector<std::string> command = {"mkfs.erofs", "--quiet"};
  command.insert(command.end(), GetParam().begin(), GetParam().end());
  command.insert(command.end(), {image, tree});
  const auto made = support::run_program(command);
  ASSERT_EQ(made.exit_status, 0) << made.errors;
  const auto read = read_file_image(image);
  ASSERT_THAT(read, Succeeds());
  EXPECT_EQ(describe(*read), describe(image::read_directory(tree).value()));
}

using Options = std::vector<std::string>;
INSTANTIATE_TEST_SUITE_P(Erofs, ErofsReaderOfMkfs,
                         testing::Values(Options{}, Options{"-T0"}, Options{"-Eforce-inode-extended"},
                                         Options{"-Enoinline_data"}));

/// An image that is wrong in one place.
struct Damage {
  const char* label;
  std::uint64_t at;
  Bytes bytes;
  Kind kind;
  const char* message;
};

template <class T>
Bytes little(T value) {
  Bytes bytes(sizeof value);
  base::store_le(bytes.data(), value);
  return bytes;
}

class DamagedErofs : public testing::Test {
 protected:
  DamagedErofs() {
    const std::string path = directory.path("image");
    EXPECT_THAT(compose_to(path, source), Succeeds());
    const std::string text = support::slurp(path);
    const base::ByteView view = base::bytes_of(text);
    good.assign(view.begin(), view.end());
    const auto info = image::erofs::read_superblock(base::MemoryDevice(good));
    root = info->metadata_block * 4096 + info->root_nid * 32;
  }

  /// Byte `at` of the root's entry `number`; 0 and 1 are "." and "..".
  std::uint64_t entry(std::size_t number, std::size_t at) const { return root + 32 + number * 12 + at; }
  /// Byte `at` of the inode that the root's entry `number` names.
  std::uint64_t inode(std::size_t number, std::size_t at) const {
    return root + base::load_le<std::uint64_t>(&good[entry(number, 0)]) * 32 + at;
  }

  void expect(const std::vector<Damage>& damages) const {
    for (const Damage& damage : damages) {
      SCOPED_TRACE(damage.label);
      Bytes bad = good;
      std::ranges::copy(damage.bytes, bad.begin() + static_cast<std::ptrdiff_t>(damage.at));
      base::store_le(&bad[1028], image::erofs::superblock_checksum(base::ByteView(bad).first(4096)));
      EXPECT_THAT(image::erofs::read_image(std::make_shared<base::MemoryDevice>(std::move(bad))),
                  FailsWith(damage.kind, HasSubstr(damage.message)));
    }
  }

  const support::TemporaryDirectory directory;
  const SourcedTree source = everything();
  Bytes good;
  std::uint64_t root = 0;
};

TEST_F(DamagedErofs, IsRefusedForItsSuperblock) {
  expect({
      {"magic", 1024, little(0xe0f5e1e3U), Kind::corrupt, "holds no EROFS image"},
      {"block size", 1036, {std::byte{16}}, Kind::unsupported, "blocks of 2^16 bytes"},
      {"root", 1038, little<std::uint16_t>(60000), Kind::corrupt, "/ (inode 60000): it lies outside of the image"},
      {"blocks", 1060, little(100000U), Kind::corrupt, "EROFS superblock says 409600000"},
      {"metadata", 1064, little(0xffffffffU), Kind::corrupt, "outside of the image"},
      {"features", 1104, little(0x84U), Kind::unsupported, "not known here: 0x84"},
  });
  Bytes bad = good;
  bad[1080] ^= std::byte{1};
  EXPECT_THAT(image::erofs::read_image(std::make_shared<base::MemoryDevice>(bad)),
              FailsWith(Kind::corrupt, HasSubstr("checksum")));
  bad.resize(4095);
  EXPECT_THAT(image::erofs::read_image(std::make_shared<base::MemoryDevice>(bad)),
              FailsWith(Kind::corrupt, HasSubstr("too short")));
}

TEST_F(DamagedErofs, IsRefusedForItsInodes) {
  // Entries of the root: . .. block char fifo file high-owner link ping socket xattrs-1 xattrs-2
  constexpr std::size_t file = 5;
  constexpr std::size_t link = 7;
  constexpr std::size_t shared = 10;
  constexpr std::size_t own = 8;
  expect({
      {"layout", root, little<std::uint16_t>(4 << 1), Kind::unsupported, "its data has layout 4"},
      {"format", root, little<std::uint16_t>(0x10), Kind::unsupported, "its format is 0x10"},
      {"mode", root + 4, little<std::uint16_t>(0170000), Kind::corrupt, "mode 0170000"},
      {"root is a file", root + 4, little<std::uint16_t>(0100644), Kind::corrupt, "needs a root directory"},
      {"directory too large", root + 8, little(4090U), Kind::corrupt, "its last bytes leave their block"},
      {"file beyond the image", inode(file, 16), little(0x7fffffffU), Kind::corrupt, "do not fit into the image"},
      {"file endless", inode(file, 8), little(0xfffff000U), Kind::corrupt, "/file (inode"},
      {"link to nothing", inode(link, 8), little(0U), Kind::corrupt, "a link to a path of 0 bytes"},
      {"link with a NUL", inode(link, 32), little<std::uint8_t>(0), Kind::corrupt, "with a NUL"},
      {"attributes endless", root + 2, little<std::uint16_t>(65535), Kind::corrupt, "outside of the image"},
      {"shared attributes cut short", inode(shared, 36), {std::byte{200}}, Kind::corrupt, "list of shared attributes"},
      {"shared attribute elsewhere", inode(shared, 44), little(0x3fffffffU), Kind::corrupt, "outside of the image"},
      {"prefix", inode(own, 45), {std::byte{99}}, Kind::unsupported, "prefix number 99"},
      {"attribute cut short", inode(own, 46), little<std::uint16_t>(60000), Kind::corrupt, "cut short"},
  });
}

TEST_F(DamagedErofs, IsRefusedForItsDirectories) {
  const auto names = base::load_le<std::uint16_t>(&good[entry(0, 8)]);
  const std::uint64_t name_of_block = root + 32 + names + 3;
  expect({
      {"first name", entry(0, 8), little<std::uint16_t>(13), Kind::corrupt, "first name at byte 13"},
      {"no entries", entry(0, 8), little<std::uint16_t>(0), Kind::corrupt, "first name at byte 0"},
      {"names outside", entry(0, 8), little<std::uint16_t>(60000), Kind::corrupt, "first name at byte 60000"},
      {"names backwards", entry(3, 8), little<std::uint16_t>(names), Kind::corrupt, "do not follow each other"},
      {"name outside", entry(11, 8), little<std::uint16_t>(60000), Kind::corrupt, "do not follow each other"},
      {"a slash", name_of_block, {std::byte{'/'}}, Kind::corrupt, "cannot be a file's name"},
      {"a NUL", name_of_block, {std::byte{0}}, Kind::corrupt, "cannot be a file's name"},
      {"order", name_of_block, {std::byte{'z'}}, Kind::corrupt, "bytewise order"},
      {"not itself", entry(0, 0), little(std::uint64_t{7}), Kind::corrupt, "does not know itself"},
      {"not its parent", entry(1, 0), little(std::uint64_t{7}), Kind::corrupt, "does not know itself"},
      {"type", entry(2, 10), {std::byte{9}}, Kind::corrupt, "of no known type"},
      {"another type", entry(2, 10), {std::byte{1}}, Kind::corrupt, "another type than its inode"},
      {"nowhere", entry(2, 0), little(~std::uint64_t{0}), Kind::corrupt, "/block (inode 18446744073709551615)"},
      {"a circle", entry(2, 0), little(std::uint64_t{0}), Kind::corrupt, "stands in another place too"},
  });
}

TEST(ErofsReader, RefusesADirectoryInTwoPlaces) {
  FileTree tree;
  tree.inodes = {Inode{.type = FileType::directory, .entries = {{"a", 1}, {"b", 2}}},
                 Inode{.type = FileType::directory}, Inode{.type = FileType::directory}};
  const support::TemporaryDirectory directory;
  const std::string path = directory.path("image");
  ASSERT_THAT(compose_to(path, tree, {}), Succeeds());
  const std::string text = support::slurp(path);
  Bytes image(base::bytes_of(text).begin(), base::bytes_of(text).end());
  const std::size_t root = 4096 + 32;
  std::ranges::copy(base::ByteView(image).subspan(root + 24, 8),
                    image.begin() + static_cast<std::ptrdiff_t>(root + 36));
  EXPECT_THAT(image::erofs::read_image(std::make_shared<base::MemoryDevice>(std::move(image))),
              FailsWith(Kind::corrupt, HasSubstr("/b (inode")));
}

}  // namespace
