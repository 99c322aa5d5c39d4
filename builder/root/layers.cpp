#include "builder/root/layers.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "image/layered_tree.hpp"
#include "image/tree_edit.hpp"

namespace builder::root {

namespace {

constexpr std::string_view whiteout = ".wh.";
constexpr std::string_view opaque = ".wh..wh..opq";

/// Does what the layer's whiteouts say to the tree below, and takes them out of the layer.
void apply_whiteouts(image::FileTree& lower, const std::string& path, image::FileTree& layer, image::InodeIndex at) {
  std::vector<std::string> marks;
  for (const image::DirectoryEntry& entry : layer.inodes[at].entries) {
    if (entry.name.starts_with(whiteout)) {
      marks.push_back(entry.name);
    } else if (layer.inodes[entry.inode].type == image::FileType::directory) {
      apply_whiteouts(lower, path + "/" + entry.name, layer, entry.inode);
    }
  }
  const auto below = image::find(lower, path);
  for (const std::string& mark : marks) {
    image::remove_entry(layer, at, mark);
    if (!below || lower.inodes[*below].type != image::FileType::directory) continue;
    if (mark == opaque) {
      lower.inodes[*below].entries.clear();
    } else {
      image::remove_entry(lower, *below, std::string_view(mark).substr(whiteout.size()));
    }
  }
}

}  // namespace

image::SourcedTree with_layer(image::SourcedTree lower, image::SourcedTree layer) {
  apply_whiteouts(lower.tree, "", layer.tree, 0);
  layer.tree = image::tidied(layer.tree);
  return image::layered(std::move(lower), std::move(layer));
}

}  // namespace builder::root
