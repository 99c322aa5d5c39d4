#include "builder/packages/control.hpp"
#include "builder/packages/dependencies.hpp"
#include "tests/fuzz/fuzzer.hpp"

/// Properties: the text of a paragraph is read as the same paragraph; dependencies are followed to an end.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace builder::packages;
  const auto paragraphs = parse_paragraphs(base::text_of(fuzz::view(data, size)));
  if (!paragraphs) return 0;
  for (const Paragraph& paragraph : *paragraphs) {
    const auto again = parse_paragraphs(paragraph.text());
    fuzz::require(again.has_value() && again->size() == 1 && again->front().fields == paragraph.fields,
                  "what is written is what was read");
  }
  (void)essential_closure(*paragraphs);
  return 0;
}
