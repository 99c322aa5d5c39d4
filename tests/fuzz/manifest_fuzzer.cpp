#include "builder/manifest/manifest.hpp"
#include "tests/fuzz/fuzzer.hpp"

/// Properties: reading ends, whatever the text, with the same manifest or the same complaints every time. The text can
/// include itself, as "self".
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(base::text_of(fuzz::view(data, size)));
  builder::manifest::LoadOptions options;
  options.read_file = [&](const std::string& path) -> base::Result<std::string> {
    if (path == "m.yaml" || path == "self") return text;
    return base::fail(base::Kind::not_found, path);
  };
  const auto once = builder::manifest::read_manifest("m.yaml", options);
  const auto twice = builder::manifest::read_manifest("m.yaml", options);
  fuzz::require(once.has_value() == twice.has_value(), "the same text is the same manifest");
  if (once) {
    fuzz::require(once->id == twice->id && once->version == twice->version, "the same text is the same image");
  } else {
    fuzz::require(once.error().message() == twice.error().message(), "the same text is as wrong");
  }
  return 0;
}
