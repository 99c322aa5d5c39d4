#include <filesystem>

#include <gmock/gmock.h>

#include "tests/support/files.hpp"
#include "tests/support/program.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

using support::keelson;
using support::run_program;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class CommitCommand : public testing::Test {
 protected:
  CommitCommand() {
    for (const char* name : {"root/usr/bin", "root/etc", "root/var/lib"}) {
      std::filesystem::create_directories(directory.path(name));
    }
    directory.write("root/usr/bin/tool", "a tool");
    directory.write("root/etc/hostname", "node");
    std::filesystem::create_symlink("usr/bin", directory.path("root/bin"));
  }

  std::string listing(const std::string& ref) const {
    return run_program({"ostree", "--repo=" + repo, "ls", "-R", ref}).output;
  }

  const support::TemporaryDirectory directory;
  const std::string repo = directory.path("repo");
  const std::string root = directory.path("root");
};

TEST_F(CommitCommand, BringsARootIntoCanonicalForm) {
  const auto made = keelson({"commit", "--repo", repo, "--mode", "archive", "--tree", root, "--ref", "os"});
  ASSERT_EQ(made.exit_status, 0) << made.errors;
  EXPECT_THAT(listing("os"), AllOf(HasSubstr("/usr/etc/hostname"), HasSubstr("/usr/share/factory/var/lib"),
                                   HasSubstr("/root -> var/roothome"), Not(HasSubstr("/etc/hostname -"))));
  EXPECT_EQ(run_program({"ostree", "--repo=" + repo, "fsck"}).exit_status, 0);
}

TEST_F(CommitCommand, ReadsATarStreamAndMakesTheSameCommit) {
  const auto tree = keelson({"--json", "commit", "--repo", repo, "--mode", "archive", "--tree", root});
  const auto tar = run_program({"sh", "-c",
                                "tar --create --format=pax --xattrs --numeric-owner --directory=\"$2\" . | "
                                "\"$1\" --json commit --repo \"$3\" --tar -",
                                "sh", KEELSON_PROGRAM, root, repo});
  EXPECT_EQ(tar.exit_status, 0) << tar.errors;
  EXPECT_EQ(tar.output, tree.output);
}

TEST_F(CommitCommand, LaysARootOverAnotherCommit) {
  ASSERT_EQ(keelson({"commit", "--repo", repo, "--mode", "archive", "--tree", root, "--ref", "os"}).exit_status, 0);
  std::filesystem::create_directories(directory.path("changes/etc"));
  directory.write("changes/etc/motd", "hello");
  const auto made = keelson({"commit", "--repo", repo, "--base", "os", "--tree", directory.path("changes"), "--remove",
                             "/usr/bin/tool", "--ref", "new"});
  ASSERT_EQ(made.exit_status, 0) << made.errors;
  EXPECT_THAT(listing("new"),
              AllOf(HasSubstr("/usr/etc/motd"), HasSubstr("/usr/etc/hostname"), Not(HasSubstr("/usr/bin/tool"))));
  const auto absent = keelson({"commit", "--repo", repo, "--base", "os", "--remove", "/usr/bin/none"});
  EXPECT_EQ(absent.exit_status, 1);
  EXPECT_THAT(absent.errors, HasSubstr("there is no /usr/bin/none in os"));
}

TEST_F(CommitCommand, SaysEverythingThatIsWrongWithARoot) {
  std::filesystem::create_directories(directory.path("root/nix/store"));
  directory.write("root/usr/bin/su", "");
  std::filesystem::permissions(directory.path("root/usr/bin/su"), std::filesystem::perms(04755));
  const auto refused =
      keelson({"commit", "--repo", repo, "--mode", "archive", "--tree", root, "--allow-setid", "/usr/bin/mount"});
  EXPECT_EQ(refused.exit_status, 2);
  EXPECT_THAT(refused.errors,
              AllOf(HasSubstr("/nix: has no place in the root"), HasSubstr("/usr/bin/su: is set-user-ID")));
  const auto nothing = keelson({"commit", "--repo", repo});
  EXPECT_EQ(nothing.exit_status, 2);
  EXPECT_THAT(nothing.errors, HasSubstr("give --tree DIR or --tar FILE"));
}

}  // namespace
