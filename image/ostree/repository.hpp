#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "image/file_tree.hpp"

struct OstreeRepo;

namespace image::ostree {

/// How a repository keeps files.
enum class Mode {
  bare,       // as they are; writing needs root
  bare_user,  // as the user's own files, with owner and permissions in an attribute
  archive,    // compressed, for a web server
};

enum class ObjectType { file, dirtree, dirmeta, commit };
/// The end of an object's file name in a bare repository: "file", "dirtree", "dirmeta", "commit".
const char* to_string(ObjectType type);

/// A repository of OSTree's (libostree). Its parent's objects count as its own. Threads may read from one together.
class Repository {
 public:
  /// Fails: not_found, permission, io; the frame names the path.
  static base::Result<Repository> open(const std::string& path);
  /// Makes one where nothing is, or opens what is there. Fails: permission, io; invalid_input (it has another mode).
  static base::Result<Repository> create(const std::string& path, Mode mode);

  const std::string& path() const { return path_; }

  /// The commit that a ref or a checksum names. Fails: not_found.
  base::Result<std::string> resolve(const std::string& ref) const;
  /// Makes `ref` name `commit`.
  base::Result<> set_ref(const std::string& ref, const std::string& commit);
  /// Without a complaint where there is no such ref.
  base::Result<> remove_ref(const std::string& ref);
  /// Drops all objects that no ref needs, and returns how many bytes that were.
  base::Result<std::uint64_t> prune();

  /// A metadata object, checked against its checksum. Fails: not_found; corrupt (names the object).
  base::Result<base::Bytes> load_metadata(ObjectType type, const std::string& checksum) const;
  /// A regular file or link as an inode: `size` set, `content` not. Fails: not_found, io.
  base::Result<Inode> load_file(const std::string& checksum) const;
  /// The bytes of a regular file, unchecked. Fails: not_found, io.
  base::Result<std::unique_ptr<ContentReader>> open_file(const std::string& checksum) const;

  bool has_file(const std::string& checksum) const;

  /// What is written between these is seen together or not at all. Without an end the writes are dropped.
  class Transaction {
   public:
    Transaction(Transaction&&) noexcept = default;
    Transaction& operator=(Transaction&&) = delete;
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;
    ~Transaction();

    /// Returns the checksum.
    base::Result<std::string> write_metadata(ObjectType type, base::ByteView bytes);
    /// `header` as file_header() makes it; `content` gives `size` bytes, and is nullptr for a link.
    base::Result<std::string> write_file(base::ByteView header, ContentReader* content, std::uint64_t size);
    /// Everything is on disk, and in its place, on return.
    base::Result<> commit();

   private:
    friend class Repository;
    explicit Transaction(std::shared_ptr<OstreeRepo> repo) : repo_(std::move(repo)) {}
    std::shared_ptr<OstreeRepo> repo_;
  };
  base::Result<Transaction> begin();

  /// Without it a power cut may lose what a transaction has committed: for a repository that can be made again.
  void disable_fsync();

 private:
  Repository(std::shared_ptr<OstreeRepo> repo, std::string path);

  /// A file object that lies in a bare repository as it is; nothing when it does not, or is a link.
  base::UniqueFd open_bare(const std::string& checksum) const;

  std::shared_ptr<OstreeRepo> repo_;
  std::string path_;
  std::vector<int> bare_directories_;  // of this repository and its parents, where files are kept as they are
};

}  // namespace image::ostree
