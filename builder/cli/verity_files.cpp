#include "builder/cli/verity_files.hpp"

#include <filesystem>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "base/file.hpp"

namespace builder {

using base::fail;
using base::Kind;
using base::Result;

namespace {

Result<verity::HashTreeParams> params_from(const TreeOptions& options) {
  verity::HashTreeParams params{options.data_block_size, options.hash_block_size, {}};
  if (!options.salt.empty() && options.salt != "-") {
    TRY(params.salt, base::from_hex(options.salt), "the salt");
  }
  return params;
}

Result<verity::Geometry> geometry_from(const TreeOptions& options, const base::BlockDevice& data) {
  TRY(verity::HashTreeParams params, params_from(options));
  if (options.data_blocks) return verity::Geometry::of(std::move(params), *options.data_blocks);
  return verity::Geometry::of_bytes(std::move(params), data.size_bytes());
}

}  // namespace

bool same_file(const std::string& a, const std::string& b) {
  std::error_code ignored;
  return std::filesystem::equivalent(a, b, ignored);
}

Result<TreeFiles> open_tree(const TreeOptions& options, base::Access access) {
  TRY(auto data, base::FileDevice::open(options.data, access));
  TRY(auto hash, base::FileDevice::open(options.hash, access));
  if (options.no_superblock) {
    TRY(verity::Geometry geometry, geometry_from(options, *data), options.data);
    TRY(const std::uint64_t offset,
        verity::tree_offset(options.hash_offset, verity::HasSuperblock::no, options.hash_block_size));
    return TreeFiles{std::move(data), std::move(hash), std::move(geometry), offset};
  }
  TRY(verity::Superblock superblock, verity::read_superblock(*hash, options.hash_offset));
  const std::uint32_t hash_block_size = superblock.params.hash_block_size;
  TRY(verity::Geometry geometry, verity::Geometry::of(std::move(superblock.params), superblock.data_blocks));
  TRY(const std::uint64_t offset,
      verity::tree_offset(options.hash_offset, verity::HasSuperblock::yes, hash_block_size));
  return TreeFiles{std::move(data), std::move(hash), std::move(geometry), offset};
}

Result<TreeFiles> create_tree(const TreeOptions& options) {
  TRY(auto data, base::FileDevice::open(options.data, base::Access::read_only));
  TRY(verity::Geometry geometry, geometry_from(options, *data), options.data);
  if (data->size_bytes() < geometry.data_bytes()) {
    return fail(Kind::invalid_input, fmt::format("{} has {} bytes; {} blocks of data are {} bytes", options.data,
                                                 data->size_bytes(), geometry.data_blocks(), geometry.data_bytes()));
  }
  TRY(const std::uint64_t offset,
      verity::tree_offset(options.hash_offset, options.has_superblock(), options.hash_block_size));
  const bool shared = same_file(options.data, options.hash);
  if (shared && options.hash_offset < geometry.data_bytes()) {
    return fail(Kind::invalid_input,
                fmt::format("{} holds the data up to byte {}; a hash tree at --hash-offset {} would overwrite it",
                            options.hash, geometry.data_bytes(), options.hash_offset));
  }
  const bool nothing_to_write = geometry.tree_bytes() == 0 && options.no_superblock;
  const std::uint64_t end = nothing_to_write ? 0 : offset + geometry.tree_bytes();
  const bool ours_alone = !shared && options.hash_offset == 0;  // nothing lies in front that must be kept
  TRY(auto hash, open_output(options.hash, end, ours_alone ? Existing::replace : Existing::keep));
  return TreeFiles{std::move(data), std::move(hash), std::move(geometry), offset};
}

Result<std::unique_ptr<base::FileDevice>> open_output(const std::string& path, std::uint64_t size_bytes,
                                                      Existing existing) {
  if (existing == Existing::replace || !std::filesystem::exists(path))
    return base::FileDevice::create(path, size_bytes);
  TRY(auto device, base::FileDevice::open(path, base::Access::read_write));
  TRY_DO(device->grow(size_bytes));
  return device;
}

UnfinishedFile::UnfinishedFile(std::string path) : path_(std::move(path)) {
  std::error_code ignored;
  ours_ = !path_.empty() && !std::filesystem::exists(path_, ignored);
}

UnfinishedFile::~UnfinishedFile() {
  std::error_code ignored;
  if (ours_) std::filesystem::remove(path_, ignored);
}

Result<verity::RootHash> root_hash_from(const std::string& text, const std::string& file) {
  if (text.empty() == file.empty()) {
    return fail(Kind::invalid_input, "give the root hash either as an argument or with --root-hash-file");
  }
  if (file.empty()) return verity::RootHash::parse(text);
  TRY(std::string content, base::read_file(file, 4096));
  while (!content.empty() && (content.back() == '\n' || content.back() == '\r')) content.pop_back();
  TRY(const verity::RootHash root, verity::RootHash::parse(content), file);
  return root;
}

}  // namespace builder
