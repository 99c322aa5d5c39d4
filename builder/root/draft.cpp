#include "builder/root/draft.hpp"

#include <algorithm>
#include <cstring>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "image/file_content.hpp"
#include "image/tree_edit.hpp"

namespace builder::root {

using base::fail;
using base::Kind;
using base::Result;

namespace {

class TextReader final : public image::ContentReader {
 public:
  explicit TextReader(const std::string& text) : text_(text) {}
  Result<> read(base::MutableByteView into) override {
    if (into.size() > text_.size() - at_) return fail(Kind::corrupt, "a text of the manifest's ends early");
    std::memcpy(into.data(), text_.data() + at_, into.size());
    at_ += into.size();
    return base::ok();
  }

 private:
  const std::string& text_;
  std::size_t at_ = 0;
};

}  // namespace

/// The contents of several sources, numbered anew in the order in which they come.
class Draft::Contents final : public image::ContentSource {
 public:
  Result<std::unique_ptr<image::ContentReader>> open(image::ContentId content) const override {
    const Place& place = places_.at(content);
    if (place.source == texts) return std::make_unique<TextReader>(*texts_.at(place.content));
    return sources_.at(place.source)->open(place.content);
  }
  const image::StoredObject* stored_as(image::ContentId content) const override {
    const Place& place = places_.at(content);
    return place.source == texts ? nullptr : sources_.at(place.source)->stored_as(place.content);
  }

  image::ContentId add(std::string text) {
    texts_.push_back(std::make_unique<std::string>(std::move(text)));
    places_.push_back({texts, texts_.size() - 1});
    return places_.size() - 1;
  }

  /// Takes a source over; the contents in its tree get their numbers here.
  void add(std::unique_ptr<image::ContentSource> source, image::FileTree& tree) {
    std::unordered_map<image::ContentId, image::ContentId> renumbered;
    for (image::Inode& inode : tree.inodes) {
      if (inode.type != image::FileType::regular || inode.size == 0) continue;
      const auto [at, fresh] = renumbered.emplace(inode.content, places_.size());
      if (fresh) places_.push_back({sources_.size(), inode.content});
      inode.content = at->second;
    }
    sources_.push_back(std::move(source));
  }

 private:
  static constexpr std::size_t texts = ~std::size_t{0};
  struct Place {
    std::size_t source;
    image::ContentId content;
  };

  std::vector<Place> places_;
  std::vector<std::unique_ptr<std::string>> texts_;
  std::vector<std::unique_ptr<image::ContentSource>> sources_;
};

namespace {

/// Puts a tree behind the inodes that are there; returns where its root is.
image::InodeIndex append(image::FileTree& tree, image::FileTree&& upper) {
  const auto first = static_cast<image::InodeIndex>(tree.inodes.size());
  for (image::Inode& inode : upper.inodes) {
    for (image::DirectoryEntry& entry : inode.entries) entry.inode += first;
    image::add_inode(tree, std::move(inode));
  }
  return first;
}

}  // namespace

Draft::Draft(image::SourcedTree base) : contents_(std::make_unique<Contents>()) {
  contents_->add(std::move(base.contents), base.tree);
  append(tree_, std::move(base.tree));
}

Draft::Draft(Draft&&) noexcept = default;
Draft& Draft::operator=(Draft&&) noexcept = default;
Draft::~Draft() = default;

std::optional<image::InodeIndex> Draft::find(std::string_view path) const {
  if (!path.starts_with("/usr/")) {
    const std::size_t slash = path.find('/', 1);
    const auto top = image::find(tree_, path.substr(0, slash));
    if (top && slash != std::string_view::npos && tree_.inodes[*top].type == image::FileType::symlink &&
        tree_.inodes[*top].target.starts_with("usr/")) {
      return image::find(tree_, fmt::format("/{}{}", tree_.inodes[*top].target, path.substr(slash)));
    }
  }
  return image::find(tree_, path);
}

Result<std::optional<std::string>> Draft::read(std::string_view path, std::size_t max_bytes) const {
  const auto at = find(path);
  if (!at || tree_.inodes[*at].type != image::FileType::regular) return std::nullopt;
  TRY(std::string text, image::read_content(*contents_, tree_.inodes[*at], path, max_bytes));
  return text;
}

Result<std::pair<image::InodeIndex, std::string>> Draft::place_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  std::string parent(path.substr(0, slash == std::string_view::npos ? 0 : slash));
  std::string name(path.substr(slash == std::string_view::npos ? 0 : slash + 1));
  if (name.empty() || name == "." || name == "..") {
    return fail(Kind::invalid_input, fmt::format("{} is no path of a file", path));
  }
  const std::size_t second = parent.find('/', 1);
  const auto top = image::find(tree_, std::string_view(parent).substr(0, second));
  if (top && tree_.inodes[*top].type == image::FileType::symlink && tree_.inodes[*top].target.starts_with("usr/")) {
    parent = "/" + tree_.inodes[*top].target + (second == std::string::npos ? "" : parent.substr(second));
  }
  TRY(const image::InodeIndex directory, image::make_directories(tree_, parent));
  return std::pair(directory, std::move(name));
}

