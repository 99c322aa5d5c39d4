#include <algorithm>
#include <vector>

#include "tests/fuzz/fuzzer.hpp"
#include "verity/root_hash_signature.hpp"

namespace {

/// The root hash that the corpus's signatures are over (tests/fuzz/make_corpus.sh).
const verity::RootHash& signed_root() {
  static const auto root =
      verity::RootHash::parse("2e534ef0107d592d1706ac38ad58596b85ef3375d360a6d669f974792df5cb5a").value();
  return root;
}

/// An RSA and an ECDSA certificate, so that both ways of checking a signature value are reached.
const std::vector<verity::Certificate>& trusted() {
  static const std::vector certificates{
      verity::read_certificate(KEELSON_TEST_DATA "/keys/rsa-2048.crt.pem").value(),
      verity::read_certificate(KEELSON_TEST_DATA "/keys/p256.crt.pem").value(),
  };
  return certificates;
}

}  // namespace

/// Property: a success names a trusted certificate, holds for this root hash and for no other, and is never one of
/// certificates that did not sign.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const base::ByteView der = fuzz::view(data, size);
  const auto signer = verity::verify_root_hash_signature(signed_root(), der, trusted());
  fuzz::require(!verity::verify_root_hash_signature(signed_root(), der, {}), "nothing trusted, nothing verified");
  if (!signer) return 0;

  fuzz::require(size > 0, "an empty signature is none");
  fuzz::require(std::ranges::any_of(trusted(),
                                    [&](const verity::Certificate& certificate) {
                                      return certificate.fingerprint() == signer->fingerprint();
                                    }),
                "the signer is a trusted one");
  verity::RootHash other = signed_root();
  other.bytes.back() ^= std::byte{1};
  fuzz::require(!verity::verify_root_hash_signature(other, der, trusted()), "a signature is over one root hash only");
  static const auto stranger = verity::read_certificate(KEELSON_TEST_DATA "/keys/impostor-rsa-2048.crt.pem").value();
  fuzz::require(!verity::verify_root_hash_signature(signed_root(), der, std::span(&stranger, 1)),
                "a certificate that did not sign does not verify");
  return 0;
}
