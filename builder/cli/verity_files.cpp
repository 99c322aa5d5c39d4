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
  TRY(params.salt, salt_from(options.salt));
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
  if (std::filesystem::equivalent(a, b, ignored)) return true;
  return !a.empty() && std::filesystem::weakly_canonical(a, ignored) == std::filesystem::weakly_canonical(b, ignored);
}

Result<TreeFiles> open_tree(const TreeOptions& options, base::Access access) {
  TRY(auto data, base::FileDevice::open(options.data, access));
  TRY(OutputFile hash, OutputFile::open_existing(options.hash, access));
  if (options.no_superblock) {
    TRY(verity::Geometry geometry, geometry_from(options, *data), options.data);
    TRY(const std::uint64_t offset,
        verity::tree_offset(options.hash_offset, verity::HasSuperblock::no, options.hash_block_size));
    return TreeFiles{std::move(data), std::move(hash), std::move(geometry), offset};
  }
  TRY(verity::Superblock superblock, verity::read_superblock(hash.device(), options.hash_offset));
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
  using enum OutputFile::Existing;
  TRY(OutputFile hash, OutputFile::open(options.hash, end, ours_alone ? replace : keep));
  return TreeFiles{std::move(data), std::move(hash), std::move(geometry), offset};
}

Result<OutputFile> OutputFile::open(const std::string& path, std::uint64_t size_bytes, Existing existing) {
  std::error_code ignored;
  const auto status = std::filesystem::status(path, ignored);
  const bool there = std::filesystem::exists(status);
  if (there && (existing == Existing::keep || !std::filesystem::is_regular_file(status))) {
    TRY(OutputFile file, open_existing(path, base::Access::read_write));
    TRY_DO(file.device_->grow(size_bytes));
    return file;
  }
  OutputFile file;
  TRY(auto partial, base::PartialFile::create(path));
  file.partial_.emplace(std::move(partial));
  TRY(file.device_, file.partial_->device(size_bytes));
  return file;
}

Result<OutputFile> OutputFile::open_existing(const std::string& path, base::Access access) {
  OutputFile file;
  TRY(file.device_, base::FileDevice::open(path, access));
  return file;
}

Result<> OutputFile::finish() {
  return partial_ ? partial_->complete() : device_->flush();
}

Result<base::Bytes> salt_from(const std::string& text) {
  if (text.empty() || text == "-") return base::Bytes();
  TRY(base::Bytes salt, base::from_hex(text), "the salt");
  return salt;
}

Result<std::vector<verity::Certificate>> certificates_from(const std::vector<std::string>& paths) {
  std::vector<verity::Certificate> certificates;
  for (const std::string& path : paths) {
    TRY(const std::vector<verity::Certificate> read, verity::read_certificates(path));
    certificates.insert(certificates.end(), read.begin(), read.end());
  }
  return certificates;
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
