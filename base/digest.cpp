#include "base/digest.hpp"

#include <algorithm>
#include <cstdlib>

#include <openssl/evp.h>

#include "base/file.hpp"
#include "base/owned.hpp"

namespace base {

namespace {

/// Of a file: still in the second-level cache when it is hashed.
constexpr std::uint64_t block_bytes = std::uint64_t{64} << 10;

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

Result<> Sha256::update(const File& file) {
  TRY(const std::uint64_t size, file.size());
  Bytes block(std::min(size, block_bytes));
  for (std::uint64_t at = 0; at < size; at += block.size()) {
    const auto part = MutableByteView(block).first(std::min<std::uint64_t>(block.size(), size - at));
    TRY_DO(file.read_exactly(at, part));
    update(part);
  }
  return ok();
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

Result<Sha256Digest> sha256_of(const File& file) {
  Sha256 all;
  TRY_DO(all.update(file));
  return all.finish();
}

}  // namespace base
