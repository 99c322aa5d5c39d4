#pragma once

#include <string>

#include "base/result.hpp"
#include "image/file_tree.hpp"
#include "image/ostree/object_format.hpp"
#include "image/ostree/repository.hpp"

namespace image {

/// Whether the root gets its own repository, in /ostree/repo.
enum class EmbeddedRepository {
  none,
  /// A bare repository of exactly this commit, whose files are the tree's own inodes: what a node updates from. Root's
  /// alone (0700), since in it files lie outside the directories that guard them. The ref is embedded_ref.
  bare,
};
inline constexpr const char* embedded_ref = "os";

/// Whether files are checked against their objects' checksums while they are read. (Metadata always are.)
enum class ContentCheck {
  checksums,
  none,  // for who compares the root hash of what he composes
};

struct CommitTree {
  SourcedTree root;
  ostree::CommitFacts facts;
};

/// The tree of a commit. Paths that are one object are one inode; the order of inodes is that of the walk, so that it
/// depends on the commit alone, not on the kind of repository or on which of its parents has an object. A reader of the
/// contents fails as the repository does, and with corrupt (naming the object) where ContentCheck finds other bytes.
///
/// commit    64 hexadecimal digits (see Repository::resolve)
/// Fails:    not_found, corrupt (names the object); invalid_input (see check(FileTree)); io
base::Result<CommitTree> read_commit(const ostree::Repository& repository, const std::string& commit,
                                     EmbeddedRepository embedded, ContentCheck content_check = ContentCheck::checksums);

/// Writes a tree as a commit, all or nothing, and returns its checksum; the same tree and facts give the same one. What
/// OSTree cannot hold is refused: devices, pipes, sockets. Equal files become one object. A file that came out of a
/// repository (ContentSource::stored_as) and is in this one already is not read.
///
/// Fails: invalid_input (names the path); no_space, permission, io; as the contents' readers do
base::Result<std::string> write_commit(ostree::Repository& repository, const SourcedTree& root,
                                       const ostree::CommitFacts& facts);

}  // namespace image
