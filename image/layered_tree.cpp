#include "image/layered_tree.hpp"

#include <algorithm>
#include <utility>

#include "image/tree_edit.hpp"

namespace image {

namespace {

/// Contents of two sources: the upper's numbers begin behind the lower's.
class LayeredContents final : public ContentSource {
 public:
  LayeredContents(std::unique_ptr<ContentSource> lower, std::unique_ptr<ContentSource> upper, ContentId first_of_upper)
      : lower_(std::move(lower)), upper_(std::move(upper)), first_of_upper_(first_of_upper) {}

  base::Result<std::unique_ptr<ContentReader>> open(ContentId content) const override {
    return content < first_of_upper_ ? lower_->open(content) : upper_->open(content - first_of_upper_);
  }
  const StoredObject* stored_as(ContentId content) const override {
    return content < first_of_upper_ ? lower_->stored_as(content) : upper_->stored_as(content - first_of_upper_);
  }

 private:
  std::unique_ptr<ContentSource> lower_;
  std::unique_ptr<ContentSource> upper_;
  ContentId first_of_upper_;
};

}  // namespace

SourcedTree layered(SourcedTree lower, SourcedTree upper) {
  ContentId contents = 0;
  for (const Inode& inode : lower.tree.inodes) {
    if (inode.type == FileType::regular && inode.size > 0) contents = std::max(contents, inode.content + 1);
  }
  FileTree tree = std::move(lower.tree);
  const auto inodes = static_cast<InodeIndex>(tree.inodes.size());
  for (Inode& inode : upper.tree.inodes) {
    for (DirectoryEntry& entry : inode.entries) entry.inode += inodes;
    inode.content += contents;
    add_inode(tree, std::move(inode));
  }
  lay_over(tree, 0, inodes);
  return {tidied(tree),
          std::make_unique<LayeredContents>(std::move(lower.contents), std::move(upper.contents), contents)};
}

}  // namespace image
