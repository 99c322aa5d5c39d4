#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "image/file_tree.hpp"

namespace image::erofs {

/// The extended attributes of a tree as they will lie on disk: what two inodes or more have in common is stored once.
class Xattrs {
 public:
  /// Fails: invalid_input (an attribute whose name or size EROFS cannot hold).
  static base::Result<Xattrs> plan(const FileTree& tree);

  /// The shared attributes, back to back; an inode names one by its offset in units of 4 bytes.
  const base::Bytes& shared() const { return shared_; }
  /// What lies behind an inode: header, numbers of shared attributes, attributes of its own. Empty when it has none.
  base::Bytes body(const Inode& inode) const;
  /// body(inode).size(), without making it.
  std::size_t body_size(const Inode& inode) const;

 private:
  using Key = std::pair<std::string, base::Bytes>;

  std::map<Key, std::uint32_t> shared_at_;  // to the offset, in units of 4 bytes
  base::Bytes shared_;
};

/// An attribute as it lies on disk, and how many bytes it takes there.
struct XattrOnDisk {
  std::string name;
  base::Bytes value;
  std::size_t size_bytes = 0;
};
/// Reads the attribute with which `from` begins. Fails: corrupt (`from` ends too soon, or no such name can be),
/// unsupported (a prefix that Linux does not know).
base::Result<XattrOnDisk> read_xattr(base::ByteView from);

}  // namespace image::erofs
