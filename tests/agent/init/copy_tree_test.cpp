#include "agent/init/copy_tree.hpp"

#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>

#include <gmock/gmock.h>

#include "agent/init/remove_tree.hpp"
#include "tests/support/files.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/program.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

namespace fs = std::filesystem;
using agent::init::copy_tree;
using agent::init::remove_tree;
using base::Kind;
using support::FailsWith;
using support::Succeeds;
using testing::HasSubstr;

/// Types, permissions, owners, times, targets and sizes, one path a line. find(1) is the judge.
std::string facts_of(const std::string& root) {
  const auto listed =
      support::run_program({"sh", "-c", "cd \"$1\" && find . -printf '%p %y %m %U:%G %T@ %l\\n' | sort", "sh", root});
  EXPECT_EQ(listed.exit_status, 0) << listed.errors;
  return listed.output;
}

class CopyTree : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(from_ + "/ssh/keys.d");
    directory_.write("from/passwd", "root:x:0:0::/root:/bin/sh\n");
    directory_.write("from/ssh/key", std::string(200'000, 'k'));
    directory_.write("from/empty", "");
  }

  support::TemporaryDirectory directory_;
  std::string from_ = directory_.path("from");
  std::string to_ = directory_.path("to");
};

TEST_F(CopyTree, KeepsWhatATreeIs) {
  fs::create_symlink("../usr/share/zoneinfo/UTC", from_ + "/localtime");  // leads nowhere here
  ASSERT_EQ(::mkfifo((from_ + "/pipe").c_str(), 0640), 0);
  for (const auto& [name, mode] : std::vector<std::pair<std::string, mode_t>>{
           {"passwd", 0644}, {"ssh/key", 0400}, {"empty", 04751}, {"ssh", 01777}, {"ssh/keys.d", 0500}}) {
    ASSERT_EQ(::chmod((from_ + "/" + name).c_str(), mode), 0);
  }
  if (::geteuid() == 0) {
    ASSERT_EQ(::lchown((from_ + "/localtime").c_str(), 12, 34), 0);
    ASSERT_EQ(::chown((from_ + "/ssh/key").c_str(), 56, 78), 0);
  }
  // date -u -d '2026-03-01 12:34:56' +%s
  ASSERT_EQ(support::run_program({"touch", "--no-dereference", "--date=@1772368496.25", from_ + "/passwd",
                                  from_ + "/ssh", from_ + "/localtime"})
                .exit_status,
            0);
  ASSERT_THAT(copy_tree(from_, to_), Succeeds());
  EXPECT_EQ(facts_of(to_), facts_of(from_));
  EXPECT_THAT(facts_of(to_), HasSubstr("./empty f 4751 "));
  EXPECT_EQ(support::slurp(to_ + "/ssh/key"), std::string(200'000, 'k'));
}

TEST_F(CopyTree, KeepsExtendedAttributes) {
  const std::string file = from_ + "/passwd";
  if (::setxattr(file.c_str(), "user.origin", "here", 4, 0) != 0 && errno == EOPNOTSUPP) {
    GTEST_SKIP() << "no extended attributes in " << directory_.path();
  }
  ASSERT_EQ(::setxattr(file.c_str(), "user.nothing", "", 0, 0), 0);
  ASSERT_EQ(::setxattr((from_ + "/ssh").c_str(), "user.of-a-directory", "a\0b", 3, 0), 0);
  ASSERT_THAT(copy_tree(from_, to_), Succeeds());
  char value[16];
  ASSERT_EQ(::getxattr((to_ + "/passwd").c_str(), "user.origin", value, sizeof value), 4);
  EXPECT_EQ(std::string(value, 4), "here");
  EXPECT_EQ(::getxattr((to_ + "/passwd").c_str(), "user.nothing", value, sizeof value), 0);
  ASSERT_EQ(::getxattr((to_ + "/ssh").c_str(), "user.of-a-directory", value, sizeof value), 3);
  EXPECT_EQ(std::string(value, 3), std::string("a\0b", 3));
}

TEST_F(CopyTree, MakesFilesOfTheirOwnFromNamesOfOneInode) {
  fs::create_hard_link(from_ + "/empty", from_ + "/machine-id");  // as an EROFS of ours has all empty files
  ASSERT_THAT(copy_tree(from_, to_), Succeeds());
  directory_.write("to/machine-id", "0123");
  EXPECT_EQ(support::slurp(to_ + "/empty"), "");
}

TEST_F(CopyTree, DoesNotMixWithWhatIsThere) {
  fs::create_directories(to_);
  EXPECT_THAT(copy_tree(from_, to_), FailsWith(Kind::io, HasSubstr("making the directory " + to_ + ": File exists")));
}

TEST_F(CopyTree, IsUndoneByRemoveTreeWhichFollowsNoLink) {
  fs::create_directory_symlink(from_ + "/ssh", from_ + "/link");
  ASSERT_THAT(copy_tree(from_, to_), Succeeds());
  ASSERT_THAT(remove_tree(to_), Succeeds());
  EXPECT_FALSE(fs::exists(to_));
  EXPECT_TRUE(fs::exists(from_ + "/ssh/key"));
  EXPECT_THAT(remove_tree(to_), Succeeds());  // it is gone already
}

}  // namespace
