#include "verity/root_hash.hpp"

#include <algorithm>

namespace verity {

base::Result<RootHash> RootHash::parse(std::string_view hex) {
  const std::string frame = "the root hash \"" + std::string(hex.substr(0, 80)) + "\"";
  TRY(const base::Bytes bytes, base::from_hex(hex), frame);
  if (bytes.size() != digest_size) {
    return base::fail(base::Kind::invalid_input,
                      frame + " has " + std::to_string(hex.size()) + " digits; SHA-256 has 64");
  }
  RootHash root;
  std::ranges::copy(bytes, root.bytes.begin());
  return root;
}

}  // namespace verity
