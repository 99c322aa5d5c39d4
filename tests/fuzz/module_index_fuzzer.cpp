#include <set>
#include <string>
#include <vector>

#include "image/kernel_modules.hpp"
#include "tests/fuzz/fuzzer.hpp"

/// modules.dep, a NUL byte, modules.builtin. Property: an order holds each module once and every one that was asked
/// for.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = base::text_of(fuzz::view(data, size));
  const std::size_t end = std::min(text.find('\0'), text.size());
  const auto index = image::ModuleIndex::parse(text.substr(0, end), text.substr(std::min(end + 1, text.size())));
  if (!index) return 0;
  for (const std::string& name : index->names())
    fuzz::require(name == image::module_name(name), "names are normalised");
  const auto order = index->load_order(index->names());
  if (!order) return 0;
  std::set<std::string> loaded;
  for (const std::string& path : *order)
    fuzz::require(loaded.insert(image::module_name(path)).second, "each module once");
  fuzz::require(loaded.size() <= index->names().size(), "no module that has no name");
  return 0;
}
