#include "tests/fuzz/fuzzer.hpp"
#include "verity/root_hash_signature.hpp"
#include "verity/signature_partition.hpp"

/// Property: what decodes keeps its promises, and survives being encoded and decoded again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto partition = verity::SignaturePartition::decode(fuzz::view(data, size));
  if (!partition) return 0;
  fuzz::require(!partition->signature.empty() && partition->signature.size() <= verity::max_signature_size,
                "a signature has from 1 to 32767 bytes");
  const auto encoded = partition->encode();
  fuzz::require(encoded.has_value(), "what decodes can be encoded");
  fuzz::require(encoded->size() % verity::signature_partition_alignment == 0, "the content is padded to 4096 bytes");
  const auto again = verity::SignaturePartition::decode(*encoded);
  fuzz::require(again.has_value() && *again == *partition, "decode(encode(partition)) == partition");
  return 0;
}
