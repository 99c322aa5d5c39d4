#include <algorithm>
#include <atomic>
#include <map>
#include <set>
#include <utility>

#include "base/digest.hpp"
#include "base/processors.hpp"
#include "image/ostree/commit.hpp"
#include "image/ostree/embedded_repository.hpp"
#include "image/tree_edit.hpp"

namespace image {

using base::Bytes;
using base::ByteView;
using base::fail;
using base::Kind;
using base::MutableByteView;
using base::Result;
using ostree::ObjectType;

namespace {

/// More than any root has; a hostile commit could name one directory in itself again and again.
constexpr std::size_t max_entries = 4'000'000;

Result<> check_digest(const base::Sha256Digest& found, const StoredObject& object) {
  if (base::to_hex(found) == object.checksum) return base::ok();
  return fail(Kind::corrupt, "the file object " + object.checksum + " has other bytes than its checksum says");
}

/// Has the object's checksum vouch for the last byte before it hands it out.
class CheckedContent final : public ContentReader {
 public:
  CheckedContent(std::unique_ptr<ContentReader> content, const StoredObject& object, std::uint64_t size)
      : content_(std::move(content)), object_(object), left_(size) {
    digest_.update(object.header);
  }

  Result<> read(MutableByteView into) override {
    TRY_DO(content_->read(into));
    digest_.update(into);
    left_ -= into.size();
    return left_ > 0 ? base::ok() : check_digest(digest_.finish(), object_);
  }

 private:
  std::unique_ptr<ContentReader> content_;
  const StoredObject& object_;
  std::uint64_t left_;
  base::Sha256 digest_;
};

class MemoryContent final : public ContentReader {
 public:
  explicit MemoryContent(ByteView left) : left_(left) {}
  Result<> read(MutableByteView into) override {
    if (into.size() > left_.size()) return fail(Kind::corrupt, "an object is shorter than its inode says");
    std::ranges::copy(left_.first(into.size()), into.begin());
    left_ = left_.subspan(into.size());
    return base::ok();
  }

 private:
  ByteView left_;
};

/// Contents of the files of a commit, and of the small files around its objects.
class CommitContents final : public ContentSource {
 public:
  CommitContents(ostree::Repository repository, ContentCheck check)
      : repository_(std::move(repository)), check_(check) {}

  ContentId add(StoredObject object, std::uint64_t size) {
    contents_.push_back({std::move(object), size, {}});
    return contents_.size() - 1;
  }
  ContentId add(Bytes bytes) {
    contents_.push_back({{}, bytes.size(), std::move(bytes)});
    return contents_.size() - 1;
  }

  Result<std::unique_ptr<ContentReader>> open(ContentId id) const override {
    const Content& content = contents_.at(id);
    if (content.object.checksum.empty()) return std::make_unique<MemoryContent>(content.bytes);
    TRY(auto reader, repository_.open_file(content.object.checksum));
    if (check_ == ContentCheck::none) return reader;
    return std::make_unique<CheckedContent>(std::move(reader), content.object, content.size);
  }

  const StoredObject* stored_as(ContentId id) const override {
    const Content& content = contents_.at(id);
    return content.object.checksum.empty() ? nullptr : &content.object;
  }

 private:
  struct Content {
    StoredObject object;
    std::uint64_t size;
    Bytes bytes;  // instead of an object
  };
  ostree::Repository repository_;
  ContentCheck check_;
  std::vector<Content> contents_;
};

class CommitWalk {
 public:
  CommitWalk(const ostree::Repository& repository, const std::string& commit, ContentCheck check)
      : repository_(repository), commit_(commit), contents_(std::make_unique<CommitContents>(repository, check)) {}

  Result<CommitTree> read(EmbeddedRepository embedded) {
    TRY(const Bytes* commit, load(ObjectType::commit, commit_));
    TRY(ostree::CommitObject object, ostree::read_commit_object(*commit), "the commit " + commit_);
    TRY(Inode root, directory(object.root_metadata));
    add_inode(tree_, std::move(root));
    TRY_DO(walk(0, "", object.root_contents));
    TRY_DO(load_files());
    if (embedded == EmbeddedRepository::bare) {
      TRY_DO(ostree::embed_repository(tree_, commit_, embedded_ref, metadata_, file_inodes_,
                                      [this](Bytes bytes) { return contents_->add(std::move(bytes)); }));
      tree_ = tidied(tree_);
    }
    TRY_DO(check(tree_), "the commit " + commit_);
    return CommitTree{{std::move(tree_), std::move(contents_)}, std::move(object.facts)};
  }