Result<> Draft::write(std::string_view path, std::string text, const Attributes& attributes) {
  TRY(auto place, place_of(path));
  if (const image::DirectoryEntry* there = image::find_entry(tree_, place.first, place.second);
      there != nullptr && tree_.inodes[there->inode].type == image::FileType::directory) {
    return fail(Kind::invalid_input, fmt::format("{} is a directory", path));
  }
  image::Inode inode;
  inode.permissions = attributes.permissions;
  inode.uid = attributes.uid;
  inode.gid = attributes.gid;
  inode.size = text.size();
  inode.content = contents_->add(std::move(text));
  image::set_entry(tree_, place.first, std::move(place.second), image::add_inode(tree_, std::move(inode)));
  return base::ok();
}

Result<> Draft::link(std::string_view path, std::string target) {
  TRY(auto place, place_of(path));
  if (const image::DirectoryEntry* there = image::find_entry(tree_, place.first, place.second);
      there != nullptr && tree_.inodes[there->inode].type == image::FileType::directory) {
    return fail(Kind::invalid_input, fmt::format("{} is a directory", path));
  }
  image::set_entry(tree_, place.first, std::move(place.second),
                   image::add_inode(tree_, image::symlink_inode(std::move(target))));
  return base::ok();
}

Result<> Draft::directory(std::string_view path, const Attributes& attributes) {
  TRY(const auto place, place_of(path));
  TRY(const image::InodeIndex at, image::make_directories(tree_, path));
  image::Inode& inode = tree_.inodes[at];
  inode.permissions = attributes.permissions;
  inode.uid = attributes.uid;
  inode.gid = attributes.gid;
  return base::ok();
}

void Draft::remove(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return;
  const auto parent = slash == 0 ? std::optional<image::InodeIndex>(0) : find(path.substr(0, slash));
  if (parent) image::remove_entry(tree_, *parent, path.substr(slash + 1));
}

Result<> Draft::lay_over(image::SourcedTree upper, std::string_view target) {
  contents_->add(std::move(upper.contents), upper.tree);
  const image::InodeIndex root = append(tree_, std::move(upper.tree));
  TRY(const image::InodeIndex at, image::make_directories(tree_, target));
  if (at == 0) {
    // A tree that has a bin of its own goes where the root's bin points.
    for (image::DirectoryEntry& entry : tree_.inodes[root].entries) {
      const auto there = image::find(tree_, entry.name);
      if (!there || tree_.inodes[*there].type != image::FileType::symlink ||
          tree_.inodes[entry.inode].type != image::FileType::directory ||
          !tree_.inodes[*there].target.starts_with("usr/")) {
        continue;
      }
      const auto merged = image::find(tree_, tree_.inodes[*there].target);
      if (merged) image::lay_over(tree_, *merged, entry.inode);
      entry.inode = *there;
    }
  }
  image::lay_over(tree_, at, root);
  return base::ok();
}

image::SourcedTree Draft::finish() && {
  return {image::tidied(tree_), std::move(contents_)};
}

}  // namespace builder::root
