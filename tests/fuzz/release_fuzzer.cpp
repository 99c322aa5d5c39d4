#include "image/release.hpp"
#include "tests/fuzz/fuzzer.hpp"

/// Properties: what is accepted is written as a text that is accepted again and means the same; that text is the same
/// every time.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto release = image::parse_release(base::text_of(fuzz::view(data, size)));
  if (!release) return 0;
  const std::string text = image::to_json(*release);
  const auto again = image::parse_release(text);
  fuzz::require(again.has_value() && *again == *release, "what is written is what was read");
  fuzz::require(image::to_json(*again) == text, "the same release has one text");
  return 0;
}
