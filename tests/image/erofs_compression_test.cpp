// Judges: fsck.erofs and dump.erofs (Debian's erofs-utils), mkfs.erofs for the size, and our reader. The kernel's own
// mount needs root: qemu-tests boot from such an image.

#include <filesystem>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "image/directory_source.hpp"
#include "image/erofs/compressed_content.hpp"
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
using erofs_data::deep_tree;
using erofs_data::describe;
using erofs_data::everything;
using erofs_data::read_file_image;
using image::FileTree;
using image::FileType;
using image::Inode;
using image::SourcedTree;
using image::erofs::Compression;
using image::erofs::Options;
using support::FailsWith;
using support::run_program;
using support::Succeeds;
using testing::AllOf;
using testing::HasSubstr;

Options lz4hc(std::uint32_t cluster_size = 65536, unsigned threads = 2) {
  return {.compression = Compression::lz4hc, .cluster_size = cluster_size, .threads = threads};
}

/// Text that gets about four times smaller, and does not repeat itself.
Bytes text(std::size_t size, std::uint64_t seed = 1) {
  const Bytes words = support::pattern(size / 8 + 1, seed);
  std::string lines;
  for (std::size_t i = 0; lines.size() < size; ++i) {
    lines += fmt::format("line {:06} has word {:02x}\n", i, std::to_integer<unsigned>(words[i % words.size()]));
  }
  lines.resize(size);
  const base::ByteView view = base::bytes_of(lines);
  return {view.begin(), view.end()};
}

