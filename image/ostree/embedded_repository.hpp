#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "image/file_tree.hpp"
#include "image/ostree/repository.hpp"

namespace image::ostree {

/// Commit, dirtree and dirmeta objects, by their checksums.
using MetadataObjects = std::map<std::pair<ObjectType, std::string>, base::Bytes>;

/// Puts the bare repository of a commit into its tree, as /ostree/repo. The file objects are the tree's own inodes.
///
/// files        inodes of the tree's files and links, by their objects' checksums
/// add_content  takes the bytes of a new small file
/// Fails:       invalid_input (the tree has something in /ostree/repo already)
base::Result<> embed_repository(FileTree& tree, const std::string& commit, const std::string& ref,
                                const MetadataObjects& metadata, const std::map<std::string, InodeIndex>& files,
                                const std::function<ContentId(base::Bytes)>& add_content);

}  // namespace image::ostree
