#include "builder/signers.hpp"

namespace builder {

using base::Result;

namespace {

Result<outputs::Signer> read_signer(const std::string& directory, const std::string& name) {
  TRY(verity::PrivateKey key, verity::read_private_key(directory + "/" + name + ".key"));
  TRY(verity::Certificate certificate, verity::read_certificate(directory + "/" + name + ".crt"));
  return outputs::Signer{std::move(key), std::move(certificate)};
}

}  // namespace

Result<SignerKeys> SignerKeys::read(const std::string& directory) {
  TRY(outputs::Signer root_hash, read_signer(directory, "verity"));
  TRY(outputs::Signer secure_boot, read_signer(directory, "db"));
  return SignerKeys(std::move(root_hash), std::move(secure_boot));
}

std::string SignerKeys::fingerprint() const {
  return root_hash_.certificate.fingerprint() + secure_boot_.certificate.fingerprint();
}

outputs::Signers SignerKeys::signers(bool secure_boot) const {
  return {.root_hash = root_hash_,
          .secure_boot = secure_boot ? std::optional(secure_boot_) : std::nullopt,
          .enroll_keys = std::nullopt};
}

Result<> make_signer_keys(const std::string& directory) {
  return base::fail(base::Kind::not_found, "there are no keys in " + directory + "; run keelson keys new " + directory);
}

}  // namespace builder
