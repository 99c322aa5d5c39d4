#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "image/file_tree.hpp"

namespace builder::root {

/// Whose a file is, and who may do what with it.
struct Attributes {
  std::uint16_t permissions = 0644;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
};

/// A root that is being made: a tree that may be changed, and where the bytes of its files are. Paths are absolute; of
/// links only those at the top are followed that a merged /usr has, so that /bin/sh means /usr/bin/sh.
class Draft {
 public:
  explicit Draft(image::SourcedTree base);
  Draft(Draft&&) noexcept;
  Draft& operator=(Draft&&) noexcept;
  Draft(const Draft&) = delete;
  Draft& operator=(const Draft&) = delete;
  ~Draft();

  image::FileTree& tree() { return tree_; }
  const image::FileTree& tree() const { return tree_; }

  std::optional<image::InodeIndex> find(std::string_view path) const;
  bool has(std::string_view path) const { return find(path).has_value(); }

  /// The bytes of a regular file of at most `max_bytes`; nothing where there is none, or something else.
  /// Fails: invalid_input (longer); as the content's reader does.
  base::Result<std::optional<std::string>> read(std::string_view path,
                                                std::size_t max_bytes = std::size_t{16} << 20) const;

  /// A new file, or a new one in the place of what was there. Directories that are missing are root's, 0755.
  /// Fails: invalid_input (something on the way is no directory; there is a directory)
  base::Result<> write(std::string_view path, std::string text, const Attributes& attributes = {});
  base::Result<> link(std::string_view path, std::string target);
  /// A directory of these attributes, whether it was there or not.
  base::Result<> directory(std::string_view path, const Attributes& attributes);
  /// Takes a path away; without a complaint where there is nothing.
  void remove(std::string_view path);

  /// Lays another root over the directory `target`, as image::lay_over() does.
  base::Result<> lay_over(image::SourcedTree upper, std::string_view target);

  /// The root, tidied.
  image::SourcedTree finish() &&;

 private:
  class Contents;

  base::Result<std::pair<image::InodeIndex, std::string>> place_of(std::string_view path);

  image::FileTree tree_;
  std::unique_ptr<Contents> contents_;
};

}  // namespace builder::root