 private:
  Result<const Bytes*> load(ObjectType type, const std::string& checksum) {
    const auto key = std::pair(type, checksum);
    if (const auto known = metadata_.find(key); known != metadata_.end()) return &known->second;
    TRY(Bytes bytes, repository_.load_metadata(type, checksum));
    return &metadata_.emplace(key, std::move(bytes)).first->second;
  }

  Result<Inode> directory(const std::string& metadata) {
    TRY(const Bytes* bytes, load(ObjectType::dirmeta, metadata));
    return ostree::read_dirmeta(*bytes);
  }

  /// The inode of a file object, to be loaded when the walk is over; `path` is the first that names it.
  InodeIndex file(const std::string& checksum, std::string path) {
    const auto [known, fresh] = file_inodes_.emplace(checksum, static_cast<InodeIndex>(tree_.inodes.size()));
    if (fresh) {
      add_inode(tree_, {});
      to_load_.push_back({known->second, &known->first, std::move(path)});
    }
    return known->second;
  }

  /// Owner, permissions, attributes: a few system calls for each of thousands of objects, on all processors.
  Result<> load_files() {
    std::vector<Result<>> done(to_load_.size(), base::ok());
    std::vector<Bytes> headers(to_load_.size());
    std::atomic<std::size_t> next = 0;
    base::run_on_threads(0, [&] {
      for (std::size_t i = next++; i < to_load_.size(); i = next++) done[i] = load_file(to_load_[i], headers[i]);
    });
    for (std::size_t i = 0; i < to_load_.size(); ++i) {
      TRY_DO(std::move(done[i]), to_load_[i].path);
      Inode& inode = tree_.inodes[to_load_[i].inode];
      if (inode.size > 0) inode.content = contents_->add({*to_load_[i].checksum, std::move(headers[i])}, inode.size);
    }
    return base::ok();
  }

  struct FileToLoad {
    InodeIndex inode;
    const std::string* checksum;
    std::string path;
  };

  Result<> load_file(const FileToLoad& file, Bytes& header) {
    TRY(tree_.inodes[file.inode], repository_.load_file(*file.checksum));
    header = ostree::file_header(tree_.inodes[file.inode]);
    if (tree_.inodes[file.inode].size > 0) return base::ok();
    // Nobody will read it, so its checksum is compared here: of an empty file or a link it covers the header alone.
    return check_digest(base::sha256(header), {*file.checksum, header});
  }

  Result<> walk(InodeIndex at, const std::string& path, const std::string& contents) {
    if (path.size() > 4095) return fail(Kind::invalid_input, "a path is longer than 4095 bytes: " + path);
    TRY(const Bytes* bytes, load(ObjectType::dirtree, contents));
    TRY(const ostree::ReadDirtree listed, ostree::read_dirtree(*bytes), path.empty() ? "/" : path);
    entries_ += listed.files.size() + listed.directories.size();
    if (entries_ > max_entries) {
      return fail(Kind::invalid_input, "the commit has more than " + std::to_string(max_entries) + " entries");
    }
    std::vector<DirectoryEntry> entries;
    entries.reserve(listed.files.size() + listed.directories.size());
    for (const auto& entry : listed.files) {
      entries.push_back({entry.name, file(entry.checksum, path + "/" + entry.name)});
    }
    for (const auto& entry : listed.directories) {
      TRY(Inode inode, directory(entry.metadata), path + "/" + entry.name);
      const InodeIndex index = add_inode(tree_, std::move(inode));
      entries.push_back({entry.name, index});
      TRY_DO(walk(index, path + "/" + entry.name, entry.contents));
    }
    std::ranges::sort(entries, {}, &DirectoryEntry::name);
    tree_.inodes[at].entries = std::move(entries);
    return base::ok();
  }

  const ostree::Repository& repository_;
  const std::string& commit_;
  FileTree tree_;
  std::unique_ptr<CommitContents> contents_;
  std::map<std::string, InodeIndex> file_inodes_;  // by checksum
  std::vector<FileToLoad> to_load_;
  ostree::MetadataObjects metadata_;
  std::size_t entries_ = 0;
};

}  // namespace

Result<CommitTree> read_commit(const ostree::Repository& repository, const std::string& commit,
                               EmbeddedRepository embedded, ContentCheck content_check) {
  return CommitWalk(repository, commit, content_check).read(embedded);
}

}  // namespace image
