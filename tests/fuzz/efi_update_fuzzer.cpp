#include "builder/keys/efi_variable.hpp"
#include "tests/fuzz/fuzzer.hpp"

using builder::keys::EfiVariable;

/// Property: what is read is what it was put together from; a signature that holds names the trusted certificate and
/// holds for one variable only.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const base::ByteView file = fuzz::view(data, size);
  const auto update = builder::keys::parse_efi_update(file);
  if (!update) return 0;
  fuzz::require(!update->certificates.empty(), "an update sets its variable to something");
  fuzz::require(update->signature.size() + update->content.size() + 40 == size, "every byte belongs to something");
  static const auto trusted = verity::read_certificate(KEELSON_TEST_DATA "/keys/rsa-2048.crt.pem").value();
  const auto signer = builder::keys::verify_efi_update(*update, EfiVariable::signature_database, {&trusted, 1});
  if (!signer) return 0;
  fuzz::require(signer->fingerprint() == trusted.fingerprint(), "the signer is the trusted one");
  fuzz::require(!builder::keys::verify_efi_update(*update, EfiVariable::key_exchange_key, {&trusted, 1}),
                "an update of db is none of KEK");
  return 0;
}
