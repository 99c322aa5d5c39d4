#include "image/erofs/xattrs.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "image/erofs/format.hpp"

namespace image::erofs {

using base::Bytes;
using base::fail;
using base::Kind;
using base::Result;

namespace {

struct Prefix {
  std::string_view text;
  std::uint8_t index;
  bool whole;  // the name is just this
};

constexpr std::array<Prefix, 5> prefixes = {{{"user.", 1, false},
                                             {"system.posix_acl_access", 2, true},
                                             {"system.posix_acl_default", 3, true},
                                             {"trusted.", 4, false},
                                             {"security.", 6, false}}};

const Prefix* prefix_of(std::string_view name) {
  for (const Prefix& prefix : prefixes) {
    if (prefix.whole ? name == prefix.text : name.starts_with(prefix.text) && name.size() > prefix.text.size()) {
      return &prefix;
    }
  }
  return nullptr;
}

std::size_t padded(std::size_t size) {
  return base::divide_rounding_up(size, 4) * 4;
}

std::size_t entry_size(const std::string& name, const Bytes& value) {
  return padded(xattr_entry_size + name.size() - prefix_of(name)->text.size() + value.size());
}

void append_entry(Bytes& to, const std::string& name, const Bytes& value) {
  const Prefix& prefix = *prefix_of(name);
  const std::string_view rest = std::string_view(name).substr(prefix.text.size());
  const std::size_t start = to.size();
  to.resize(start + xattr_entry_size);
  to[start] = static_cast<std::byte>(rest.size());
  to[start + 1] = std::byte{prefix.index};
  base::store_le(&to[start + 2], static_cast<std::uint16_t>(value.size()));
  const base::ByteView rest_bytes = base::bytes_of(rest);
  to.insert(to.end(), rest_bytes.begin(), rest_bytes.end());
  to.insert(to.end(), value.begin(), value.end());
  to.resize(padded(to.size()));
}

Result<> check_xattr(const std::string& name, const Bytes& value) {
  const Prefix* prefix = prefix_of(name);
  if (prefix == nullptr || name.size() - prefix->text.size() > 255) {
    return fail(Kind::invalid_input, "EROFS has no place for an extended attribute of the name \"" + name + "\"");
  }
  if (value.size() > 65535) {
    return fail(Kind::invalid_input, "the extended attribute " + name + " has " + std::to_string(value.size()) +
                                         " bytes; EROFS holds 65535");
  }
  return base::ok();
}

}  // namespace

Result<Xattrs> Xattrs::plan(const FileTree& tree) {
  std::map<Key, unsigned> uses;
  for (std::size_t i = 0; i < tree.inodes.size(); ++i) {
    for (const auto& [name, value] : tree.inodes[i].xattrs) {
      TRY_DO(check_xattr(name, value), "inode " + std::to_string(i));
      ++uses[{name, value}];
    }
  }
  Xattrs xattrs;
  for (const auto& [key, count] : uses) {
    if (count < 2) continue;
    xattrs.shared_at_.emplace(key, static_cast<std::uint32_t>(xattrs.shared_.size() / 4));
    append_entry(xattrs.shared_, key.first, key.second);
  }
  // An inode counts what lies behind it in 16 bits, in units of 4 bytes.
  for (std::size_t i = 0; i < tree.inodes.size(); ++i) {
    if (xattrs.body_size(tree.inodes[i]) > std::size_t{65534} * 4 || tree.inodes[i].xattrs.size() > max_shared_xattrs) {
      return fail(Kind::invalid_input, "inode " + std::to_string(i) + " has more extended attributes than EROFS holds");
    }
  }
  return xattrs;
}

std::size_t Xattrs::body_size(const Inode& inode) const {
  if (inode.xattrs.empty()) return 0;
  std::size_t size = xattr_header_size;
  for (const auto& [name, value] : inode.xattrs) {
    size += shared_at_.contains({name, value}) ? sizeof(std::uint32_t) : entry_size(name, value);
  }
  return size;
}

Bytes Xattrs::body(const Inode& inode) const {
  if (inode.xattrs.empty()) return {};
  Bytes body(xattr_header_size);
  unsigned shared_count = 0;
  for (const auto& xattr : inode.xattrs) {
    const auto shared = shared_at_.find(xattr);
    if (shared == shared_at_.end()) continue;
    body.resize(body.size() + sizeof(std::uint32_t));
    base::store_le(&body[body.size() - sizeof(std::uint32_t)], shared->second);
    ++shared_count;
  }
  body[4] = static_cast<std::byte>(shared_count);
  for (const auto& [name, value] : inode.xattrs) {
    if (!shared_at_.contains({name, value})) append_entry(body, name, value);
  }
  return body;
}

Result<XattrOnDisk> read_xattr(base::ByteView from) {
  if (from.size() < xattr_entry_size) return fail(Kind::corrupt, "an extended attribute is cut short");
  const auto name_size = std::to_integer<std::size_t>(from[0]);
  const auto value_size = std::size_t{base::load_le<std::uint16_t>(&from[2])};
  const std::size_t size = xattr_entry_size + name_size + value_size;
  if (from.size() < size) return fail(Kind::corrupt, "an extended attribute is cut short");
  const auto prefix = std::ranges::find(prefixes, std::to_integer<std::uint8_t>(from[1]), &Prefix::index);
  if (prefix == prefixes.end()) {
    return fail(Kind::unsupported,
                "an extended attribute has prefix number " + std::to_string(std::to_integer<unsigned>(from[1])));
  }
  const std::string_view rest = base::text_of(from.subspan(xattr_entry_size, name_size));
  if (prefix->whole != rest.empty() || rest.find('\0') != std::string_view::npos) {
    return fail(Kind::corrupt, "an extended attribute has a name that cannot be");
  }
  const base::ByteView value = from.subspan(xattr_entry_size + name_size, value_size);
  return XattrOnDisk{std::string(prefix->text) + std::string(rest), Bytes(value.begin(), value.end()), padded(size)};
}

}  // namespace image::erofs
