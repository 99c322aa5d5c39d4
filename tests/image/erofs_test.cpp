// Judges: fsck.erofs and dump.erofs (Debian's erofs-utils), and mkfs.erofs for the size.

#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "image/compose.hpp"
#include "image/directory_source.hpp"
#include "image/erofs/writer.hpp"
#include "tests/image/erofs_data.hpp"
#include "tests/support/files.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/pattern.hpp"
#include "tests/support/program.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

using base::Bytes;
using base::ByteView;
using base::Kind;
using erofs_data::compose_to;
using erofs_data::contents_of_everything;
using erofs_data::one_of_everything;
using image::FileTree;
using image::FileType;
using image::Inode;
using support::FailsWith;
using support::run_program;
using support::Succeeds;
using testing::HasSubstr;

void expect_sound(const std::string& image) {
  const auto verdict = run_program({"fsck.erofs", image});
  EXPECT_EQ(verdict.exit_status, 0) << verdict.output << verdict.errors;
}

/// Types, permissions, sizes, link targets and contents of everything below a directory, as text to compare.
std::string listing(const std::string& directory) {
  const auto list = run_program(
      {"sh", "-c", "cd \"$1\" && find . -printf '%P %y %m %s %l\\n' | grep -v ' d ' | sort", "sh", directory});
  const auto sums =
      run_program({"sh", "-c", "cd \"$1\" && find . -type f -print0 | sort -z | xargs -0r sha256sum", "sh", directory});
  return list.output + sums.output;
}

class ErofsOfADirectory : public testing::Test {
 protected:
  ErofsOfADirectory() { std::filesystem::create_directories(tree); }

  void write(const std::string& name, ByteView content) const {
    std::filesystem::create_directories(std::filesystem::path(tree + "/" + name).parent_path());
    directory.write("tree/" + name, base::text_of(content));
  }

  void compose() const {
    const auto done = support::keelson({"-q", "compose", "--tree", tree, "--out", image, "--verity", hash_tree});
    ASSERT_EQ(done.exit_status, 0) << done.errors;
  }

  std::string extracted() const {
    const std::string into = directory.path("extracted");
    const auto done = run_program({"fsck.erofs", "--extract=" + into, image});
    EXPECT_EQ(done.exit_status, 0) << done.output << done.errors;
    return into;
  }

  /// The number behind `label` in what dump.erofs says.
  static std::string number(const std::string& text, const std::string& label) {
    const std::size_t at = text.find(label);
    EXPECT_NE(at, std::string::npos) << text;
    const std::size_t digits = text.find_first_of("0123456789", at + label.size());
    return text.substr(digits, text.find_first_not_of("0123456789", digits) - digits);
  }
  std::string nid(const std::string& path) const {
    return number(run_program({"dump.erofs", "--path=" + path, image}).output, "NID:");
  }
  std::string meta_block() const {
    return number(run_program({"dump.erofs", "-s", image}).output, "inode metadata start block:");
  }

  const support::TemporaryDirectory directory;
  const std::string tree = directory.path("tree");
  const std::string image = directory.path("image.erofs");
  const std::string hash_tree = directory.path("image.verity");
};

TEST_F(ErofsOfADirectory, HoldsFilesOfEverySizeAroundABlock) {
  for (const std::size_t size : {0U,    1U,    31U,   32U,   4000U, 4031U, 4032U, 4033U,  4063U,  4064U,
                                 4065U, 4095U, 4096U, 4097U, 8159U, 8160U, 8161U, 12288U, 70000U, 300001U}) {
    write(fmt::format("sizes/{}", size), support::pattern(size, size));
  }
  compose();
  expect_sound(image);
  EXPECT_EQ(listing(extracted()), listing(tree));
}

TEST_F(ErofsOfADirectory, HoldsLinksAndPermissions) {
  write("usr/bin/su", support::pattern(5000));
  write("secret", support::pattern(10));
  ASSERT_EQ(::chmod((tree + "/secret").c_str(), 0600), 0);
  std::filesystem::create_symlink("usr/bin", tree + "/bin");
  std::filesystem::create_symlink(std::string(4095, 'x'), tree + "/long-link");
  std::filesystem::create_hard_link(tree + "/secret", tree + "/usr/hard");
  std::filesystem::create_directories(tree + "/empty");
  compose();
  expect_sound(image);
  EXPECT_EQ(listing(extracted()), listing(tree));

  EXPECT_EQ(nid("/secret"), nid("/usr/hard"));
  EXPECT_NE(nid("/secret"), nid("/usr/bin/su"));
}

