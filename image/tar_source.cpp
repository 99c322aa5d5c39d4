#include "image/tar_source.hpp"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <cerrno>
#include <clocale>
#include <map>
#include <utility>
#include <vector>

#include "base/digest.hpp"
#include "base/file.hpp"
#include "base/owned.hpp"
#include "image/tree_edit.hpp"

namespace image {

using base::Bytes;
using base::ByteView;
using base::fail;
using base::Kind;
using base::MutableByteView;
using base::Result;

namespace {

using ArchiveReader = base::Owned<archive, &archive_read_free>;

constexpr std::size_t max_inodes = 4'000'000;
constexpr std::size_t max_xattrs_bytes = std::size_t{1} << 20;  // of one entry

/// libarchive turns a pax header's UTF-8 into the thread's character set, and fails where that is ASCII.
class Utf8Locale {
 public:
  Utf8Locale() : utf8_(::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)) {
    if (utf8_ != nullptr) before_ = ::uselocale(utf8_);
  }
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;
  ~Utf8Locale() {
    if (utf8_ == nullptr) return;
    ::uselocale(before_);
    ::freelocale(utf8_);
  }

 private:
  locale_t utf8_;
  locale_t before_ = nullptr;
};

/// The contents, back to back in a file that has no name.
class Spool {
 public:
  explicit Spool(base::File file) : file_(std::move(file)) {}

  Result<> append(ByteView bytes) {
    TRY_DO(file_.write_all(size_, bytes), "keeping the contents of the archive");
    size_ += bytes.size();
    return base::ok();
  }
  /// Forgets what lies behind.
  void truncate(std::uint64_t size) { size_ = size; }
  std::uint64_t size() const { return size_; }
  const base::File& file() const { return file_; }

 private:
  base::File file_;
  std::uint64_t size_ = 0;
};

class SpooledReader final : public ContentReader {
 public:
  SpooledReader(const base::File& file, std::uint64_t offset) : file_(file), offset_(offset) {}
  Result<> read(MutableByteView into) override {
    TRY_DO(file_.read_exactly(offset_, into));
    offset_ += into.size();
    return base::ok();
  }

 private:
  const base::File& file_;
  std::uint64_t offset_;
};

class SpooledContents final : public ContentSource {
 public:
  SpooledContents(Spool spool, std::vector<std::uint64_t> offsets)
      : spool_(std::move(spool)), offsets_(std::move(offsets)) {}
  Result<std::unique_ptr<ContentReader>> open(ContentId content) const override {
    return std::make_unique<SpooledReader>(spool_.file(), offsets_.at(content));
  }

 private:
  Spool spool_;
  std::vector<std::uint64_t> offsets_;  // by ContentId
};

/// "./usr//bin/" as "/usr/bin".
std::string path_of(std::string_view in_archive) {
  std::string path;
  while (!in_archive.empty()) {
    const std::string_view part = in_archive.substr(0, in_archive.find('/'));
    in_archive.remove_prefix(std::min(part.size() + 1, in_archive.size()));
    if (!part.empty() && part != ".") path.append("/").append(part);
  }
  return path;
}

class TarReader {
 public:
  TarReader(archive& from, std::string name, Spool spool)
      : archive_(from), name_(std::move(name)), spool_(std::move(spool)) {
    add_inode(tree_, directory_inode());
  }

  Result<SourcedTree> read() {
    while (true) {
      archive_entry* entry = nullptr;
      const int status = archive_read_next_header(&archive_, &entry);
      if (status == ARCHIVE_EOF) break;
      if (status != ARCHIVE_OK) return said("reading an entry's header");
      const char* path = archive_entry_pathname(entry);
      if (path == nullptr) return fail(Kind::corrupt, name_ + ": an entry has no path");
      TRY_DO(take(*entry, path_of(path)), name_ + ": the entry \"" + path + "\"");
    }
    FileTree tree = tidied(tree_);
    TRY_DO(check(tree), name_);
    return SourcedTree{std::move(tree), std::make_unique<SpooledContents>(std::move(spool_), std::move(offsets_))};
  }

 private:
  std::unexpected<base::Error> said(const std::string& doing) const {
    const char* text = archive_error_string(&archive_);
    const Kind kind = archive_errno(&archive_) == ENOMEM ? Kind::io : Kind::corrupt;
    return std::unexpected(
        base::Error(kind, text != nullptr ? text : "no reason given").while_doing(name_ + ": " + doing));
  }

  Result<> take(archive_entry& entry, const std::string& path) {
    if (tree_.inodes.size() >= max_inodes) {
      return fail(Kind::invalid_input, "there are more than " + std::to_string(max_inodes) + " entries");
    }
    if (archive_entry_hardlink(&entry) != nullptr) return link(path, path_of(archive_entry_hardlink(&entry)));
    TRY(Inode inode, inode_of(entry));
    if (path.empty()) {
      if (inode.type != FileType::directory) return fail(Kind::invalid_input, "the root is no directory");
      inode.entries = std::move(tree_.inodes[0].entries);
      tree_.inodes[0] = std::move(inode);
      return base::ok();
    }
    const std::size_t slash = path.rfind('/');
    TRY(const InodeIndex directory, make_directories(tree_, path.substr(0, slash)));
    const std::string name = path.substr(slash + 1);
    if (name == "..") return fail(Kind::invalid_input, "its path has \"..\"");
    if (const DirectoryEntry* old = find_entry(tree_, directory, name); old != nullptr) {
      Inode& there = tree_.inodes[old->inode];
      if (inode.type == FileType::directory && there.type == FileType::directory) {
        inode.entries = std::move(there.entries);
        there = std::move(inode);
        return base::ok();
      }
    }
    set_entry(tree_, directory, name, add_inode(tree_, std::move(inode)));
    return base::ok();
  }

