#include "agent/boot_loader/efi_text.hpp"
#include "agent/boot_loader/entry_name.hpp"
#include "agent/boot_loader/load_option.hpp"
#include "tests/fuzz/fuzzer.hpp"

namespace boot_loader = agent::boot_loader;

/// Properties: a list of strings is put together again from its strings; a boot option that can be written reads back
/// as itself; a counter is never longer than the name that it stands in.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const base::ByteView value = fuzz::view(data, size);
  if (const auto strings = boot_loader::decode_strings(value)) {
    base::Bytes together;
    for (const std::string& text : *strings) {
      const auto encoded = boot_loader::encode_string(text);
      fuzz::require(encoded.has_value(), "what was decoded can be encoded");
      together.insert(together.end(), encoded->begin(), encoded->end());
      fuzz::require(boot_loader::EntryName::of(text).stem.size() <= text.size(), "a stem is a part of its name");
    }
    fuzz::require(boot_loader::decode_strings(together).value() == *strings, "decode(encode(strings)) == strings");
  }
  const auto option = boot_loader::decode_load_option(value);
  if (!option) return 0;
  const auto encoded = boot_loader::encode_load_option(*option);
  if (encoded)
    fuzz::require(boot_loader::decode_load_option(*encoded).value() == *option, "decode(encode(option)) == option");
  return 0;
}
