#include "image/ostree/embedded_repository.hpp"

#include "image/tree_edit.hpp"

namespace image::ostree {

using base::fail;
using base::Kind;
using base::Result;

namespace {

constexpr const char* config = "[core]\nrepo_version=1\nmode=bare\n";
/// What libostree expects to find, or would make.
constexpr const char* directories[] = {"extensions",   "objects", "refs/heads", "refs/mirrors",
                                       "refs/remotes", "state",   "tmp"};

}  // namespace

Result<> embed_repository(FileTree& tree, const std::string& commit, const std::string& ref,
                          const MetadataObjects& metadata, const std::map<std::string, InodeIndex>& files,
                          const std::function<ContentId(base::Bytes)>& add_content) {
  const std::string repository = "/ostree/repo";
  if (find(tree, repository)) return fail(Kind::invalid_input, repository + " is in the tree already");
  const auto small_file = [&](base::ByteView content) {
    Inode inode;
    inode.permissions = 0644;
    inode.size = content.size();
    inode.content = add_content({content.begin(), content.end()});
    return add_inode(tree, std::move(inode));
  };

  TRY(const InodeIndex root, make_directories(tree, repository));
  tree.inodes[root].permissions = 0700;
  for (const char* directory : directories) TRY_DO(make_directories(tree, repository + "/" + directory));
  set_entry(tree, root, "config", small_file(base::bytes_of(config)));
  TRY(const InodeIndex heads, make_directories(tree, repository + "/refs/heads"));
  set_entry(tree, heads, ref, small_file(base::bytes_of(commit + "\n")));

  const auto place = [&](const std::string& checksum, ObjectType type, InodeIndex inode) -> Result<> {
    TRY(const InodeIndex directory, make_directories(tree, repository + "/objects/" + checksum.substr(0, 2)));
    set_entry(tree, directory, checksum.substr(2) + "." + to_string(type), inode);
    return base::ok();
  };
  for (const auto& [checksum, inode] : files) TRY_DO(place(checksum, ObjectType::file, inode));
  for (const auto& [key, bytes] : metadata) TRY_DO(place(key.second, key.first, small_file(bytes)));
  return base::ok();
}

}  // namespace image::ostree