  Result<> link(const std::string& path, const std::string& to) {
    const auto target = find(tree_, to);
    if (!target || tree_.inodes[*target].type == FileType::directory) {
      return fail(Kind::invalid_input, "it is a hard link to \"" + to + "\", which is no file before it");
    }
    const std::size_t slash = path.rfind('/');
    if (slash == std::string::npos) return fail(Kind::invalid_input, "the root is no directory");
    TRY(const InodeIndex directory, make_directories(tree_, path.substr(0, slash)));
    set_entry(tree_, directory, path.substr(slash + 1), *target);
    return base::ok();
  }

  Result<Inode> inode_of(archive_entry& entry) {
    Inode inode;
    inode.permissions = static_cast<std::uint16_t>(archive_entry_perm(&entry) & 07777U);
    TRY(inode.uid, id_of("user", archive_entry_uid(&entry)));
    TRY(inode.gid, id_of("group", archive_entry_gid(&entry)));
    TRY(inode.xattrs, xattrs_of(entry));
    switch (archive_entry_filetype(&entry)) {
      case AE_IFREG:
        TRY_DO(keep_content(inode));
        return inode;
      case AE_IFDIR:
        inode.type = FileType::directory;
        return inode;
      case AE_IFLNK: {
        const char* target = archive_entry_symlink(&entry);
        if (target == nullptr || *target == '\0') return fail(Kind::corrupt, "it is a link to nothing");
        inode.type = FileType::symlink;
        inode.target = target;
        return inode;
      }
      case AE_IFCHR:
      case AE_IFBLK:
        inode.type = archive_entry_filetype(&entry) == AE_IFCHR ? FileType::character_device : FileType::block_device;
        inode.device_major = static_cast<std::uint32_t>(archive_entry_rdevmajor(&entry));
        inode.device_minor = static_cast<std::uint32_t>(archive_entry_rdevminor(&entry));
        return inode;
      case AE_IFIFO:
        inode.type = FileType::fifo;
        return inode;
      case AE_IFSOCK:
        inode.type = FileType::socket;
        return inode;
      default:
        return fail(Kind::unsupported, "it is of no type that we know");
    }
  }

  static Result<std::uint32_t> id_of(const char* what, std::int64_t id) {
    if (id >= 0 && id < 0xffffffff) return static_cast<std::uint32_t>(id);
    return fail(Kind::invalid_input, std::string("the ") + what + " number " + std::to_string(id) + " cannot be one");
  }

  static Result<std::map<std::string, Bytes>> xattrs_of(archive_entry& entry) {
    std::map<std::string, Bytes> xattrs;
    const char* name = nullptr;
    const void* value = nullptr;
    std::size_t size = 0;
    std::size_t total = 0;
    archive_entry_xattr_reset(&entry);
    while (archive_entry_xattr_next(&entry, &name, &value, &size) == ARCHIVE_OK) {
      total += size;
      if (total > max_xattrs_bytes) return fail(Kind::invalid_input, "its extended attributes have more than 1 MiB");
      const auto* bytes = static_cast<const std::byte*>(value);
      xattrs.emplace(name, Bytes(bytes, bytes + size));
    }
    return xattrs;
  }

  /// Reads the entry's content into the spool; what is there already is not kept again.
  Result<> keep_content(Inode& inode) {
    const std::uint64_t start = spool_.size();
    base::Sha256 digest;
    while (true) {
      const ssize_t have = archive_read_data(&archive_, buffer_.data(), buffer_.size());
      if (have == 0) break;
      if (have < 0) return said("reading a file");
      const ByteView piece = ByteView(buffer_).first(static_cast<std::size_t>(have));
      digest.update(piece);
      TRY_DO(spool_.append(piece));
    }
    inode.size = spool_.size() - start;
    if (inode.size == 0) return base::ok();
    const auto [known, fresh] = known_.emplace(digest.finish(), offsets_.size());
    if (fresh) {
      offsets_.push_back(start);
    } else {
      spool_.truncate(start);
    }
    inode.content = known->second;
    return base::ok();
  }

  archive& archive_;
  std::string name_;
  Spool spool_;
  FileTree tree_;
  std::map<base::Sha256Digest, ContentId> known_;
  std::vector<std::uint64_t> offsets_;
  Bytes buffer_ = Bytes(std::size_t{256} << 10);
};

}  // namespace

Result<SourcedTree> read_tar(int fd, const std::string& name, const std::string& spool_directory) {
  const Utf8Locale utf8;
  const ArchiveReader reader(archive_read_new());
  if (!reader || archive_read_support_filter_all(reader.get()) < ARCHIVE_WARN ||
      archive_read_support_format_tar(reader.get()) != ARCHIVE_OK ||
      archive_read_open_fd(reader.get(), fd, std::size_t{256} << 10) != ARCHIVE_OK) {
    const char* text = reader ? archive_error_string(reader.get()) : nullptr;
    return fail(Kind::corrupt, name + ": " + (text != nullptr ? text : "libarchive cannot read it"));
  }
  TRY(base::File spool, base::File::nameless(spool_directory));
  return TarReader(*reader, name, Spool(std::move(spool))).read();
}

}  // namespace image
