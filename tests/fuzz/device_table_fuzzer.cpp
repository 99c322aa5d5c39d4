#include "tests/fuzz/fuzzer.hpp"
#include "verity/device_table.hpp"

/// Property: a table that can be read can be written, and reads back as what was written.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = base::text_of(fuzz::view(data, size));
  (void)verity::parse_target_status(text);
  const auto table = verity::parse_table_line(text);
  if (!table) return 0;
  const auto line = verity::table_line(*table);
  if (!line) return 0;  // the kernel may show what we would not ask of it
  const auto again = verity::parse_table_line(*line);
  fuzz::require(again.has_value() && *verity::table_line(*again) == *line, "write(read(write(table))) == write(table)");
  return 0;
}
