#include "builder/signers.hpp"

#include "base/bytes.hpp"
#include "base/digest.hpp"

namespace builder {

base::Result<SignerKeys> SignerKeys::read(const std::string& directory) {
  TRY(keys::BuildKeys keys, keys::read_keys(directory));
  return SignerKeys(std::move(keys));
}

std::string SignerKeys::fingerprint() const {
  base::Sha256 sha;
  for (const std::string* text :
       {&keys_.root_hash.certificate.fingerprint(), &keys_.secure_boot.certificate.fingerprint()}) {
    sha.update(base::bytes_of(*text));
  }
  for (const base::Bytes* bytes : {&keys_.platform_key, &keys_.key_exchange_key, &keys_.signature_database}) {
    sha.update(*bytes);
  }
  return base::to_hex(sha.finish());
}

outputs::Signers SignerKeys::signers(bool secure_boot) const {
  outputs::Signers signers{.root_hash = keys_.root_hash};
  if (secure_boot) {
    signers.secure_boot = keys_.secure_boot;
    signers.enroll_keys = keys_.enroll_keys();
  }
  return signers;
}

}  // namespace builder
