#include "base/digest.hpp"

#include <cstdlib>

#include <openssl/evp.h>

#include "base/owned.hpp"

namespace base {

namespace {

void must(int done) {
  if (done != 1) std::abort();
}

}  // namespace

struct Sha256::Context {
  Owned<EVP_MD_CTX, &EVP_MD_CTX_free> handle{EVP_MD_CTX_new()};
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
  must(EVP_DigestInit_ex(context_->handle.get(), EVP_sha256(), nullptr));
}
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;
Sha256::~Sha256() = default;

void Sha256::update(ByteView bytes) {
  must(EVP_DigestUpdate(context_->handle.get(), bytes.data(), bytes.size()));
}

Sha256Digest Sha256::finish() {
  Sha256Digest digest;
  must(EVP_DigestFinal_ex(context_->handle.get(), reinterpret_cast<unsigned char*>(digest.data()), nullptr));
  must(EVP_DigestInit_ex(context_->handle.get(), EVP_sha256(), nullptr));
  return digest;
}

Sha256Digest sha256(ByteView bytes) {
  Sha256 all;
  all.update(bytes);
  return all.finish();
}

}  // namespace base
