#include "agent/boot_loader/efi_text.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "image/utf16.hpp"

namespace agent::boot_loader {

using base::Bytes;
using base::ByteView;
using base::fail;
using base::Kind;
using base::Result;

namespace {

constexpr std::size_t unit_size = sizeof(char16_t);

Result<std::u16string> units_of(ByteView bytes) {
  if (bytes.size() % unit_size != 0) {
    return fail(Kind::corrupt, std::to_string(bytes.size()) + " bytes are no UTF-16: their number is odd");
  }
  std::u16string units;
  units.reserve(bytes.size() / unit_size);
  for (std::size_t at = 0; at < bytes.size(); at += unit_size) {
    units += static_cast<char16_t>(base::load_le<std::uint16_t>(&bytes[at]));
  }
  return units;
}

}  // namespace

Result<Bytes> encode_string(std::string_view utf8) {
  if (utf8.contains('\0')) return fail(Kind::invalid_input, "a text with a NUL in it cannot be an EFI string");
  TRY(const std::u16string units, image::to_utf16(utf8));
  Bytes bytes((units.size() + 1) * unit_size);
  for (std::size_t i = 0; i < units.size(); ++i) {
    base::store_le(&bytes[i * unit_size], static_cast<std::uint16_t>(units[i]));
  }
  return bytes;
}

Result<std::string> decode_string(ByteView bytes) {
  TRY(const std::u16string units, units_of(bytes));
  return image::to_utf8(std::u16string_view(units).substr(0, units.find(u'\0')));
}

Result<std::vector<std::string>> decode_strings(ByteView bytes) {
  TRY(const std::u16string units, units_of(bytes));
  std::vector<std::string> strings;
  for (std::u16string_view rest = units; !rest.empty();) {
    const std::u16string_view text = rest.substr(0, rest.find(u'\0'));
    if (!text.empty()) strings.push_back(image::to_utf8(text));
    rest.remove_prefix(std::min(text.size() + 1, rest.size()));
  }
  return strings;
}

}  // namespace agent::boot_loader
