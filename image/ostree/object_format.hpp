#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "image/file_tree.hpp"

namespace image::ostree {

// The bytes of OSTree's objects. An object's checksum is SHA-256 over these bytes: of a file over its header and then
// its content, whatever way a repository keeps it. Numbers in them are big-endian, whatever GLib's own order. Source:
// libostree, ostree-core.h: OSTREE_TREE_GVARIANT_FORMAT and its siblings; ostree_checksum_file_from_input().

/// What stands before the content of a file, or instead of one for a link: owner, permissions, target, attributes.
/// Only for regular files and links.
base::Bytes file_header(const Inode& inode);

struct FileEntry {
  std::string_view name;
  std::string_view checksum;
};
struct DirectoryEntryObject {
  std::string_view name;
  std::string_view contents;  // checksum of its dirtree
  std::string_view metadata;  // checksum of its dirmeta
};
/// Names of a directory, both lists bytewise ascending.
base::Bytes dirtree(const std::vector<FileEntry>& files, const std::vector<DirectoryEntryObject>& directories);
/// Owner, permissions and attributes of a directory.
base::Bytes dirmeta(const Inode& directory);

/// A dirtree, read: strings of its own.
struct ReadDirtree {
  struct File {
    std::string name;
    std::string checksum;
  };
  struct Directory {
    std::string name;
    std::string contents;
    std::string metadata;
  };
  std::vector<File> files;
  std::vector<Directory> directories;
};
/// Fails: corrupt (not in normal form, a name or checksum that cannot be one).
base::Result<ReadDirtree> read_dirtree(base::ByteView bytes);
/// A directory without entries. Fails: corrupt.
base::Result<Inode> read_dirmeta(base::ByteView bytes);

struct CommitFacts {
  std::string subject;
  std::string body;
  std::uint64_t time = 0;                       // seconds since 1970
  std::map<std::string, std::string> metadata;  // strings, such as "version"
  std::string parent;                           // checksum, or empty
};
struct CommitObject {
  CommitFacts facts;
  std::string root_contents;
  std::string root_metadata;
};
base::Bytes commit_object(const CommitObject& commit);
/// Metadata that is no string is left out of the facts. Fails: corrupt.
base::Result<CommitObject> read_commit_object(base::ByteView bytes);

}  // namespace image::ostree
