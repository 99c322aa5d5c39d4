#include "image/ostree/object_format.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "image/ostree/glib.hpp"

namespace image::ostree {

using base::Bytes;
using base::ByteView;
using base::fail;
using base::Kind;
using base::Result;

namespace {

constexpr std::size_t checksum_size = 32;
constexpr const char* dirtree_type = "(a(say)a(sayay))";
constexpr const char* dirmeta_type = "(uuua(ayay))";
constexpr const char* commit_type = "(a{sv}aya(say)sstayay)";

GVariant* bytestring(ByteView bytes) {
  return g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, bytes.data(), bytes.size(), 1);
}

/// Our own checksums only: 64 digits, or nothing.
GVariant* checksum_variant(std::string_view hex) {
  const auto bytes = base::from_hex(hex);
  return bytestring(bytes.has_value() ? ByteView(*bytes) : ByteView());
}

/// a(ayay): names with their NUL, in the order of the map, which is OSTree's.
GVariant* xattrs_variant(const std::map<std::string, Bytes>& xattrs) {
  GVariantBuilder builder;
  g_variant_builder_init(&builder, G_VARIANT_TYPE("a(ayay)"));
  for (const auto& [name, value] : xattrs) {
    g_variant_builder_add(&builder, "(@ay@ay)", bytestring(base::bytes_of({name.c_str(), name.size() + 1})),
                          bytestring(value));
  }
  return g_variant_builder_end(&builder);
}

Bytes bytes_of_variant(GVariant* floating) {
  const Variant variant(g_variant_ref_sink(floating));
  const ByteView data = data_of(variant.get());
  return {data.begin(), data.end()};
}

std::string checksum_of(GVariant* bytes) {
  gsize size = 0;
  const auto* data = static_cast<const std::byte*>(g_variant_get_fixed_array(bytes, &size, 1));
  return size == checksum_size ? base::to_hex({data, size}) : std::string();
}

/// A variant that has been checked against its type, so that GLib puts no defaults in.
Result<Variant> normal_variant(const char* type, ByteView bytes, const char* what) {
  Variant variant = variant_of(type, bytes);
  if (g_variant_is_normal_form(variant.get()) == FALSE) {
    return fail(Kind::corrupt, std::string("the ") + what + " is not in GVariant's normal form");
  }
  return variant;
}

Variant child(GVariant* of, gsize index) {
  return Variant(g_variant_get_child_value(of, index));
}

}  // namespace

Bytes file_header(const Inode& inode) {
  const bool link = inode.type == FileType::symlink;
  // A link has the permissions that lstat(2) shows of one.
  const std::uint32_t mode = link ? (S_IFLNK | 0777U) : (S_IFREG | std::uint32_t{inode.permissions});
  const Bytes header = bytes_of_variant(g_variant_new("(uuuus@a(ayay))", GUINT32_TO_BE(inode.uid),
                                                      GUINT32_TO_BE(inode.gid), GUINT32_TO_BE(mode), 0U,
                                                      link ? inode.target.c_str() : "", xattrs_variant(inode.xattrs)));
  constexpr std::size_t prefix = 8;  // the header's size, and four bytes that keep it aligned
  Bytes result(prefix + header.size());
  for (unsigned i = 0; i < 4; ++i) result[i] = static_cast<std::byte>(header.size() >> (24 - 8 * i));
  std::ranges::copy(header, result.begin() + prefix);
  return result;
}

Bytes dirtree(const std::vector<FileEntry>& files, const std::vector<DirectoryEntryObject>& directories) {
  GVariantBuilder file_list;
  g_variant_builder_init(&file_list, G_VARIANT_TYPE("a(say)"));
  for (const FileEntry& file : files) {
    g_variant_builder_add(&file_list, "(s@ay)", std::string(file.name).c_str(), checksum_variant(file.checksum));
  }
  GVariantBuilder directory_list;
  g_variant_builder_init(&directory_list, G_VARIANT_TYPE("a(sayay)"));
  for (const DirectoryEntryObject& directory : directories) {
    g_variant_builder_add(&directory_list, "(s@ay@ay)", std::string(directory.name).c_str(),
                          checksum_variant(directory.contents), checksum_variant(directory.metadata));
  }
  return bytes_of_variant(
      g_variant_new("(@a(say)@a(sayay))", g_variant_builder_end(&file_list), g_variant_builder_end(&directory_list)));
}

Bytes dirmeta(const Inode& directory) {
  const std::uint32_t mode = S_IFDIR | std::uint32_t{directory.permissions};
  return bytes_of_variant(g_variant_new("(uuu@a(ayay))", GUINT32_TO_BE(directory.uid), GUINT32_TO_BE(directory.gid),
                                        GUINT32_TO_BE(mode), xattrs_variant(directory.xattrs)));
}