TEST_F(ErofsOfADirectory, KeepsTheSetUserIdBit) {
  write("su", support::pattern(5000));
  ASSERT_EQ(::chmod((tree + "/su").c_str(), 04755), 0);
  compose();
  // erofs-utils 1.5 neither shows nor extracts that bit: the inode itself is asked (i_mode, u16 at offset 4).
  const std::string content = support::slurp(image);
  const std::uint64_t at = std::stoul(meta_block()) * 4096 + std::stoul(nid("/su")) * 32 + 4;
  EXPECT_EQ(base::load_le<std::uint16_t>(base::bytes_of(content).subspan(at).data()), 0104755);
}

TEST_F(ErofsOfADirectory, StoresEqualContentsOnce) {
  const Bytes content = support::pattern(1 << 20);
  write("one", content);
  compose();
  const auto once = std::filesystem::file_size(image);
  for (int i = 0; i < 10; ++i) write(fmt::format("copy-{}", i), content);
  compose();
  EXPECT_LE(std::filesystem::file_size(image), once + 4096);
  EXPECT_EQ(listing(extracted()), listing(tree));
}

TEST_F(ErofsOfADirectory, HasTheHashTreeThatVeritysetupMakes) {
  write("file", support::pattern(3 << 20));
  const auto done = support::keelson({"compose", "--tree", tree, "--out", image, "--verity", hash_tree, "--json"});
  ASSERT_EQ(done.exit_status, 0) << done.errors;
  const std::size_t at = done.output.find("\"root_hash\": \"") + 14;
  EXPECT_EQ(support::veritysetup({"verify", image, hash_tree, done.output.substr(at, 64)}).exit_status, 0);
}

TEST_F(ErofsOfADirectory, HasTheDigestOfItsFileIfItIsWanted) {
  write("file", support::pattern(3 << 20));
  write("small", support::pattern(10));
  const auto source = image::read_directory(tree);
  ASSERT_THAT(source, Succeeds());
  for (const auto compression : {image::erofs::Compression::none, image::erofs::Compression::lz4hc}) {
    const auto composed =
        image::compose_root(source->tree, *source->contents,
                            {.erofs = {.compression = compression}, .file_digest = true}, {image, hash_tree});
    ASSERT_THAT(composed, Succeeds());
    ASSERT_TRUE(composed->file_digest);
    EXPECT_EQ(support::output_of({"sha256sum", image}), base::to_hex(*composed->file_digest) + "  " + image);
  }
  const auto without = image::compose_root(source->tree, *source->contents, {}, {image, hash_tree});
  ASSERT_THAT(without, Succeeds());
  EXPECT_EQ(without->file_digest, std::nullopt);
}

TEST_F(ErofsOfADirectory, IsNoLargerThanThatOfMkfs) {
  // Headers of the C library: some hundred files of all sizes, and directories of all widths.
  const std::string real = "/usr/include";
  ASSERT_EQ(support::keelson({"-q", "compose", "--tree", real, "--out", image}).exit_status, 0);
  const std::string theirs = directory.path("mkfs.erofs");
  ASSERT_EQ(run_program({"mkfs.erofs", "--quiet", "-T0", theirs, real}).exit_status, 0);
  EXPECT_LE(static_cast<double>(std::filesystem::file_size(image)),
            static_cast<double>(std::filesystem::file_size(theirs)) * 1.01);
}

TEST_F(ErofsOfADirectory, IsTheSameWhoeverMakesItWhereverAndWhenever) {
  const std::string other = directory.path("another/place");
  std::filesystem::create_directories(other);
  for (int i = 0; i < 300; ++i) write(fmt::format("d/{}", i), support::pattern(i * 37, i));
  std::filesystem::create_directories(other + "/d");
  for (int i = 299; i >= 0; --i) {  // the other way round: another order in the directory
    directory.write(fmt::format("another/place/d/{}", i), base::text_of(support::pattern(i * 37, i)));
  }
  compose();
  const std::string again = directory.path("again.erofs");
  const auto done =
      run_program({"sh", "-c",
                   "umask 077; export TZ=Pacific/Auckland LANG=C.UTF-8; cd /; touch -d 1999-01-01 \"$2/d\"; "
                   "exec taskset -c 0 \"$1\" -q compose --tree \"$2\" --out \"$3\" --threads 1",
                   "sh", KEELSON_PROGRAM, other, again});
  ASSERT_EQ(done.exit_status, 0) << done.errors;
  EXPECT_TRUE(support::slurp(image) == support::slurp(again));
}

