#include <algorithm>

#include "image/cpio.hpp"
#include "tests/fuzz/fuzzer.hpp"

namespace {

bool same(const image::CpioEntry& a, const image::CpioEntry& b) {
  return a.path == b.path && a.type == b.type && a.permissions == b.permissions && a.major == b.major &&
         a.minor == b.minor && std::ranges::equal(a.content, b.content);
}

}  // namespace

/// Property: what is read and can be written is found again, every entry of it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto entries = image::read_cpio(fuzz::view(data, size));
  if (!entries) return 0;
  const auto archive = image::write_cpio(*entries);
  if (!archive) return 0;  // "./" in front, a path twice, a file with something below it
  const auto again = image::read_cpio(*archive);
  fuzz::require(again.has_value(), "what was written can be read");
  for (const image::CpioEntry& entry : *entries) {
    const auto found = std::ranges::lower_bound(*again, entry.path, {}, &image::CpioEntry::path);
    fuzz::require(found != again->end() && same(*found, entry), "each entry is in the archive again");
  }
  return 0;
}
