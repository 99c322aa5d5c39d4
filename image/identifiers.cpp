#include "image/identifiers.hpp"

#include <algorithm>

#include "base/digest.hpp"

namespace image {

using base::fail;
using base::Kind;
using base::Result;

namespace {

constexpr std::string_view domain = "keelson-identifier-1";
/// UTF-16 units in a partition label (UEFI 2.10, table 5.6); our characters take one each.
constexpr std::size_t max_label_size = 36;

using Digest = base::Sha256Digest;

bool letter_or_digit(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z');
}

Result<> check_part(const char* what, const std::string& text) {
  if (text.empty()) return fail(Kind::invalid_input, std::string("the image's ") + what + " is empty");
  const bool allowed = std::ranges::all_of(text, [](char c) { return letter_or_digit(c) || c == '.' || c == '-'; });
  if (allowed && letter_or_digit(text.front())) return base::ok();
  return fail(Kind::invalid_input,
              std::string("the image's ") + what + " \"" + text + "\" " +
                  (allowed ? "must begin with a letter or digit" : "has characters other than 0-9 a-z . -"));
}

Digest derive(std::string_view id, std::string_view version, std::string_view role) {
  std::string message;
  for (const std::string_view part : {domain, id, version, role}) message.append(part).push_back('\0');
  return base::sha256(base::bytes_of(message));
}

Digest derive(const ImageIdentity& identity, std::string_view role) {
  return derive(identity.id(), identity.version(), role);
}

}  // namespace

Result<ImageIdentity> ImageIdentity::of(std::string id, std::string version) {
  TRY_DO(check_part("id", id));
  TRY_DO(check_part("version", version));
  ImageIdentity identity(std::move(id), std::move(version));
  if (const std::string label = identity.label(); label.size() > max_label_size) {
    return fail(Kind::invalid_input, "\"" + label + "\" has " + std::to_string(label.size()) +
                                         " characters; a partition label, <id>_<version>, holds 36");
  }
  return identity;
}

base::Uuid derive_uuid(const ImageIdentity& identity, std::string_view role) {
  return base::Uuid::from_digest(derive(identity, role));
}

std::uint32_t derive_fat_volume_id(const ImageIdentity& identity, std::string_view role) {
  const Digest digest = derive(identity, role);
  std::uint32_t id = 0;
  for (const std::byte byte : base::ByteView(digest).first(4)) {
    id = id << 8 | std::to_integer<std::uint32_t>(byte);
  }
  return id;
}

base::Bytes derive_verity_salt(const ImageIdentity& identity) {
  const Digest digest = derive(identity.id(), "", role::verity_salt);
  return {digest.begin(), digest.end()};
}

}  // namespace image
