#include "image/file_content.hpp"

#include <span>

#include "image/tree_edit.hpp"

namespace image {

using base::fail;
using base::Kind;
using base::Result;

const Inode* find_file(const FileTree& tree, std::string_view path) {
  const auto at = find(tree, path);
  return at && tree.inodes[*at].type == FileType::regular ? &tree.inodes[*at] : nullptr;
}

Result<std::string> read_content(const ContentSource& contents, const Inode& file, std::string_view name,
                                 std::size_t max_bytes) {
  if (file.size > max_bytes) {
    return fail(Kind::invalid_input, std::string(name) + " is longer than " + std::to_string(max_bytes) + " bytes");
  }
  std::string bytes(file.size, '\0');
  if (bytes.empty()) return bytes;  // and has no content that could be opened
  TRY(const auto reader, contents.open(file.content), std::string(name));
  TRY_DO(reader->read(std::as_writable_bytes(std::span(bytes))), std::string(name));
  return bytes;
}

Result<std::optional<std::string>> read_file(const SourcedTree& root, std::string_view path, std::size_t max_bytes) {
  const Inode* const file = find_file(root.tree, path);
  if (file == nullptr) return std::nullopt;
  TRY(std::string bytes, read_content(*root.contents, *file, path, max_bytes));
  return bytes;
}

}  // namespace image
