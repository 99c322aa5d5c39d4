#include "verity/salted_sha256.hpp"

#include <gmock/gmock.h>
#include <openssl/evp.h>

#include "tests/support/pattern.hpp"
#include "verity/root_hash.hpp"

namespace {

using verity::Sha256Engine;

std::string openssl_digest(base::ByteView salt, base::ByteView message) {
  base::Bytes text(salt.begin(), salt.end());
  text.insert(text.end(), message.begin(), message.end());
  base::Bytes digest(verity::digest_size);
  EVP_Digest(text.data(), text.size(), reinterpret_cast<unsigned char*>(digest.data()), nullptr, EVP_sha256(), nullptr);
  return base::to_hex(digest);
}

std::vector<Sha256Engine> engines_here() {
  std::vector<Sha256Engine> engines = {Sha256Engine::openssl, Sha256Engine::sha_ni, Sha256Engine::avx512};
  std::erase_if(engines, [](Sha256Engine engine) { return !verity::is_supported(engine); });
  return engines;
}

class EveryEngine : public testing::TestWithParam<Sha256Engine> {};

TEST_P(EveryEngine, GivesTheDigestsOfOpenSsl) {
  const base::Bytes messages = support::pattern(std::size_t{37} * 4096);
  for (const std::size_t salt_size : {0, 1, 8, 31, 32, 55, 56, 63, 64, 65, 128, 200, 255, 256}) {
    const base::Bytes salt = support::pattern(salt_size, 7);
    const verity::SaltedSha256 sha256(salt, GetParam());
    for (const std::size_t size : {512, 1024, 2048, 4096}) {
      for (const std::size_t count : {1, 3, 4, 5, 15, 16, 17, 37}) {
        const base::ByteView view = base::ByteView(messages).first(count * size);
        base::Bytes digests(count * verity::digest_size);
        sha256.digest(view, size, digests);
        for (std::size_t i = 0; i < count; ++i) {
          ASSERT_EQ(base::to_hex(base::ByteView(digests).subspan(i * verity::digest_size, verity::digest_size)),
                    openssl_digest(salt, view.subspan(i * size, size)))
              << "salt of " << salt_size << ", message " << i << " of " << count << ", " << size << " bytes each";
        }
      }
    }
  }
}

TEST_P(EveryEngine, ReadsMessagesAtAnyAlignment) {
  const base::Bytes messages = support::pattern(17 * 512 + 3);
  const verity::SaltedSha256 sha256({}, GetParam());
  base::Bytes digests(17 * verity::digest_size);
  sha256.digest(base::ByteView(messages).subspan(3), 512, digests);
  EXPECT_EQ(base::to_hex(base::ByteView(digests).last(verity::digest_size)),
            openssl_digest({}, base::ByteView(messages).last(512)));
}

INSTANTIATE_TEST_SUITE_P(Sha256, EveryEngine, testing::ValuesIn(engines_here()), [](const auto& tested) {
  std::string name = to_string(tested.param);
  std::erase(name, '-');
  return name;
});

TEST(Sha256Engine, TheFastestIsOneThatThisProcessorHas) {
  EXPECT_TRUE(verity::is_supported(verity::fastest_engine()));
}

}  // namespace
