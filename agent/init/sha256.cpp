// Deprecated in OpenSSL 3 in favour of EVP; see the header for why not that.
#define OPENSSL_SUPPRESS_DEPRECATED  // NOLINT(cppcoreguidelines-macro-usage)

#include "agent/init/sha256.hpp"

#include <cstdlib>

#include <openssl/sha.h>

namespace agent::init {

base::Sha256Digest static_sha256(base::ByteView bytes) {
  base::Sha256Digest digest;
  SHA256_CTX context;
  const bool done = SHA256_Init(&context) == 1 && SHA256_Update(&context, bytes.data(), bytes.size()) == 1 &&
                    SHA256_Final(reinterpret_cast<unsigned char*>(digest.data()), &context) == 1;
  if (!done) std::abort();  // it cannot fail
  return digest;
}

}  // namespace agent::init
