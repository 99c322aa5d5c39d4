#include "image/file_content.hpp"

#include <filesystem>

#include <gmock/gmock.h>

#include "image/directory_source.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

using base::Kind;
using support::FailsWith;
using support::Holds;
using support::Succeeds;
using testing::AllOf;
using testing::HasSubstr;
using testing::Optional;

/// /etc/hostname, an empty file, a directory and a link, as a tree.
class FileContent : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directory(directory_.path("etc"));
    directory_.write("etc/hostname", "node\n");
    directory_.write("etc/empty", "");
    std::filesystem::create_symlink("hostname", directory_.path("etc/link"));
    auto read = image::read_directory(directory_.path());
    ASSERT_THAT(read, Succeeds());
    root_ = *std::move(read);
  }

  support::TemporaryDirectory directory_;
  image::SourcedTree root_;
};

TEST_F(FileContent, IsAllBytesOfTheFile) {
  EXPECT_THAT(image::read_file(root_, "/etc/hostname", 5), Holds(Optional(std::string("node\n"))));
  EXPECT_THAT(image::read_file(root_, "/etc/empty", 0), Holds(Optional(std::string())));
}

TEST_F(FileContent, IsNothingWhereThereIsNoRegularFile) {
  for (const char* path : {"/etc/none", "/none/below", "/etc", "/etc/link", "/etc/hostname/below"}) {
    SCOPED_TRACE(path);
    EXPECT_EQ(image::find_file(root_.tree, path), nullptr);
    EXPECT_THAT(image::read_file(root_, path, 100), Holds(std::optional<std::string>()));
  }
}

TEST_F(FileContent, HasABound) {
  EXPECT_THAT(image::read_file(root_, "/etc/hostname", 4),
              FailsWith(Kind::invalid_input, "/etc/hostname is longer than 4 bytes"));
}

TEST_F(FileContent, NamesTheFileThatCannotBeRead) {
  directory_.write("etc/hostname", "no");
  EXPECT_THAT(image::read_file(root_, "/etc/hostname", 100),
              FailsWith(Kind::corrupt, AllOf(testing::StartsWith("/etc/hostname: "), HasSubstr("ends at 2 bytes"))));
  std::filesystem::remove(directory_.path("etc/hostname"));
  EXPECT_THAT(image::read_file(root_, "/etc/hostname", 100),
              FailsWith(Kind::not_found, testing::StartsWith("/etc/hostname: ")));
}

}  // namespace
