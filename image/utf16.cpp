#include "image/utf16.hpp"

#include <cstddef>

namespace image {

namespace {

constexpr char32_t replacement = 0xfffd;

constexpr bool is_surrogate(char32_t c) {
  return c >= 0xd800 && c <= 0xdfff;
}
constexpr bool is_high_surrogate(char16_t c) {
  return c >= 0xd800 && c <= 0xdbff;
}
constexpr bool is_low_surrogate(char16_t c) {
  return c >= 0xdc00 && c <= 0xdfff;
}

base::Result<std::u16string> no_utf8(std::size_t at) {
  return base::fail(base::Kind::invalid_input, "byte " + std::to_string(at + 1) + " of the text is no UTF-8");
}

void append_utf16(std::u16string& text, char32_t c) {
  if (c < 0x10000) {
    text += static_cast<char16_t>(c);
    return;
  }
  text += static_cast<char16_t>(0xd800 + ((c - 0x10000) >> 10));
  text += static_cast<char16_t>(0xdc00 + ((c - 0x10000) & 0x3ff));
}

void append_utf8(std::string& text, char32_t c) {
  const auto continuation = [&text, c](unsigned shift) { text += static_cast<char>(0x80 | ((c >> shift) & 0x3f)); };
  if (c < 0x80) {
    text += static_cast<char>(c);
  } else if (c < 0x800) {
    text += static_cast<char>(0xc0 | c >> 6);
    continuation(0);
  } else if (c < 0x10000) {
    text += static_cast<char>(0xe0 | c >> 12);
    continuation(6);
    continuation(0);
  } else {
    text += static_cast<char>(0xf0 | c >> 18);
    continuation(12);
    continuation(6);
    continuation(0);
  }
}

/// Bytes in the sequence that `first` begins, 0 for what begins none; the least character that may be written so long.
struct Lead {
  std::size_t length;
  char32_t bits;
  char32_t least;
};
Lead lead_of(unsigned char first) {
  if (first < 0x80) return {1, first, 0};
  if (first >= 0xc0 && first < 0xe0) return {2, first & 0x1fU, 0x80};
  if (first >= 0xe0 && first < 0xf0) return {3, first & 0x0fU, 0x800};
  if (first >= 0xf0 && first < 0xf8) return {4, first & 0x07U, 0x10000};
  return {0, 0, 0};
}

}  // namespace

base::Result<std::u16string> to_utf16(std::string_view utf8) {
  std::u16string text;
  for (std::size_t at = 0; at < utf8.size();) {
    const Lead lead = lead_of(static_cast<unsigned char>(utf8[at]));
    if (lead.length == 0 || lead.length > utf8.size() - at) return no_utf8(at);
    char32_t c = lead.bits;
    for (std::size_t i = 1; i < lead.length; ++i) {
      const auto byte = static_cast<unsigned char>(utf8[at + i]);
      if ((byte & 0xc0U) != 0x80) return no_utf8(at + i);
      c = c << 6 | (byte & 0x3fU);
    }
    if (c < lead.least || c > 0x10ffff || is_surrogate(c)) return no_utf8(at);
    append_utf16(text, c);
    at += lead.length;
  }
  return text;
}

std::string to_utf8(std::u16string_view utf16) {
  std::string text;
  for (std::size_t at = 0; at < utf16.size(); ++at) {
    char32_t c = utf16[at];
    if (is_high_surrogate(utf16[at]) && at + 1 < utf16.size() && is_low_surrogate(utf16[at + 1])) {
      c = 0x10000 + ((c - 0xd800) << 10) + (utf16[++at] - 0xdc00U);
    }
    append_utf8(text, is_surrogate(c) ? replacement : c);
  }
  return text;
}

}  // namespace image
