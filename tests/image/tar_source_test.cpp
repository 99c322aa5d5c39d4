// Judge: GNU tar, whose archives of a directory must give the image that the directory itself gives.

#include "image/tar_source.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>

#include <gmock/gmock.h>

#include "base/file.hpp"
#include "image/compose.hpp"
#include "image/directory_source.hpp"
#include "image/tree_edit.hpp"
#include "tests/support/files.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/pattern.hpp"
#include "tests/support/program.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

using base::Kind;
using image::FileTree;
using image::FileType;
using image::SourcedTree;
using support::FailsWith;
using support::run_program;
using support::Succeeds;
using testing::AllOf;
using testing::HasSubstr;

class Tar : public testing::Test {
 protected:
  Tar() { std::filesystem::create_directories(root + "/usr/bin"); }

  void make(const std::vector<std::string>& options) const {
    std::vector<std::string> argv = {"tar", "--create", "--file=" + archive, "--directory=" + root, "--numeric-owner"};
    argv.insert(argv.end(), options.begin(), options.end());
    argv.emplace_back(".");
    const auto done = run_program(argv);
    ASSERT_EQ(done.exit_status, 0) << done.errors;
  }

  base::Result<SourcedTree> read() const {
    TRY(const base::File file, base::File::open(archive, O_RDONLY));
    return image::read_tar(file.fd(), "root.tar", directory.path());
  }

  std::string image_of(const SourcedTree& tree) const {
    const std::string path = directory.path("image.erofs");
    EXPECT_THAT(image::compose_root(image::tidied(tree.tree), *tree.contents, {}, {.image = path}), Succeeds());
    return support::slurp(path);
  }

  const support::TemporaryDirectory directory;
  const std::string root = directory.path("root");
  const std::string archive = directory.path("root.tar");
};

TEST_F(Tar, IsTheDirectoryThatItWasMadeOf) {
  directory.write("root/usr/bin/tool", base::text_of(support::pattern(300'000, 1)));
  directory.write("root/usr/bin/same", base::text_of(support::pattern(300'000, 1)));
  directory.write("root/usr/empty", "");
  directory.write("root/usr/F\u0151tan\u00fas\u00edtv\u00e1ny", "in no 8-bit character set\n");
  directory.write("root/usr/" + std::string(200, 'n'), "a name for which ustar has no room\n");
  std::filesystem::create_hard_link(root + "/usr/bin/tool", root + "/usr/linked");
  std::filesystem::create_symlink("/usr/bin/" + std::string(150, 't'), root + "/link");
  ASSERT_EQ(::mkfifo((root + "/pipe").c_str(), 0600), 0);
  ASSERT_EQ(::chmod((root + "/usr/bin/tool").c_str(), 04755), 0);
  ASSERT_EQ(::setxattr((root + "/usr/bin/tool").c_str(), "user.note", "a\0b", 3, 0), 0);
  if (::geteuid() == 0) {
    ASSERT_EQ(::chown((root + "/usr/empty").c_str(), 7, 3'000'000), 0);
  }
  const auto expected = image::read_directory(root);
  ASSERT_THAT(expected, Succeeds());
  const std::string expected_image = image_of(*expected);
  for (const std::vector<std::string>& options : {std::vector<std::string>{"--format=pax", "--xattrs"},
                                                  {"--format=pax", "--xattrs", "--gzip"},
                                                  {"--format=pax", "--xattrs", "--xz"},
                                                  {"--format=pax", "--xattrs", "--sort=name", "--zstd"}}) {
    SCOPED_TRACE(testing::PrintToString(options));
    make(options);
    const auto tree = read();
    ASSERT_THAT(tree, Succeeds());
    EXPECT_EQ(image_of(*tree), expected_image);
  }
  // GNU's own format has no extended attributes.
  make({"--format=gnu"});
  const auto tree = read();
  ASSERT_THAT(tree, Succeeds());
  ASSERT_EQ(::removexattr((root + "/usr/bin/tool").c_str(), "user.note"), 0);
  const auto without = image::read_directory(root);
  ASSERT_THAT(without, Succeeds());
  EXPECT_EQ(image_of(*tree), image_of(*without));
}

TEST_F(Tar, LetsTheLaterEntryCount) {
  directory.write("root/usr/file", "first");
  make({});
  directory.write("root/usr/file", "the second one");
  const auto appended = run_program({"tar", "--append", "--file=" + archive, "--directory=" + root, "./usr/file"});
  ASSERT_EQ(appended.exit_status, 0);
  const auto tree = read();
  ASSERT_THAT(tree, Succeeds());
  EXPECT_EQ(tree->tree.inodes[*image::find(tree->tree, "/usr/file")].size, 14U);
}

TEST_F(Tar, MakesTheDirectoriesThatHaveNoEntry) {
  directory.write("root/usr/bin/tool", "x");
  const auto made = run_program({"tar", "--create", "--file=" + archive, "--directory=" + root, "usr/bin/tool"});
  ASSERT_EQ(made.exit_status, 0);
  const auto tree = read();
  ASSERT_THAT(tree, Succeeds());
  const image::Inode& bin = tree->tree.inodes[*image::find(tree->tree, "/usr/bin")];
  EXPECT_EQ(bin.type, FileType::directory);
  EXPECT_EQ(bin.permissions, 0755);
  EXPECT_EQ(bin.uid, 0U);
}

TEST_F(Tar, RefusesWhatWouldLeaveTheRootAndNamesTheEntry) {
  directory.write("outside", "x");
  const auto up =
      run_program({"tar", "--create", "--absolute-names", "--file=" + archive, "--directory=" + root, "../outside"});
  ASSERT_EQ(up.exit_status, 0);
  EXPECT_THAT(read(), FailsWith(Kind::invalid_input, AllOf(HasSubstr("root.tar"), HasSubstr("../outside"))));
  // A file below what an earlier entry made a link.
  std::filesystem::create_symlink("/etc", root + "/link");
  const auto link = run_program({"tar", "--create", "--file=" + archive, "--directory=" + root, "link"});
  ASSERT_EQ(link.exit_status, 0);
  std::filesystem::remove(root + "/link");
  std::filesystem::create_directory(root + "/link");
  directory.write("root/link/passwd", "x");
  const auto below = run_program({"tar", "--append", "--file=" + archive, "--directory=" + root, "link/passwd"});
  ASSERT_EQ(below.exit_status, 0);
  EXPECT_THAT(read(), FailsWith(Kind::invalid_input, AllOf(HasSubstr("link/passwd"), HasSubstr("no directory"))));
}

TEST_F(Tar, SaysWhenItIsNotWhole) {
  directory.write("root/usr/file", base::text_of(support::pattern(100'000)));
  make({});
  std::filesystem::resize_file(archive, 50'000);
  EXPECT_THAT(read(), FailsWith(Kind::corrupt, AllOf(HasSubstr("root.tar"), HasSubstr("file"))));
  directory.write("root.tar", "this is no archive, and it is long enough to be none of the formats that are known");
  EXPECT_THAT(read(), FailsWith(Kind::corrupt, HasSubstr("root.tar")));
}

}  // namespace
