#include "image/ostree/repository.hpp"

#include <fcntl.h>
#include <ostree.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/digest.hpp"
#include "base/file.hpp"
#include "image/ostree/content_stream.hpp"
#include "image/ostree/glib.hpp"

namespace image::ostree {

using base::Bytes;
using base::ByteView;
using base::fail;
using base::Kind;
using base::MutableByteView;
using base::Result;

namespace {

OstreeObjectType ostree_type(ObjectType type) {
  switch (type) {
    case ObjectType::file:
      return OSTREE_OBJECT_TYPE_FILE;
    case ObjectType::dirtree:
      return OSTREE_OBJECT_TYPE_DIR_TREE;
    case ObjectType::dirmeta:
      return OSTREE_OBJECT_TYPE_DIR_META;
    case ObjectType::commit:
      return OSTREE_OBJECT_TYPE_COMMIT;
  }
  return OSTREE_OBJECT_TYPE_FILE;
}

OstreeRepoMode ostree_mode(Mode mode) {
  switch (mode) {
    case Mode::bare:
      return OSTREE_REPO_MODE_BARE;
    case Mode::bare_user:
      return OSTREE_REPO_MODE_BARE_USER;
    case Mode::archive:
      return OSTREE_REPO_MODE_ARCHIVE;
  }
  return OSTREE_REPO_MODE_BARE;
}

std::string object_name(const std::string& checksum, ObjectType type) {
  return std::string("the ") + to_string(type) + " object " + checksum;
}

std::string sha256_hex(ByteView bytes) {
  return base::to_hex(base::sha256(bytes));
}

std::shared_ptr<OstreeRepo> shared(OstreeRepo* repo) {
  return {repo, [](OstreeRepo* r) { g_object_unref(r); }};
}

class StreamContent final : public ContentReader {
 public:
  StreamContent(Object<GInputStream> stream, std::string name) : stream_(std::move(stream)), name_(std::move(name)) {}
  Result<> read(MutableByteView into) override {
    gsize have = 0;
    GlibError error;
    if (g_input_stream_read_all(stream_.get(), into.data(), into.size(), &have, nullptr, &error) == FALSE) {
      return error.fail("reading " + name_);
    }
    if (have != into.size()) return fail(Kind::corrupt, name_ + " is shorter than it says");
    return base::ok();
  }