Bytes joined(std::initializer_list<Bytes> parts) {
  Bytes all;
  for (const Bytes& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

/// A tree of one directory with these files.
SourcedTree tree_of(const std::map<std::string, Bytes>& files) {
  FileTree tree;
  tree.inodes = {Inode{.type = FileType::directory, .permissions = 0755}};
  std::vector<Bytes> contents;
  for (const auto& [name, content] : files) {
    tree.inodes[0].entries.push_back({name, static_cast<image::InodeIndex>(tree.inodes.size())});
    tree.inodes.push_back(Inode{.permissions = 0644, .size = content.size(), .content = contents.size()});
    contents.push_back(content);
  }
  return {std::move(tree), std::make_unique<erofs_data::MemoryContents>(std::move(contents))};
}

/// Files of every size and kind that a boundary could hurt.
std::map<std::string, Bytes> all_kinds() {
  std::map<std::string, Bytes> files;
  for (const std::size_t size : {0U, 1U, 4095U, 4096U, 4097U, 8191U, 8192U, 8193U, 12288U, 65535U, 65536U, 65537U,
                                 300001U, 1048575U, 1048576U, 1048577U, 2500000U}) {
    files[fmt::format("text-{}", size)] = text(size, size);
    files[fmt::format("noise-{}", size)] = support::pattern(size, size);
  }
  files["zeros"] = Bytes(5000000);
  // Between what gets smaller, plain bytes of every length; ends of clusters at every place in a block.
  for (std::size_t i = 0; i < 12; ++i) {
    files[fmt::format("mixed-{}", i)] = joined({text(100000 + i * 1777, i), support::pattern(70000 + i * 2999, i),
                                                text(9000 + i * 641, i + 50), support::pattern(3000 + i * 333, i)});
  }
  return files;
}

void expect_extracted(const std::string& image, const SourcedTree& source) {
  const support::TemporaryDirectory directory;
  const std::string into = directory.path("extracted");
  const auto done = run_program({"fsck.erofs", "--extract=" + into, image});
  EXPECT_EQ(done.exit_status, 0) << done.output << done.errors;
  for (const image::DirectoryEntry& entry : source.tree.inodes[0].entries) {
    const Inode& inode = source.tree.inodes[entry.inode];
    const std::string found = support::slurp(into + "/" + entry.name);
    EXPECT_TRUE(found.size() == inode.size &&
                (inode.size == 0 || base::text_of(erofs_data::content_of(source, inode)) == found))
        << entry.name;
  }
}

TEST(ErofsCompression, HoldsEveryKindOfFileInClustersOfEverySize) {
  const support::TemporaryDirectory directory;
  const SourcedTree source = tree_of(all_kinds());
  const std::string image = directory.path("image");
  for (const std::uint32_t cluster_size : {4096U, 16384U, 65536U, 1048576U}) {
    SCOPED_TRACE(cluster_size);
    ASSERT_THAT(compose_to(image, source, lz4hc(cluster_size)), Succeeds());
    expect_extracted(image, source);
    const auto read = read_file_image(image);
    ASSERT_THAT(read, Succeeds());
    EXPECT_TRUE(describe(*read) == describe(source));
  }
}

TEST(ErofsCompression, DoesNotDependOnTheNumberOfThreads) {
  const support::TemporaryDirectory directory;
  const SourcedTree source = tree_of(all_kinds());
  ASSERT_THAT(compose_to(directory.path("1"), source, lz4hc(65536, 1)), Succeeds());
  for (const unsigned threads : {2U, 5U, 1000U}) {
    ASSERT_THAT(compose_to(directory.path("n"), source, lz4hc(65536, threads)), Succeeds());
    EXPECT_TRUE(support::slurp(directory.path("n")) == support::slurp(directory.path("1"))) << threads;
  }
}

TEST(ErofsCompression, KeepsLinksAttributesAndContentsInCommon) {
  const support::TemporaryDirectory directory;
  SourcedTree source = tree_of({{"a", text(200000)}, {"b", text(200000, 2)}, {"c", text(4200)}});
  FileTree& tree = source.tree;
  tree.inodes[0].entries.push_back({"d-linked-to-a", 1});
  tree.inodes[0].entries.push_back({"e-as-b", 4});
  tree.inodes.push_back(tree.inodes[2]);
  tree.inodes[4].xattrs = {{"user.odd", support::pattern(5)}};  // the index begins at a multiple of 8 all the same
  tree.inodes[4].uid = 100000;
  const std::string image = directory.path("image");
  ASSERT_THAT(compose_to(image, source, lz4hc()), Succeeds());
  const auto read = read_file_image(image);
  ASSERT_THAT(read, Succeeds());
  EXPECT_EQ(describe(*read), describe(source));
  EXPECT_EQ(read->tree.inodes[2].content, read->tree.inodes[4].content);
  EXPECT_EQ(read->tree.inodes[0].entries[3].inode, 1U);
  const std::string again = directory.path("again");
  ASSERT_THAT(compose_to(again, *read, lz4hc()), Succeeds());
  EXPECT_TRUE(support::slurp(again) == support::slurp(image));
}

TEST(ErofsCompression, LeavesWhatGetsNoSmallerAsItIs) {
  const support::TemporaryDirectory directory;
  const SourcedTree source = tree_of({{"noise", support::pattern(3000000)}, {"small", text(4000)}});
  ASSERT_THAT(compose_to(directory.path("plain"), source), Succeeds());
  ASSERT_THAT(compose_to(directory.path("lz4hc"), source, lz4hc()), Succeeds());
  EXPECT_TRUE(support::slurp(directory.path("plain")) == support::slurp(directory.path("lz4hc")));
}

TEST(ErofsCompression, MakesLittleOfManyZeros) {
  const support::TemporaryDirectory directory;
  SourcedTree source = tree_of({{"zeros", Bytes(4096)}});
  source.tree.inodes[1].size = (std::uint64_t{256} << 20) + 77;
  const std::string image = directory.path("image");
  ASSERT_THAT(compose_to(image, source, lz4hc()), Succeeds());
  EXPECT_LT(std::filesystem::file_size(image), std::uint64_t{3} << 20);
  EXPECT_THAT(run_program({"dump.erofs", "--path=/zeros", image}).output, HasSubstr("Size: 268435533"));
}

TEST(ErofsCompression, IsNoLargerThanThatOfMkfs) {
  const support::TemporaryDirectory directory;
  const std::string image = directory.path("image");
  const std::string theirs = directory.path("mkfs");
  const std::string real = "/usr/include";
  ASSERT_EQ(support::keelson({"-q", "compose", "--tree", real, "--out", image, "--compression", "lz4hc"}).exit_status,
            0);
  ASSERT_EQ(run_program({"mkfs.erofs", "--quiet", "-T0", "-zlz4hc,9", "-C65536", theirs, real}).exit_status, 0);
  EXPECT_LE(static_cast<double>(std::filesystem::file_size(image)),
            static_cast<double>(std::filesystem::file_size(theirs)) * 1.03);
}

TEST(ErofsCompression, OfComposerVersionOneNeverChanges) {
  // Pinned, as without compression; but these bytes are liblz4's, too (1.9.4). If only this fails, and the library has
  // changed, then hosts with another one compose another image: the library belongs to the composer, see
  // image/README.md.
  const support::TemporaryDirectory directory;
  const std::string image = directory.path("image");
  ASSERT_THAT(compose_to(image, tree_of(all_kinds()), lz4hc()), Succeeds());
  EXPECT_EQ(run_program({"sha256sum", image}).output.substr(0, 64),
            "42b4313de83b90ba10568243b076156a9180a211887de4e776d540f3872598f7");
}

TEST(ErofsCompression, SaysInTheIndexWhereAFileEnds) {
  // Found by mounting libJIS.so of Debian 12: the last of its plain clusters begins in one block of the file and ends
  // in the next. Without a head in that one, the kernel (fs/erofs/zmap.c) takes the cluster to be longer than its
  // block.
  const image::erofs::CompressedContent content{
      .size = 104504, .blocks = 19, .stretches = {{93378, 16, true}, {11126, 3, false}}, .pieces = {}};
  const Bytes index = image::erofs::index_of(content, 4007);
  ASSERT_EQ(index.size(), 16U + 26U * 8U);
  const auto entry = [&](std::size_t number) { return base::ByteView(index).subspan(16 + number * 8, 8); };
  EXPECT_EQ(base::to_hex(entry(0)), "01000000a70f0000");   // compressed, from byte 0 on, in blocks from 4007 on
  EXPECT_EQ(base::to_hex(entry(1)), "0200000010081500");   // inside: 16 blocks (with the flag), 21 entries to the next
  EXPECT_EQ(base::to_hex(entry(22)), "0000c20cb70f0000");  // plain, from byte 3266 of 22 * 4096 on, in block 4023
  EXPECT_EQ(base::to_hex(entry(24)), "0000c20cb90f0000");
  EXPECT_EQ(base::to_hex(entry(25)), "0000380800000000");  // the end: 104504 - 25 * 4096 = 2104
}

TEST(ErofsCompression, RefusesClustersThatCannotBe) {
  const support::TemporaryDirectory directory;
  for (const std::uint32_t size : {0U, 2048U, 5000U, 2097152U}) {
    EXPECT_THAT(compose_to(directory.path("image"), everything(), lz4hc(size)),
                FailsWith(Kind::invalid_input, HasSubstr(fmt::format("clusters of {} bytes", size))));
  }
}

TEST(ErofsCompression, NamesThePlaceThatHasNoRoomForItsSpool) {
  const support::TemporaryDirectory directory;
  Options options = lz4hc();
  options.spool_directory = directory.path("nowhere");
  EXPECT_THAT(compose_to(directory.path("image"), everything(), options),
              FailsWith(Kind::not_found, AllOf(HasSubstr("temporary file in"), HasSubstr("nowhere"))));
}

TEST(ErofsCompression, ReportsAContentThatEnds) {
  const support::TemporaryDirectory directory;
  const std::string tree = directory.path("tree");
  std::filesystem::create_directories(tree);
  const std::string file = directory.write("tree/file", base::text_of(text(3000000)));
  const auto source = image::read_directory(tree);
  ASSERT_THAT(source, Succeeds());
  std::filesystem::resize_file(file, 2000000);
  EXPECT_THAT(compose_to(directory.path("image"), *source, lz4hc()), FailsWith(Kind::corrupt, HasSubstr("tree/file")));
}

/// A compressed file that is wrong in one place.
TEST(ErofsCompression, IsNotBelievedByTheReader) {
  const support::TemporaryDirectory directory;
  const std::string path = directory.path("image");
  const SourcedTree source = tree_of({{"file", text(600000)}});
  ASSERT_THAT(compose_to(path, source, lz4hc()), Succeeds());
  const std::string whole = support::slurp(path);
  const base::ByteView good = base::bytes_of(whole);
  const auto info = image::erofs::read_superblock(base::MemoryDevice({good.begin(), good.end()}));
  const std::uint64_t root = info->metadata_block * 4096;
  const std::uint64_t file = root + base::load_le<std::uint64_t>(&good[root + 32 + 24]) * 32;
  const std::uint64_t entries = file + 48;
  struct {
    const char* label;
    std::uint64_t at;
    std::vector<unsigned> bytes;
    Kind kind;
    const char* message;
  } const cases[] = {
      {"algorithm", file + 38, {1}, Kind::unsupported, "another way than plain LZ4"},
      {"tail inline", file + 36, {0x0a}, Kind::unsupported, "another way than plain LZ4"},
      {"endless", file + 8, {0xff, 0xff, 0xff, 0xff}, Kind::corrupt, "leaves the image"},
      {"second algorithm", entries, {3}, Kind::unsupported, "compressed in two ways"},
      {"no head", entries, {2}, Kind::corrupt, "no cluster begins at byte 0"},
      {"head elsewhere", entries + 2, {1}, Kind::corrupt, "no cluster begins at byte 0"},
      {"blocks elsewhere", entries + 4, {0xff, 0xff, 0xff, 0xff}, Kind::corrupt, "outside of the image"},
      {"blocks of another", entries + 4, {2}, Kind::corrupt, "no LZ4 data"},
      {"plain and long", entries, {0}, Kind::corrupt, "a size that cannot be"},
      {"too many blocks", entries + 12, {0xff, 0x0f}, Kind::corrupt, "a size that cannot be"},
      {"data", 4096 + 70, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, Kind::corrupt, "no LZ4 data"},
  };
  for (const auto& one : cases) {
    SCOPED_TRACE(one.label);
    Bytes bad(good.begin(), good.end());
    for (std::size_t i = 0; i < one.bytes.size(); ++i) bad[one.at + i] = static_cast<std::byte>(one.bytes[i]);
    const auto read = image::erofs::read_image(std::make_shared<base::MemoryDevice>(std::move(bad)));
    if (!read) {
      EXPECT_THAT(read, FailsWith(one.kind, HasSubstr(one.message)));
      continue;
    }
    Bytes content(600000);
    EXPECT_THAT((*read->contents->open(0))->read(content), FailsWith(one.kind, HasSubstr(one.message)));
  }
}

}  // namespace
