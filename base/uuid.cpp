#include "base/uuid.hpp"

#include <algorithm>

namespace base {

Result<Uuid> Uuid::parse(std::string_view text) {
  std::string digits;
  if (text.size() == 36) {
    for (std::size_t i = 0; i < text.size(); ++i) {
      const bool dash_here = i == 8 || i == 13 || i == 18 || i == 23;
      if (dash_here && text[i] != '-') break;
      if (!dash_here) digits += text[i];
    }
  }
  auto bytes = from_hex(digits);
  if (!bytes || bytes->size() != 16) {
    return fail(Kind::invalid_input, "\"" + std::string(text) + "\" is no UUID (8-4-4-4-12 hexadecimal digits)");
  }
  Uuid uuid;
  std::ranges::copy(*bytes, uuid.bytes.begin());
  return uuid;
}

Uuid Uuid::from_digest(ByteView digest) {
  Uuid uuid;
  std::ranges::copy(digest.first(16), uuid.bytes.begin());
  uuid.bytes[6] = (uuid.bytes[6] & std::byte{0x0f}) | std::byte{0x80};
  uuid.bytes[8] = (uuid.bytes[8] & std::byte{0x3f}) | std::byte{0x80};
  return uuid;
}

std::array<std::byte, 16> Uuid::efi_bytes() const {
  std::array<std::byte, 16> turned = bytes;
  std::reverse(turned.begin(), turned.begin() + 4);
  std::reverse(turned.begin() + 4, turned.begin() + 6);
  std::reverse(turned.begin() + 6, turned.begin() + 8);
  return turned;
}

Uuid Uuid::from_efi_bytes(ByteView stored) {
  Uuid uuid;
  std::ranges::copy(stored.first(16), uuid.bytes.begin());
  uuid.bytes = uuid.efi_bytes();
  return uuid;
}

std::string Uuid::text() const {
  std::string text = to_hex(bytes);
  for (const std::size_t at : {20U, 16U, 12U, 8U}) text.insert(at, 1, '-');
  return text;
}

}  // namespace base