Result<ReadDirtree> read_dirtree(ByteView bytes) {
  TRY(const Variant variant, normal_variant(dirtree_type, bytes, "dirtree"));
  ReadDirtree result;
  const Variant files = child(variant.get(), 0);
  const Variant directories = child(variant.get(), 1);
  for (gsize i = 0; i < g_variant_n_children(files.get()); ++i) {
    const Variant entry = child(files.get(), i);
    result.files.push_back(
        {g_variant_get_string(child(entry.get(), 0).get(), nullptr), checksum_of(child(entry.get(), 1).get())});
    if (result.files.back().checksum.empty()) {
      return fail(Kind::corrupt, "the dirtree has no checksum for \"" + result.files.back().name + "\"");
    }
  }
  for (gsize i = 0; i < g_variant_n_children(directories.get()); ++i) {
    const Variant entry = child(directories.get(), i);
    result.directories.push_back({g_variant_get_string(child(entry.get(), 0).get(), nullptr),
                                  checksum_of(child(entry.get(), 1).get()), checksum_of(child(entry.get(), 2).get())});
    if (result.directories.back().contents.empty() || result.directories.back().metadata.empty()) {
      return fail(Kind::corrupt, "the dirtree has no checksum for \"" + result.directories.back().name + "\"");
    }
  }
  return result;
}

Result<Inode> read_dirmeta(ByteView bytes) {
  TRY(const Variant variant, normal_variant(dirmeta_type, bytes, "dirmeta"));
  guint32 uid = 0;
  guint32 gid = 0;
  guint32 mode = 0;
  g_variant_get(variant.get(), "(uuu@a(ayay))", &uid, &gid, &mode, nullptr);
  mode = GUINT32_FROM_BE(mode);
  if (!S_ISDIR(mode) || (mode & ~(S_IFMT | 07777U)) != 0)
    return fail(Kind::corrupt, "the dirmeta is not of a directory");
  Inode inode;
  inode.type = FileType::directory;
  inode.uid = GUINT32_FROM_BE(uid);
  inode.gid = GUINT32_FROM_BE(gid);
  inode.permissions = static_cast<std::uint16_t>(mode & 07777U);
  const Variant xattrs = child(variant.get(), 3);
  TRY(inode.xattrs, xattrs_of(xattrs.get()));
  return inode;
}

Bytes commit_object(const CommitObject& commit) {
  GVariantBuilder metadata;
  g_variant_builder_init(&metadata, G_VARIANT_TYPE("a{sv}"));
  for (const auto& [key, value] : commit.facts.metadata) {
    g_variant_builder_add(&metadata, "{sv}", key.c_str(), g_variant_new_string(value.c_str()));
  }
  GVariantBuilder related;
  g_variant_builder_init(&related, G_VARIANT_TYPE("a(say)"));
  return bytes_of_variant(g_variant_new("(@a{sv}@ay@a(say)sst@ay@ay)", g_variant_builder_end(&metadata),
                                        checksum_variant(commit.facts.parent), g_variant_builder_end(&related),
                                        commit.facts.subject.c_str(), commit.facts.body.c_str(),
                                        GUINT64_TO_BE(commit.facts.time), checksum_variant(commit.root_contents),
                                        checksum_variant(commit.root_metadata)));
}

Result<CommitObject> read_commit_object(ByteView bytes) {
  TRY(const Variant variant, normal_variant(commit_type, bytes, "commit"));
  CommitObject result;
  const Variant metadata = child(variant.get(), 0);
  for (gsize i = 0; i < g_variant_n_children(metadata.get()); ++i) {
    const Variant entry = child(metadata.get(), i);
    const Variant boxed = child(entry.get(), 1);
    const Variant value(g_variant_get_variant(boxed.get()));
    if (!g_variant_is_of_type(value.get(), G_VARIANT_TYPE_STRING)) continue;
    result.facts.metadata.emplace(g_variant_get_string(child(entry.get(), 0).get(), nullptr),
                                  g_variant_get_string(value.get(), nullptr));
  }
  result.facts.parent = checksum_of(child(variant.get(), 1).get());
  result.facts.subject = g_variant_get_string(child(variant.get(), 3).get(), nullptr);
  result.facts.body = g_variant_get_string(child(variant.get(), 4).get(), nullptr);
  result.facts.time = GUINT64_FROM_BE(g_variant_get_uint64(child(variant.get(), 5).get()));
  result.root_contents = checksum_of(child(variant.get(), 6).get());
  result.root_metadata = checksum_of(child(variant.get(), 7).get());
  if (result.root_contents.empty() || result.root_metadata.empty())
    return fail(Kind::corrupt, "the commit has no root");
  return result;
}

}  // namespace image::ostree
