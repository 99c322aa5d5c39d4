#include "verity/salted_sha256.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>

#include <openssl/evp.h>

#include "base/owned.hpp"
#include "verity/root_hash.hpp"
#include "verity/sha256_lanes.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace verity {

using base::ByteView;
using base::MutableByteView;

namespace {

#if defined(__x86_64__)
bool has_sha_extensions() {
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  constexpr unsigned sha_bit = 1U << 29;  // CPUID leaf 7, EBX; GCC 12's __builtin_cpu_supports has no name for it
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & sha_bit) != 0 && __builtin_cpu_supports("sse4.1") != 0;
}
#endif

std::uint32_t big_endian(std::uint32_t value) {
  return std::endian::native == std::endian::little ? std::byteswap(value) : value;
}

/// OpenSSL's digest functions fail only when memory is gone.
void must(int result) {
  if (result != 1) std::abort();
}

}  // namespace

const char* to_string(Sha256Engine engine) {
  switch (engine) {
    case Sha256Engine::openssl:
      return "openssl";
    case Sha256Engine::sha_ni:
      return "sha-ni";
    case Sha256Engine::avx512:
      return "avx-512";
  }
  return "unknown";
}

bool is_supported(Sha256Engine engine) {
#if defined(__x86_64__)
  static const bool sha_ni = has_sha_extensions();
  static const bool avx512 = __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0;
  if (engine == Sha256Engine::sha_ni) return sha_ni;
  if (engine == Sha256Engine::avx512) return avx512;
#endif
  return engine == Sha256Engine::openssl;
}

Sha256Engine fastest_engine() {
  if (is_supported(Sha256Engine::avx512)) return Sha256Engine::avx512;
  if (is_supported(Sha256Engine::sha_ni)) return Sha256Engine::sha_ni;
  return Sha256Engine::openssl;
}

class SaltedSha256::Engine {
 public:
  virtual ~Engine() = default;
  virtual std::size_t lanes() const = 0;
  /// As SaltedSha256::digest, for at most lanes() messages.
  virtual void digest(ByteView messages, std::size_t message_size, MutableByteView digests) const = 0;
};

class SaltedSha256::OpenSslEngine final : public Engine {
 public:
  explicit OpenSslEngine(ByteView salt) : salted_(EVP_MD_CTX_new()) {
    must(EVP_DigestInit_ex(salted_.get(), EVP_sha256(), nullptr));
    must(EVP_DigestUpdate(salted_.get(), salt.data(), salt.size()));
  }

  std::size_t lanes() const override { return 1; }

  void digest(ByteView messages, std::size_t message_size, MutableByteView digests) const override {
    const Context context(EVP_MD_CTX_new());
    must(EVP_MD_CTX_copy_ex(context.get(), salted_.get()));
    must(EVP_DigestUpdate(context.get(), messages.data(), message_size));
    must(EVP_DigestFinal_ex(context.get(), reinterpret_cast<unsigned char*>(digests.data()), nullptr));
  }

 private:
  using Context = base::Owned<EVP_MD_CTX, &EVP_MD_CTX_free>;
  Context salted_;  // the state after the salt
};

class SaltedSha256::LaneEngine final : public Engine {
 public:
  LaneEngine(ByteView salt, lanes::Compress compress, std::size_t lane_count)
      : compress_(compress), lanes_(lane_count), salt_size_(salt.size()) {
    for (std::size_t i = 0; i < lanes::initial_state.size(); ++i) salted_.word[i].fill(lanes::initial_state[i]);
    const std::size_t whole_blocks = salt.size() / lanes::block_size;
    std::array<const std::byte*, lanes::max_lanes> blocks{};
    blocks.fill(salt.data());
    compress_(salted_, blocks.data(), whole_blocks);
    const ByteView rest = salt.subspan(whole_blocks * lanes::block_size);
    salt_rest_.assign(rest.begin(), rest.end());
  }

  std::size_t lanes() const override { return lanes_; }

