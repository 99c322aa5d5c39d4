#include "image/compose.hpp"

#include <utility>

#include "base/block_device.hpp"
#include "base/partial_file.hpp"
#include "verity/superblock.hpp"

namespace image {

using base::ByteView;
using base::Result;

namespace {

/// Writes the image and hashes it in the same pass.
class HashingSink final : public erofs::ImageSink {
 public:
  /// `hash_tree` may be null: none is made.
  HashingSink(const base::PartialFile& image, const base::PartialFile* hash_tree, const RootOptions& options)
      : image_file_(image), hash_file_(hash_tree), options_(options) {}

  Result<> begin(std::uint64_t size_bytes) override {
    TRY(image_, image_file_.device(size_bytes));
    if (options_.file_digest) sha256_.emplace();
    if (hash_file_ == nullptr) return base::ok();
    TRY(auto geometry, verity::Geometry::of_bytes({.salt = options_.salt}, size_bytes));
    TRY(const std::uint64_t offset,
        verity::tree_offset(0, verity::HasSuperblock::yes, geometry.params().hash_block_size));
    TRY(tree_, hash_file_->device(offset + geometry.tree_bytes()));
    data_blocks_ = geometry.data_blocks();
    TRY(auto builder,
        verity::HashTreeBuilder::create(std::move(geometry), *tree_, offset, {.threads = options_.effort.threads}));
    builder_ = std::move(builder);
    return base::ok();
  }

  Result<> append(ByteView bytes) override {
    if (builder_) TRY_DO(builder_->append(bytes));
    if (sha256_) sha256_->update(bytes);
    TRY_DO(image_->write(written_, bytes));
    written_ += bytes.size();
    return base::ok();
  }

  Result<std::optional<verity::RootHash>> finish() {
    if (!builder_) return std::nullopt;
    TRY(const verity::RootHash root, builder_->finish());
    const base::Uuid uuid = options_.hash_uuid.value_or(base::Uuid::from_digest(root.bytes));
    TRY_DO(verity::write_superblock(*tree_, 0, {uuid, {.salt = options_.salt}, data_blocks_}));
    return root;
  }

  std::optional<base::Sha256Digest> file_digest() { return sha256_ ? std::optional(sha256_->finish()) : std::nullopt; }

 private:
  const base::PartialFile& image_file_;
  const base::PartialFile* hash_file_;
  const RootOptions& options_;
  std::unique_ptr<base::FileDevice> image_;
  std::unique_ptr<base::FileDevice> tree_;
  std::optional<verity::HashTreeBuilder> builder_;
  std::optional<base::Sha256> sha256_;
  std::uint64_t data_blocks_ = 0;
  std::uint64_t written_ = 0;
};

}  // namespace

Result<ComposedRoot> compose_root(const FileTree& tree, const ContentSource& contents, const RootOptions& options,
                                  const RootFiles& files) {
  TRY(base::PartialFile image, base::PartialFile::create(files.image));
  std::optional<base::PartialFile> hash_tree;
  if (!files.hash_tree.empty()) {
    TRY(auto file, base::PartialFile::create(files.hash_tree));
    hash_tree.emplace(std::move(file));
  }
  HashingSink sink(image, hash_tree ? &*hash_tree : nullptr, options);
  erofs::Options erofs_options = options.erofs;
  erofs_options.threads = options.effort.threads;
  TRY(const erofs::Composed composed, erofs::compose(tree, contents, erofs_options, sink, options.effort.advance));
  TRY(const std::optional<verity::RootHash> root, sink.finish());
  TRY_DO(image.complete(options.durability));
  if (hash_tree) TRY_DO(hash_tree->complete(options.durability));
  return ComposedRoot{composed, root, sink.file_digest()};
}

}  // namespace image
