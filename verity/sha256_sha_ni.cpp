#include "verity/sha256_lanes.hpp"

#if defined(__x86_64__)

#include <immintrin.h>

namespace verity::lanes {

namespace {

/// One message's state in the order that SHA256RNDS2 wants: the words A B E F and C D G H, first word highest.
struct Pair {
  __m128i abef;
  __m128i cdgh;
};

int word_of(const States& states, std::size_t word, std::size_t lane) {
  return static_cast<int>(states.word[word][lane]);
}

}  // namespace

// SHA256RNDS2 takes four cycles before its result can be used, but a new one may start before that: four independent
// messages side by side keep the unit busy where one would wait for itself.
// Source: Intel, "Intel SHA Extensions" (2013), for the instructions and the order of the words.
__attribute__((target("sha,sse4.1"))) void compress_sha_ni(States& states, const std::byte* const* blocks,
                                                           std::size_t block_count) {
  constexpr std::size_t lanes = sha_ni_lanes;
  const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);

  Pair now[lanes];
  for (std::size_t lane = 0; lane < lanes; ++lane) {
    const auto word = [&](std::size_t i) { return word_of(states, i, lane); };
    now[lane] = {_mm_set_epi32(word(0), word(1), word(4), word(5)), _mm_set_epi32(word(2), word(3), word(6), word(7))};
  }

  for (std::size_t block = 0; block < block_count; ++block) {
    Pair before[lanes];
    __m128i schedule[lanes][4];  // the last sixteen words of the message schedule
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      before[lane] = now[lane];
      const auto* from = reinterpret_cast<const __m128i*>(blocks[lane] + block * block_size);
      for (std::size_t i = 0; i < 4; ++i) {
        schedule[lane][i] = _mm_shuffle_epi8(_mm_loadu_si128(from + i), big_endian);
      }
    }
#pragma GCC unroll 16
    for (std::size_t step = 0; step < 16; ++step) {  // four rounds each
      const __m128i constants = _mm_load_si128(reinterpret_cast<const __m128i*>(round_constants.data()) + step);
#pragma GCC unroll 4
      for (std::size_t lane = 0; lane < lanes; ++lane) {
        __m128i& oldest = schedule[lane][step % 4];
        const __m128i newest = schedule[lane][(step + 3) % 4];
        const __m128i words = _mm_add_epi32(oldest, constants);
        Pair& state = now[lane];
        state.cdgh = _mm_sha256rnds2_epu32(state.cdgh, state.abef, words);
        state.abef = _mm_sha256rnds2_epu32(state.abef, state.cdgh, _mm_shuffle_epi32(words, 0x0e));
        if (step < 12) {
          const __m128i middle = _mm_alignr_epi8(newest, schedule[lane][(step + 2) % 4], 4);
          const __m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(oldest, schedule[lane][(step + 1) % 4]), middle);
          oldest = _mm_sha256msg2_epu32(sum, newest);
        }
      }
    }
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      now[lane].abef = _mm_add_epi32(now[lane].abef, before[lane].abef);
      now[lane].cdgh = _mm_add_epi32(now[lane].cdgh, before[lane].cdgh);
    }
  }

  constexpr std::size_t abef_words[] = {5, 4, 1, 0};  // lowest element first
  constexpr std::size_t cdgh_words[] = {7, 6, 3, 2};
  for (std::size_t lane = 0; lane < lanes; ++lane) {
    alignas(16) std::uint32_t abef[4];
    alignas(16) std::uint32_t cdgh[4];
    _mm_store_si128(reinterpret_cast<__m128i*>(abef), now[lane].abef);
    _mm_store_si128(reinterpret_cast<__m128i*>(cdgh), now[lane].cdgh);
    for (std::size_t i = 0; i < 4; ++i) {
      states.word[abef_words[i]][lane] = abef[i];
      states.word[cdgh_words[i]][lane] = cdgh[i];
    }
  }
}

}  // namespace verity::lanes

#endif