  void digest(ByteView messages, std::size_t message_size, MutableByteView digests) const override {
    const std::size_t count = messages.size() / message_size;
    lanes::States states = salted_;
    Pointers at{};  // how far each lane's message has been taken in
    for (std::size_t lane = 0; lane < lanes_; ++lane) {
      // A lane without a message of its own repeats the last one; its digest is not taken out.
      at[lane] = messages.data() + std::min(lane, count - 1) * message_size;
    }

    // What is left of the salt, filled up from the message.
    std::size_t left = message_size;
    if (!salt_rest_.empty()) {
      const std::size_t from_message = lanes::block_size - salt_rest_.size();
      Scratch head;
      for (std::size_t lane = 0; lane < lanes_; ++lane) {
        std::memcpy(head[lane].data(), salt_rest_.data(), salt_rest_.size());
        std::memcpy(head[lane].data() + salt_rest_.size(), at[lane], from_message);
      }
      advance(at, from_message);
      left -= from_message;
      compress_scratch(states, head, 1);
    }

    // The message's own whole blocks, where they lie.
    const std::size_t whole_blocks = left / lanes::block_size;
    compress_(states, at.data(), whole_blocks);
    advance(at, whole_blocks * lanes::block_size);
    left -= whole_blocks * lanes::block_size;

    // The rest, a one bit, zeros, and the length in bits (FIPS 180-4, section 5.1.1).
    const std::size_t tail_blocks = left + 1 + sizeof(std::uint64_t) <= lanes::block_size ? 1 : 2;
    const std::size_t tail_size = tail_blocks * lanes::block_size;
    const std::uint64_t bits = std::uint64_t{salt_size_ + message_size} * 8;
    Scratch tail;
    for (std::size_t lane = 0; lane < lanes_; ++lane) {
      std::byte* const to = tail[lane].data();
      std::memcpy(to, at[lane], left);
      to[left] = std::byte{0x80};
      std::memset(to + left + 1, 0, tail_size - left - 1);
      for (std::size_t i = 0; i < sizeof bits; ++i) to[tail_size - 1 - i] = static_cast<std::byte>(bits >> (8 * i));
    }
    compress_scratch(states, tail, tail_blocks);

    for (std::size_t lane = 0; lane < count; ++lane) {
      for (std::size_t i = 0; i < states.word.size(); ++i) {
        const std::uint32_t word = big_endian(states.word[i][lane]);
        std::memcpy(&digests[lane * digest_size + i * sizeof word], &word, sizeof word);
      }
    }
  }

 private:
  using Pointers = std::array<const std::byte*, lanes::max_lanes>;
  using Scratch = std::array<std::array<std::byte, 2 * lanes::block_size>, lanes::max_lanes>;

  void advance(Pointers& at, std::size_t by) const {
    for (std::size_t lane = 0; lane < lanes_; ++lane) at[lane] += by;
  }

  void compress_scratch(lanes::States& states, const Scratch& scratch, std::size_t blocks) const {
    Pointers at{};
    for (std::size_t lane = 0; lane < lanes_; ++lane) at[lane] = scratch[lane].data();
    compress_(states, at.data(), blocks);
  }

  lanes::Compress compress_;
  std::size_t lanes_;
  std::size_t salt_size_;
  lanes::States salted_{};  // after the salt's whole blocks
  base::Bytes salt_rest_;   // fewer than 64 bytes
};

SaltedSha256::SaltedSha256(ByteView salt, Sha256Engine engine) {
#if defined(__x86_64__)
  const auto sha_ni = [salt] {
    return std::make_unique<LaneEngine>(salt, &lanes::compress_sha_ni, lanes::sha_ni_lanes);
  };
  if (engine == Sha256Engine::avx512) {
    wide_ = std::make_unique<LaneEngine>(salt, &lanes::compress_avx512, lanes::avx512_lanes);
    if (is_supported(Sha256Engine::sha_ni)) narrow_ = sha_ni();
  }
  if (engine == Sha256Engine::sha_ni) wide_ = sha_ni();
#endif
  if (!wide_) wide_ = std::make_unique<OpenSslEngine>(salt);
}

SaltedSha256::~SaltedSha256() = default;

void SaltedSha256::digest(ByteView messages, std::size_t message_size, MutableByteView digests) const {
  for (std::size_t left = messages.size() / message_size; left > 0;) {
    const bool narrow = narrow_ != nullptr && left <= narrow_->lanes();
    const Engine& engine = narrow ? *narrow_ : *wide_;
    const std::size_t count = std::min(left, engine.lanes());
    engine.digest(messages.first(count * message_size), message_size, digests.first(count * digest_size));
    messages = messages.subspan(count * message_size);
    digests = digests.subspan(count * digest_size);
    left -= count;
  }
}

}  // namespace verity
