#include "image/compose.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "base/block_device.hpp"
#include "verity/superblock.hpp"

namespace image {

using base::ByteView;
using base::Result;

namespace {

/// A file under a name of its own until it is complete.
class PartialFile {
 public:
  explicit PartialFile(std::string path) : path_(std::move(path)), partial_(path_ + ".partial") {}
  PartialFile(const PartialFile&) = delete;
  PartialFile& operator=(const PartialFile&) = delete;
  ~PartialFile() {
    if (!path_.empty()) (void)::unlink(partial_.c_str());
  }

  const std::string& partial() const { return partial_; }
  Result<> complete() {
    if (std::rename(partial_.c_str(), path_.c_str()) != 0) {
      const int error = errno;
      return base::fail_errno(error, "renaming " + partial_ + " to " + path_);
    }
    path_.clear();
    return base::ok();
  }

 private:
  std::string path_;
  std::string partial_;
};

/// Writes the image and hashes it in the same pass.
class HashingSink final : public erofs::ImageSink {
 public:
  HashingSink(std::string image, std::string hash_tree, const RootOptions& options)
      : image_path_(std::move(image)), hash_path_(std::move(hash_tree)), options_(options) {}

  Result<> begin(std::uint64_t size_bytes) override {
    TRY(image_, base::FileDevice::create(image_path_, size_bytes));
    if (hash_path_.empty()) return base::ok();
    TRY(auto geometry, verity::Geometry::of_bytes({.salt = options_.salt}, size_bytes));
    TRY(const std::uint64_t offset,
        verity::tree_offset(0, verity::HasSuperblock::yes, geometry.params().hash_block_size));
    TRY(tree_, base::FileDevice::create(hash_path_, offset + geometry.tree_bytes()));
    data_blocks_ = geometry.data_blocks();
    TRY(auto builder,
        verity::HashTreeBuilder::create(std::move(geometry), *tree_, offset, {.threads = options_.effort.threads}));
    builder_ = std::move(builder);
    return base::ok();
  }

  Result<> append(ByteView bytes) override {
    if (builder_) TRY_DO(builder_->append(bytes));
    TRY_DO(image_->write(written_, bytes));
    written_ += bytes.size();
    return base::ok();
  }

  Result<std::optional<verity::RootHash>> finish() {
    const bool durable = options_.durability == Durability::power_cut_safe;
    if (durable) TRY_DO(image_->flush());
    if (!builder_) return std::nullopt;
    TRY(const verity::RootHash root, builder_->finish());
    const base::Uuid uuid = options_.hash_uuid.value_or(base::Uuid::from_digest(root.bytes));
    TRY_DO(verity::write_superblock(*tree_, 0, {uuid, {.salt = options_.salt}, data_blocks_}));
    if (durable) TRY_DO(tree_->flush());
    return root;
  }

 private:
  std::string image_path_;
  std::string hash_path_;
  const RootOptions& options_;
  std::unique_ptr<base::FileDevice> image_;
  std::unique_ptr<base::FileDevice> tree_;
  std::optional<verity::HashTreeBuilder> builder_;
  std::uint64_t data_blocks_ = 0;
  std::uint64_t written_ = 0;
};

}  // namespace

Result<ComposedRoot> compose_root(const FileTree& tree, const ContentSource& contents, const RootOptions& options,
                                  const RootFiles& files) {
  PartialFile image(files.image);
  PartialFile hash_tree(files.hash_tree);
  HashingSink sink(image.partial(), files.hash_tree.empty() ? "" : hash_tree.partial(), options);
  erofs::Options erofs_options = options.erofs;
  erofs_options.threads = options.effort.threads;
  TRY(const erofs::Composed composed, erofs::compose(tree, contents, erofs_options, sink, options.effort.advance));
  TRY(const std::optional<verity::RootHash> root, sink.finish());
  TRY_DO(image.complete());
  if (!files.hash_tree.empty()) TRY_DO(hash_tree.complete());
  return ComposedRoot{composed, root};
}

}  // namespace image
