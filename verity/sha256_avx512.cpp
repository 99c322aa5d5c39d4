#include "verity/sha256_lanes.hpp"

#if defined(__x86_64__)

#include <immintrin.h>

#define KEELSON_AVX512 __attribute__((target("avx512f,avx512bw")))
#define KEELSON_AVX512_INLINE __attribute__((target("avx512f,avx512bw"), always_inline)) inline

namespace verity::lanes {

namespace {

KEELSON_AVX512_INLINE __m512i exclusive_or(__m512i a, __m512i b, __m512i c) {
  return _mm512_ternarylogic_epi32(a, b, c, 0x96);
}
KEELSON_AVX512_INLINE __m512i choose(__m512i e, __m512i f, __m512i g) {
  return _mm512_ternarylogic_epi32(e, f, g, 0xca);
}
KEELSON_AVX512_INLINE __m512i majority(__m512i a, __m512i b, __m512i c) {
  return _mm512_ternarylogic_epi32(a, b, c, 0xe8);
}
KEELSON_AVX512_INLINE __m512i sum(__m512i a, __m512i b) {
  return _mm512_add_epi32(a, b);
}
KEELSON_AVX512_INLINE __m512i big_sigma0(__m512i x) {
  return exclusive_or(_mm512_ror_epi32(x, 2), _mm512_ror_epi32(x, 13), _mm512_ror_epi32(x, 22));
}
KEELSON_AVX512_INLINE __m512i big_sigma1(__m512i x) {
  return exclusive_or(_mm512_ror_epi32(x, 6), _mm512_ror_epi32(x, 11), _mm512_ror_epi32(x, 25));
}
KEELSON_AVX512_INLINE __m512i small_sigma0(__m512i x) {
  return exclusive_or(_mm512_ror_epi32(x, 7), _mm512_ror_epi32(x, 18), _mm512_srli_epi32(x, 3));
}
KEELSON_AVX512_INLINE __m512i small_sigma1(__m512i x) {
  return exclusive_or(_mm512_ror_epi32(x, 17), _mm512_ror_epi32(x, 19), _mm512_srli_epi32(x, 10));
}

/// Turns sixteen rows of sixteen words round: row i, word j becomes row j, word i. In four steps that each exchange
/// pieces of twice the size: words, pairs, quarters, halves.
KEELSON_AVX512_INLINE void transpose(__m512i (&row)[16]) {
  __m512i pairs[16];
  for (int i = 0; i < 8; ++i) {
    pairs[2 * i] = _mm512_unpacklo_epi32(row[2 * i], row[2 * i + 1]);
    pairs[2 * i + 1] = _mm512_unpackhi_epi32(row[2 * i], row[2 * i + 1]);
  }
  __m512i fours[16];
  for (int i = 0; i < 16; i += 4) {
    fours[i] = _mm512_unpacklo_epi64(pairs[i], pairs[i + 2]);
    fours[i + 1] = _mm512_unpackhi_epi64(pairs[i], pairs[i + 2]);
    fours[i + 2] = _mm512_unpacklo_epi64(pairs[i + 1], pairs[i + 3]);
    fours[i + 3] = _mm512_unpackhi_epi64(pairs[i + 1], pairs[i + 3]);
  }
  __m512i eights[16];
  for (int i = 0; i < 4; ++i) {
    eights[i] = _mm512_shuffle_i32x4(fours[i], fours[4 + i], 0x88);
    eights[4 + i] = _mm512_shuffle_i32x4(fours[i], fours[4 + i], 0xdd);
    eights[8 + i] = _mm512_shuffle_i32x4(fours[8 + i], fours[12 + i], 0x88);
    eights[12 + i] = _mm512_shuffle_i32x4(fours[8 + i], fours[12 + i], 0xdd);
  }
  for (int i = 0; i < 4; ++i) {
    row[i] = _mm512_shuffle_i32x4(eights[i], eights[8 + i], 0x88);
    row[4 + i] = _mm512_shuffle_i32x4(eights[4 + i], eights[12 + i], 0x88);
    row[8 + i] = _mm512_shuffle_i32x4(eights[i], eights[8 + i], 0xdd);
    row[12 + i] = _mm512_shuffle_i32x4(eights[4 + i], eights[12 + i], 0xdd);
  }
}

}  // namespace

// FIPS 180-4, section 6.2.2, with sixteen messages in the place of one: each variable holds the same word of all.
KEELSON_AVX512 void compress_avx512(States& states, const std::byte* const* blocks, std::size_t block_count) {
  const __m512i big_endian = _mm512_broadcast_i32x4(_mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203));
  __m512i chain[8];
  for (std::size_t i = 0; i < 8; ++i) chain[i] = _mm512_load_si512(states.word[i].data());

  for (std::size_t block = 0; block < block_count; ++block) {
    __m512i w[16];  // the last sixteen words of the message schedule
    for (std::size_t lane = 0; lane < avx512_lanes; ++lane) {
      w[lane] = _mm512_shuffle_epi8(_mm512_loadu_si512(blocks[lane] + block * block_size), big_endian);
    }
    transpose(w);

    __m512i v[8];
    for (std::size_t i = 0; i < 8; ++i) v[i] = chain[i];
#pragma GCC unroll 64
    for (unsigned round = 0; round < 64; ++round) {
      // Instead of moving a to b, b to c ..., the names move: after a round, what was h is a.
      const auto name = [&v, round](unsigned i) -> __m512i& { return v[(64 + i - round) % 8]; };
      __m512i& d = name(3);
      __m512i& h = name(7);
      __m512i& word = w[round % 16];
      const __m512i key = sum(word, _mm512_set1_epi32(static_cast<int>(round_constants[round])));
      const __m512i first = sum(sum(h, key), sum(choose(name(4), name(5), name(6)), big_sigma1(name(4))));
      const __m512i second = sum(majority(name(0), name(1), name(2)), big_sigma0(name(0)));
      d = sum(d, first);
      h = sum(first, second);
      if (round < 48) {
        word = sum(sum(word, w[(round + 9) % 16]),
                   sum(small_sigma0(w[(round + 1) % 16]), small_sigma1(w[(round + 14) % 16])));
      }
    }
    for (std::size_t i = 0; i < 8; ++i) chain[i] = sum(chain[i], v[i]);
  }

  for (std::size_t i = 0; i < 8; ++i) _mm512_store_si512(states.word[i].data(), chain[i]);
}

}  // namespace verity::lanes

#endif
