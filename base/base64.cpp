#include "base/base64.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace base {

namespace {

constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr char padding = '=';

int digit(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  if (c == '/') return 63;
  return -1;
}

/// How many of the last characters are padding: 0, 1 or 2. More than that is left to be found as a bad digit.
std::size_t padding_of(std::string_view text) {
  std::size_t count = 0;
  while (count < 2 && count < text.size() && text[text.size() - 1 - count] == padding) ++count;
  return count;
}

}  // namespace

std::string to_base64(ByteView bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - at);
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 3; ++i)
      group = group << 8 | (i < count ? std::to_integer<unsigned>(bytes[at + i]) : 0U);
    for (std::size_t i = 0; i < 4; ++i) text += i <= count ? alphabet[group >> (18 - 6 * i) & 63] : padding;
  }
  return text;
}

Result<Bytes> from_base64(std::string_view text) {
  if (text.size() % 4 != 0) {
    return fail(Kind::invalid_input,
                "base64 text of " + std::to_string(text.size()) + " characters; a multiple of 4 is needed");
  }
  const std::size_t digits = text.size() - padding_of(text);
  Bytes bytes;
  bytes.reserve(text.size() / 4 * 3);
  std::uint32_t pending = 0;
  unsigned pending_bits = 0;
  for (std::size_t i = 0; i < digits; ++i) {
    const int value = digit(text[i]);
    if (value < 0) {
      return fail(Kind::invalid_input, "the character at position " + std::to_string(i + 1) + " is no base64 digit");
    }
    pending = pending << 6 | static_cast<std::uint32_t>(value);
    pending_bits += 6;
    if (pending_bits < 8) continue;
    pending_bits -= 8;
    bytes.push_back(static_cast<std::byte>(pending >> pending_bits));
    pending &= (1U << pending_bits) - 1;
  }
  if (pending != 0) {
    return fail(Kind::invalid_input,
                "the base64 digit at position " + std::to_string(digits) + " sets bits that stand for nothing");
  }
  return bytes;
}

}  // namespace base