TEST_F(ErofsOfADirectory, LeavesNothingBehindWhenItFails) {
  write("file", support::pattern(100));
  const auto missing = support::keelson({"compose", "--tree", tree + "/nowhere", "--out", image});
  EXPECT_EQ(missing.exit_status, 1);
  EXPECT_THAT(missing.errors, HasSubstr("nowhere: No such file or directory"));
  EXPECT_EQ(support::keelson({"compose", "--tree", tree, "--out", "/nonexistent/x"}).exit_status, 1);
  EXPECT_EQ(support::keelson({"compose", "--tree", tree, "--out", image, "--composer-version", "2"}).exit_status, 2);
  EXPECT_EQ(support::keelson({"compose", "--tree", tree, "--out", image, "--verity", "/nonexistent/x"}).exit_status, 1);
  EXPECT_FALSE(std::filesystem::exists(image));
  EXPECT_FALSE(std::filesystem::exists(image + ".partial"));
}

TEST(Erofs, HoldsOneOfEverything) {
  const support::TemporaryDirectory directory;
  const std::string image = directory.path("image");
  ASSERT_THAT(compose_to(image, one_of_everything(), contents_of_everything()), Succeeds());
  expect_sound(image);
  EXPECT_THAT(run_program({"dump.erofs", "--path=/high-owner", image}).output,
              testing::AllOf(HasSubstr("Uid: 100000"), HasSubstr("Gid: 4000000000")));
}

TEST(Erofs, OfComposerVersionOneNeverChanges) {
  // Pinned: a host composes the next image with the composer that it has. If this fails, it is a new composer version.
  const support::TemporaryDirectory directory;
  const std::string image = directory.path("image");
  ASSERT_THAT(compose_to(image, one_of_everything(), contents_of_everything()), Succeeds());
  EXPECT_EQ(run_program({"sha256sum", image}).output.substr(0, 64),
            "5c283197374be3ebe501e6e4f4a85b9a1a4c63ce3e938fcf189bd7b2baa8b656");
}

TEST(Erofs, HoldsADirectoryOfAHundredThousandEntries) {
  FileTree tree;
  tree.inodes = {Inode{.type = FileType::directory, .permissions = 0755}, Inode{.permissions = 0644}};
  for (int i = 0; i < 100000; ++i) tree.inodes[0].entries.push_back({fmt::format("entry-{:06}", i), 1});
  const support::TemporaryDirectory directory;
  const std::string image = directory.path("image");
  ASSERT_THAT(compose_to(image, tree, {}), Succeeds());
  expect_sound(image);
  for (const char* name : {"/entry-000000", "/entry-054321", "/entry-099999"}) {
    EXPECT_THAT(run_program({"dump.erofs", std::string("--path=") + name, image}).output, HasSubstr("Links: 100000"))
        << name;
  }
}

TEST(Erofs, HoldsAFileLargerThanFourGibibytes) {
  FileTree tree;
  tree.inodes = {Inode{.type = FileType::directory, .permissions = 0755, .entries = {{"large", 1}}},
                 Inode{.permissions = 0644, .size = (std::uint64_t{4} << 30) + 5000, .content = 0}};
  const support::TemporaryDirectory directory;
  const std::string image = directory.path("image");
  const auto composed = compose_to(image, tree, {support::pattern(4096)});
  ASSERT_THAT(composed, Succeeds());
  EXPECT_THAT(run_program({"dump.erofs", "--path=/large", image}).output, HasSubstr("Size: 4294972296"));
}

TEST(Erofs, RefusesAttributesThatItCannotHold) {
  struct {
    const char* name;
    std::size_t size;
    const char* message;
  } const cases[] = {{"btrfs.compression", 3, "no place for an extended attribute of the name \"btrfs.compression\""},
                     {"user.", 3, "no place"},
                     {"user.big", 65536, "65536 bytes; EROFS holds 65535"}};
  for (const auto& one : cases) {
    FileTree tree;
    tree.inodes = {Inode{.type = FileType::directory, .xattrs = {{one.name, Bytes(one.size)}}}};
    const support::TemporaryDirectory directory;
    EXPECT_THAT(compose_to(directory.path("image"), tree, {}), FailsWith(Kind::invalid_input, HasSubstr(one.message)));
  }
}

}  // namespace
