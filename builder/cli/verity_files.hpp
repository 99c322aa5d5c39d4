#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/block_device.hpp"
#include "base/partial_file.hpp"
#include "base/result.hpp"
#include "verity/certificate.hpp"
#include "verity/geometry.hpp"
#include "verity/hash_tree.hpp"
#include "verity/root_hash.hpp"
#include "verity/superblock.hpp"

namespace builder {

/// What the command line says about data and tree; the same words as veritysetup's.
struct TreeOptions {
  std::string data;
  std::string hash;
  std::uint64_t hash_offset = 0;
  bool no_superblock = false;
  // A superblock holds these; without one they come from the command line.
  std::optional<std::uint64_t> data_blocks;
  std::uint32_t data_block_size = 4096;
  std::uint32_t hash_block_size = 4096;
  std::string salt;  // hexadecimal; "" or "-": none

  verity::HasSuperblock has_superblock() const {
    return no_superblock ? verity::HasSuperblock::no : verity::HasSuperblock::yes;
  }
};

/// A file or block device to write to, that is read back too. A regular file of which nothing is to be kept is written
/// beside its name, which it gets when it is finished; what fails or is interrupted before leaves nothing behind.
class OutputFile {
 public:
  enum class Existing { keep, replace };
  /// Fails: permission, io, no_space.
  static base::Result<OutputFile> open(const std::string& path, std::uint64_t size_bytes, Existing existing);
  /// What is there, to be read only or changed in place.
  static base::Result<OutputFile> open_existing(const std::string& path, base::Access access);

  base::FileDevice& device() { return *device_; }
  const base::FileDevice& device() const { return *device_; }
  /// Durable on return, and under its name.
  base::Result<> finish();

 private:
  std::unique_ptr<base::FileDevice> device_;
  std::optional<base::PartialFile> partial_;
};

/// Data and its tree, opened.
struct TreeFiles {
  std::unique_ptr<base::FileDevice> data;
  OutputFile hash;
  verity::Geometry geometry;
  std::uint64_t tree_offset = 0;  // bytes on `hash`
};

/// Opens what is there; parameters from the superblock unless the options say that there is none.
base::Result<TreeFiles> open_tree(const TreeOptions& options, base::Access access);
/// Opens the data and makes room for a tree: an empty hash file, or space in the one given by --hash-offset.
/// Fails also: invalid_input when tree and data would overlap in one file.
base::Result<TreeFiles> create_tree(const TreeOptions& options);

/// Whether both names are of one file, be it there already or not.
bool same_file(const std::string& a, const std::string& b);

/// A salt in hexadecimal; "" or "-": none. Fails: invalid_input.
base::Result<base::Bytes> salt_from(const std::string& text);

/// All certificates of all these files. Fails: as verity::read_certificates().
base::Result<std::vector<verity::Certificate>> certificates_from(const std::vector<std::string>& paths);

/// A root hash given as text or in a file; exactly one of the two. Fails: invalid_input, not_found.
base::Result<verity::RootHash> root_hash_from(const std::string& text, const std::string& file);

}  // namespace builder
