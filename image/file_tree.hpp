#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/file.hpp"
#include "base/result.hpp"

namespace image {

enum class FileType { regular, directory, symlink, character_device, block_device, fifo, socket };

using InodeIndex = std::uint32_t;
/// Names one content of a regular file; equal numbers are equal bytes, which are stored once.
using ContentId = std::uint64_t;

struct DirectoryEntry {
  std::string name;
  InodeIndex inode = 0;
};

/// A file system object. Which members count depends on its type. There are no times: an image has one time.
struct Inode {
  FileType type = FileType::regular;
  std::uint16_t permissions = 0;  // the twelve bits: set-user-ID, set-group-ID, sticky, rwx three times
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::map<std::string, base::Bytes> xattrs;  // by full name, such as "security.capability"

  std::vector<DirectoryEntry> entries;  // directory: bytewise ascending, without "." and ".."
  std::uint64_t size = 0;               // regular: bytes
  ContentId content = 0;                // regular, when size > 0
  std::string target;                   // symlink
  std::uint32_t device_major = 0;       // devices
  std::uint32_t device_minor = 0;
};

/// A root directory and all below it, as a value. Inode 0 is the root; an inode that several entries name is
/// hard-linked.
struct FileTree {
  std::vector<Inode> inodes;
};

/// Checks what every file system demands: entries sorted and distinct, names that can be names, each directory in one
/// place only, every inode reachable, indices within bounds. Fails: invalid_input (names the path).
base::Result<> check(const FileTree& tree);

/// One content from its beginning to its end.
class ContentReader {
 public:
  virtual ~ContentReader() = default;
  /// Fills `into` with the next bytes. Fails: io; corrupt (the content is shorter than its inode says).
  virtual base::Result<> read(base::MutableByteView into) = 0;
};

/// The content of an open file.
std::unique_ptr<ContentReader> content_of(base::File file);

/// The OSTree object that a content came out of: its header says owner, permissions and attributes.
struct StoredObject {
  std::string checksum;
  base::Bytes header;
};

/// Where the bytes of regular files come from: a directory, an OSTree repository, a test. Threads may share one.
class ContentSource {
 public:
  virtual ~ContentSource() = default;
  virtual base::Result<std::unique_ptr<ContentReader>> open(ContentId content) const = 0;
  /// Set when the content lies in a repository: committed there again, it need not be read.
  virtual const StoredObject* stored_as(ContentId /*content*/) const { return nullptr; }
};

/// A file tree, and where the bytes of its files are.
struct SourcedTree {
  FileTree tree;
  std::unique_ptr<ContentSource> contents;
};

}  // namespace image