 private:
  Object<GInputStream> stream_;
  std::string name_;
};

}  // namespace

const char* to_string(ObjectType type) {
  switch (type) {
    case ObjectType::file:
      return "file";
    case ObjectType::dirtree:
      return "dirtree";
    case ObjectType::dirmeta:
      return "dirmeta";
    case ObjectType::commit:
      return "commit";
  }
  return "";
}

Repository::Repository(std::shared_ptr<OstreeRepo> repo, std::string path)
    : repo_(std::move(repo)), path_(std::move(path)) {
  for (OstreeRepo* at = repo_.get(); at != nullptr; at = ostree_repo_get_parent(at)) {
    if (ostree_repo_get_mode(at) == OSTREE_REPO_MODE_BARE) bare_directories_.push_back(ostree_repo_get_dfd(at));
  }
}

Result<Repository> Repository::open(const std::string& path) {
  GlibError error;
  OstreeRepo* const repo = ostree_repo_open_at(AT_FDCWD, path.c_str(), nullptr, &error);
  if (repo == nullptr) return error.fail("opening the repository " + path);
  return Repository(shared(repo), path);
}

Result<Repository> Repository::create(const std::string& path, Mode mode) {
  GlibError error;
  OstreeRepo* const made = ostree_repo_create_at(AT_FDCWD, path.c_str(), ostree_mode(mode), nullptr, nullptr, &error);
  if (made == nullptr) return error.fail("making the repository " + path);
  Repository repository(shared(made), path);
  if (ostree_repo_get_mode(made) != ostree_mode(mode)) {
    return fail(Kind::invalid_input, "the repository " + path + " is there already, with another mode");
  }
  return repository;
}

Result<std::string> Repository::resolve(const std::string& ref) const {
  GlibError error;
  char* revision = nullptr;
  if (ostree_repo_resolve_rev(repo_.get(), ref.c_str(), FALSE, &revision, &error) == FALSE) {
    return error.fail("looking for \"" + ref + "\" in " + path_);
  }
  const OwnedString owned(revision);
  return std::string(revision);
}

Result<> Repository::set_ref(const std::string& ref, const std::string& commit) {
  GlibError error;
  if (ostree_repo_set_ref_immediate(repo_.get(), nullptr, ref.c_str(), commit.c_str(), nullptr, &error) == FALSE) {
    return error.fail("setting the ref " + ref + " in " + path_);
  }
  return base::ok();
}

Result<> Repository::remove_ref(const std::string& ref) {
  GlibError error;
  if (ostree_repo_set_ref_immediate(repo_.get(), nullptr, ref.c_str(), nullptr, nullptr, &error) == FALSE) {
    return error.fail("removing the ref " + ref + " in " + path_);
  }
  return base::ok();
}

Result<std::uint64_t> Repository::prune() {
  GlibError error;
  gint objects = 0;
  gint pruned = 0;
  guint64 bytes = 0;
  if (ostree_repo_prune(repo_.get(), OSTREE_REPO_PRUNE_FLAGS_REFS_ONLY, -1, &objects, &pruned, &bytes, nullptr,
                        &error) == FALSE) {
    return error.fail("pruning " + path_);
  }
  return bytes;
}

Result<Bytes> Repository::load_metadata(ObjectType type, const std::string& checksum) const {
  GlibError error;
  GVariant* loaded = nullptr;
  if (ostree_repo_load_variant(repo_.get(), ostree_type(type), checksum.c_str(), &loaded, &error) == FALSE) {
    return error.fail("loading " + object_name(checksum, type) + " from " + path_);
  }
  const Variant variant(loaded);
  const ByteView data = data_of(variant.get());
  if (sha256_hex(data) != checksum)
    return fail(Kind::corrupt, object_name(checksum, type) + " in " + path_ + " has other bytes");
  return Bytes(data.begin(), data.end());
}

base::UniqueFd Repository::open_bare(const std::string& checksum) const {
  const std::string path = "objects/" + checksum.substr(0, 2) + "/" + checksum.substr(2) + ".file";
  for (const int directory : bare_directories_) {
    base::UniqueFd fd(::openat(directory, path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (fd) return fd;
  }
  return {};
}

Result<Inode> Repository::load_file(const std::string& checksum) const {
  // A file that lies there as it is, without attributes, is nearly every file: libostree takes five times as long.
  if (const base::UniqueFd fd = open_bare(checksum)) {
    struct stat status{};
    if (::fstat(fd.get(), &status) == 0 && S_ISREG(status.st_mode) && ::flistxattr(fd.get(), nullptr, 0) == 0) {
      return Inode{.permissions = static_cast<std::uint16_t>(status.st_mode & 07777U),
                   .uid = status.st_uid,
                   .gid = status.st_gid,
                   .size = static_cast<std::uint64_t>(status.st_size)};
    }
  }
  GlibError error;
  GFileInfo* raw_info = nullptr;
  GVariant* raw_xattrs = nullptr;
  if (ostree_repo_load_file(repo_.get(), checksum.c_str(), nullptr, &raw_info, &raw_xattrs, nullptr, &error) == FALSE) {
    return error.fail("loading " + object_name(checksum, ObjectType::file) + " from " + path_);
  }
  const Object<GFileInfo> info(raw_info);
  const Variant xattrs(raw_xattrs);
  Inode inode;
  const guint32 mode = g_file_info_get_attribute_uint32(raw_info, "unix::mode");
  inode.uid = g_file_info_get_attribute_uint32(raw_info, "unix::uid");
  inode.gid = g_file_info_get_attribute_uint32(raw_info, "unix::gid");
  inode.permissions = static_cast<std::uint16_t>(mode & 07777U);
  if (S_ISLNK(mode)) {
    inode.type = FileType::symlink;
    const char* target = g_file_info_get_symlink_target(raw_info);
    inode.target = target != nullptr ? target : "";
    inode.permissions = 0777;
  } else if (S_ISREG(mode)) {
    inode.size = static_cast<std::uint64_t>(std::max<goffset>(0, g_file_info_get_size(raw_info)));
  } else {
    return fail(Kind::corrupt, object_name(checksum, ObjectType::file) + " is neither a file nor a link");
  }
  TRY(inode.xattrs, xattrs_of(xattrs.get()), object_name(checksum, ObjectType::file));
  return inode;
}

Result<std::unique_ptr<ContentReader>> Repository::open_file(const std::string& checksum) const {
  if (base::UniqueFd fd = open_bare(checksum)) {
    return content_of(base::File::adopt(std::move(fd), object_name(checksum, ObjectType::file)));
  }
  GlibError error;
  GInputStream* stream = nullptr;
  if (ostree_repo_load_file(repo_.get(), checksum.c_str(), &stream, nullptr, nullptr, nullptr, &error) == FALSE) {
    return error.fail("loading " + object_name(checksum, ObjectType::file) + " from " + path_);
  }
  return std::make_unique<StreamContent>(Object<GInputStream>(stream), object_name(checksum, ObjectType::file));
}

bool Repository::has_file(const std::string& checksum) const {
  gboolean have = FALSE;
  GlibError error;
  return ostree_repo_has_object(repo_.get(), OSTREE_OBJECT_TYPE_FILE, checksum.c_str(), &have, nullptr, &error) !=
             FALSE &&
         have != FALSE;
}

Result<Repository::Transaction> Repository::begin() {
  GlibError error;
  if (ostree_repo_prepare_transaction(repo_.get(), nullptr, nullptr, &error) == FALSE) {
    return error.fail("beginning to write to " + path_);
  }
  return Transaction(repo_);
}

void Repository::disable_fsync() {
  ostree_repo_set_disable_fsync(repo_.get(), TRUE);
}

Repository::Transaction::~Transaction() {
  if (repo_) ostree_repo_abort_transaction(repo_.get(), nullptr, nullptr);
}

Result<std::string> Repository::Transaction::write_metadata(ObjectType type, ByteView bytes) {
  std::string checksum = sha256_hex(bytes);
  const OwnedString type_string(g_variant_type_dup_string(ostree_metadata_variant_type(ostree_type(type))));
  const Variant variant = variant_of(type_string.get(), bytes);
  GlibError error;
  guchar* written = nullptr;
  const gboolean good = ostree_repo_write_metadata(repo_.get(), ostree_type(type), checksum.c_str(), variant.get(),
                                                   &written, nullptr, &error);
  g_free(written);
  if (good == FALSE) return error.fail("writing " + object_name(checksum, type));
  return checksum;
}

Result<std::string> Repository::Transaction::write_file(ByteView header, ContentReader* content, std::uint64_t size) {
  ContentStream stream(header, content, size);
  GlibError error;
  guchar* written = nullptr;
  const gboolean good =
      ostree_repo_write_content(repo_.get(), nullptr, stream.get(), header.size() + size, &written, nullptr, &error);
  if (auto failure = stream.failure()) {
    g_free(written);
    return std::unexpected(std::move(*failure));
  }
  if (good == FALSE) return error.fail("writing a file object");
  std::string checksum = base::to_hex({reinterpret_cast<const std::byte*>(written), 32});
  g_free(written);
  return checksum;
}

Result<> Repository::Transaction::commit() {
  GlibError error;
  if (ostree_repo_commit_transaction(repo_.get(), nullptr, nullptr, &error) == FALSE) {
    return error.fail("committing to the repository");
  }
  repo_.reset();
  return base::ok();
}

}  // namespace image::ostree
