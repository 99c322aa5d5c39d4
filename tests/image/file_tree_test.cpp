#include "image/file_tree.hpp"

#include <gmock/gmock.h>

#include "tests/support/matchers.hpp"

namespace {

using base::Kind;
using image::FileTree;
using image::FileType;
using image::Inode;
using support::FailsWith;
using testing::HasSubstr;

/// A root with a directory "d" (inode 1) and a file "f" (inode 2).
FileTree small_tree() {
  FileTree tree;
  tree.inodes = {Inode{.type = FileType::directory, .entries = {{"d", 1}, {"f", 2}}},
                 Inode{.type = FileType::directory}, Inode{.type = FileType::regular}};
  return tree;
}

TEST(FileTree, AllowsHardLinksToFilesAnywhere) {
  FileTree tree = small_tree();
  tree.inodes[1].entries = {{"again", 2}};
  EXPECT_THAT(image::check(tree), support::Succeeds());
}

TEST(FileTree, RefusesWhatNoFileSystemCanHold) {
  struct {
    const char* what;
    void (*spoil)(FileTree&);
    const char* message;
  } const cases[] = {
      {"nothing", [](FileTree& tree) { tree.inodes.clear(); }, "needs a root directory"},
      {"a root that is a file", [](FileTree& tree) { tree.inodes[0].type = FileType::regular; },
       "needs a root directory"},
      {"an empty name", [](FileTree& tree) { tree.inodes[0].entries[0].name = ""; }, "0 bytes"},
      {"a long name", [](FileTree& tree) { tree.inodes[0].entries[0].name = std::string(256, 'c'); }, "256 bytes"},
      {"a slash", [](FileTree& tree) { tree.inodes[0].entries[0].name = "a/b"; }, "cannot be a file's name"},
      {"dot dot", [](FileTree& tree) { tree.inodes[0].entries[0].name = ".."; }, "cannot be a file's name"},
      {"the same name twice", [](FileTree& tree) { tree.inodes[0].entries[0].name = "f"; }, "/f is not behind \"f\""},
      {"the wrong order", [](FileTree& tree) { std::swap(tree.inodes[0].entries[0], tree.inodes[0].entries[1]); },
       "/d is not behind \"f\""},
      {"an index too large", [](FileTree& tree) { tree.inodes[0].entries[0].inode = 3; }, "/d names an inode"},
      {"a directory in two places", [](FileTree& tree) { tree.inodes[0].entries[1].inode = 1; },
       "/f is a directory that stands"},
      {"a directory in itself", [](FileTree& tree) { tree.inodes[1].entries = {{"loop", 1}}; },
       "/d/loop is a directory"},
      {"an inode in no place", [](FileTree& tree) { tree.inodes[0].entries.pop_back(); },
       "inode 2 stands in no directory"},
  };
  for (const auto& one : cases) {
    FileTree tree = small_tree();
    one.spoil(tree);
    EXPECT_THAT(image::check(tree), FailsWith(Kind::invalid_input, HasSubstr(one.message))) << one.what;
  }
}

}  // namespace
