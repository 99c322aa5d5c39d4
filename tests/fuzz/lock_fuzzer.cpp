#include "builder/packages/lock.hpp"
#include "tests/fuzz/fuzzer.hpp"

/// Properties: what is accepted is written as a text that is accepted again and means the same; that text is the same
/// every time.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace builder::packages;
  const auto lock = parse_lock(base::text_of(fuzz::view(data, size)));
  if (!lock) return 0;
  const std::string text = to_json(*lock);
  const auto again = parse_lock(text);
  fuzz::require(again.has_value() && *again == *lock, "what is written is what was read");
  fuzz::require(to_json(*again) == text, "the same lock has one text");
  fuzz::require(difference(*lock, *again).empty(), "a lock does not differ from itself");
  return 0;
}
