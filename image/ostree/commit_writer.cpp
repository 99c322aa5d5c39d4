#include <optional>
#include <utility>
#include <vector>

#include "image/ostree/commit.hpp"
#include "image/ostree/glib.hpp"

namespace image {

using base::Bytes;
using base::fail;
using base::Kind;
using base::Result;
using ostree::ObjectType;
using ostree::Repository;

namespace {

/// Names, targets and messages are strings of GVariant's.
Result<> check_utf8(const std::string& text, const std::string& what) {
  if (g_utf8_validate(text.c_str(), static_cast<gssize>(text.size()), nullptr) != FALSE) return base::ok();
  return fail(Kind::invalid_input, what + " is not UTF-8, as OSTree demands");
}

class CommitWriter {
 public:
  CommitWriter(const Repository& repository, Repository::Transaction& transaction, const SourcedTree& root)
      : repository_(repository), transaction_(transaction), root_(root), written_(root.tree.inodes.size()) {}

  Result<std::string> write(const ostree::CommitFacts& facts) {
    TRY(std::string contents, write_directory(0, ""));
    TRY(std::string metadata, transaction_.write_metadata(ObjectType::dirmeta, ostree::dirmeta(inode(0))));
    return transaction_.write_metadata(ObjectType::commit,
                                       ostree::commit_object({facts, std::move(contents), std::move(metadata)}));
  }

 private:
  const Inode& inode(InodeIndex index) const { return root_.tree.inodes[index]; }

  Result<std::string> write_directory(InodeIndex directory, const std::string& path) {
    std::vector<ostree::FileEntry> files;
    std::vector<ostree::DirectoryEntryObject> directories;
    std::vector<std::pair<std::string, std::string>> below;  // checksums that `directories` views
    below.reserve(inode(directory).entries.size());
    for (const DirectoryEntry& entry : inode(directory).entries) {
      const std::string entry_path = path + "/" + entry.name;
      TRY_DO(check_utf8(entry.name, "the name of " + entry_path));
      if (inode(entry.inode).type != FileType::directory) {
        TRY(const std::string* checksum, write_file(entry.inode), entry_path);
        files.push_back({entry.name, *checksum});
        continue;
      }
      TRY(std::string contents, write_directory(entry.inode, entry_path));
      TRY(std::string metadata, transaction_.write_metadata(ObjectType::dirmeta, ostree::dirmeta(inode(entry.inode))),
          entry_path);
      const auto& [c, m] = below.emplace_back(std::move(contents), std::move(metadata));
      directories.push_back({entry.name, c, m});
    }
    return transaction_.write_metadata(ObjectType::dirtree, ostree::dirtree(files, directories));
  }

  Result<const std::string*> write_file(InodeIndex index) {
    if (written_[index]) return &*written_[index];
    const Inode& file = inode(index);
    if (file.type != FileType::regular && file.type != FileType::symlink) {
      return fail(Kind::invalid_input,
                  "OSTree holds files, links and directories; this is a device, a pipe or a socket");
    }
    TRY_DO(check_utf8(file.target, "the link's target"));
    const Bytes header = ostree::file_header(file);
    const StoredObject* stored = file.size > 0 ? root_.contents->stored_as(file.content) : nullptr;
    if (stored != nullptr && stored->header == header && repository_.has_file(stored->checksum)) {
      return &written_[index].emplace(stored->checksum);
    }
    std::unique_ptr<ContentReader> content;
    if (file.size > 0) {
      TRY(content, root_.contents->open(file.content));
    }
    TRY(std::string checksum, transaction_.write_file(header, content.get(), file.size));
    return &written_[index].emplace(std::move(checksum));
  }

  const Repository& repository_;
  Repository::Transaction& transaction_;
  const SourcedTree& root_;
  std::vector<std::optional<std::string>> written_;  // checksums of files, by inode
};

}  // namespace

Result<std::string> write_commit(Repository& repository, const SourcedTree& root, const ostree::CommitFacts& facts) {
  TRY_DO(check(root.tree));
  TRY_DO(check_utf8(facts.subject, "the commit's subject"));
  TRY_DO(check_utf8(facts.body, "the commit's body"));
  for (const auto& [key, value] : facts.metadata) {
    TRY_DO(check_utf8(key, "a key of the commit's metadata"));
    TRY_DO(check_utf8(value, "the commit's metadata \"" + key + "\""));
  }
  TRY(Repository::Transaction transaction, repository.begin());
  TRY(std::string commit, CommitWriter(repository, transaction, root).write(facts));
  TRY_DO(transaction.commit());
  return commit;
}

}  // namespace image
