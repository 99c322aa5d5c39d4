#include <algorithm>

#include "tests/fuzz/fuzzer.hpp"
#include "verity/superblock.hpp"

/// Property: what decodes encodes back to the same 512 bytes, so no byte of a superblock goes unread.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const base::ByteView raw = fuzz::view(data, size);
  const auto superblock = verity::Superblock::decode(raw);
  if (!superblock) return 0;
  const base::Bytes encoded = superblock->encode();
  fuzz::require(std::ranges::equal(encoded, raw.first(verity::superblock_size)), "encode(decode(raw)) == raw");
  return 0;
}
