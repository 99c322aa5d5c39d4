#include "verity/reed_solomon.hpp"

#ifdef __x86_64__
#include <immintrin.h>
#endif

#include <algorithm>
#include <bitset>
#include <cstring>
#include <optional>
#include <string>

namespace verity {

using base::fail;
using base::Kind;
using base::Result;

namespace {

// --- GF(2^8): addition is exclusive or, multiplication adds exponents of the generator. ---

constexpr unsigned field_polynomial = 0x11d;
constexpr unsigned group_order = 255;  // of the non-zero elements

struct Field {
  std::array<std::uint8_t, 2 * group_order> power{};  // of the generator; twice round, so that two logarithms add up
  std::array<std::uint8_t, 256> logarithm{};          // of zero: none

  constexpr Field() {
    unsigned element = 1;
    for (unsigned exponent = 0; exponent < group_order; ++exponent) {
      power[exponent] = power[exponent + group_order] = static_cast<std::uint8_t>(element);
      logarithm[element] = static_cast<std::uint8_t>(exponent);
      element <<= 1;
      if (element > 255) element ^= field_polynomial;
    }
  }
};
constexpr Field field;

std::uint8_t add(std::uint8_t a, std::uint8_t b) {
  return static_cast<std::uint8_t>(a ^ b);
}
std::uint8_t multiply(std::uint8_t a, std::uint8_t b) {
  if (a == 0 || b == 0) return 0;
  return field.power[static_cast<unsigned>(field.logarithm[a]) + field.logarithm[b]];
}
std::uint8_t inverse(std::uint8_t a) {
  return field.power[group_order - field.logarithm[a]];
}

/// Coefficients from x^0 up. Locators have a degree of at most `roots`, which leaves one place to shift into.
using Polynomial = std::array<std::uint8_t, max_fec_roots + 2>;

/// Of a polynomial whose degree is at most `degree`.
std::uint8_t value_at(const Polynomial& polynomial, unsigned degree, std::uint8_t x) {
  std::uint8_t value = 0;
  for (std::size_t i = degree + 1; i-- > 0;) value = add(multiply(value, x), polynomial[i]);
  return value;
}

/// The formal derivative: in characteristic 2 the even powers vanish.
Polynomial derivative(const Polynomial& polynomial) {
  Polynomial result{};
  for (std::size_t i = 1; i < polynomial.size(); i += 2) result[i - 1] = polynomial[i];
  return result;
}

unsigned degree(const Polynomial& polynomial) {
  auto result = static_cast<unsigned>(polynomial.size() - 1);
  while (result > 0 && polynomial[result] == 0) --result;
  return result;
}

/// polynomial * (constant + factor * x)
Polynomial times_linear(const Polynomial& polynomial, std::uint8_t constant, std::uint8_t factor) {
  Polynomial result{};
  for (std::size_t i = 0; i < result.size(); ++i) {
    result[i] = multiply(polynomial[i], constant);
    if (i > 0) result[i] = add(result[i], multiply(polynomial[i - 1], factor));
  }
  return result;
}

// --- Decoding. The byte at position i is the coefficient of x^(254 - i); its locator is a^(254 - i). ---

constexpr std::uint8_t locator_of(unsigned position) {
  return field.power[codeword_size - 1 - position];
}

/// The value of the polynomial `word` at each root of the generator: all zero for a codeword.
Polynomial syndromes_of(base::ByteView word, unsigned roots) {
  Polynomial syndromes{};
  for (unsigned j = 0; j < roots; ++j) {
    std::uint8_t value = 0;
    for (const std::byte symbol : word) {
      // value * a^j + symbol, with the product spelled out: with whole codewords, decoding spends its time here.
      if (value != 0) value = field.power[static_cast<unsigned>(field.logarithm[value]) + j];
      value = add(value, std::to_integer<std::uint8_t>(symbol));
    }
    syndromes[j] = value;
  }
  return syndromes;
}

/// The product of (1 - locator * x) over every position in `erasures`.
Polynomial erasure_locator(std::span<const unsigned> erasures) {
  Polynomial locator{1};
  for (std::size_t degree = 1; degree <= erasures.size(); ++degree) {
    const std::uint8_t factor = locator_of(erasures[degree - 1]);
    for (std::size_t i = degree; i > 0; --i) locator[i] = add(locator[i], multiply(locator[i - 1], factor));
  }
  return locator;
}

/// Berlekamp and Massey's shortest shift register that makes the syndromes, begun with the locator of the known
/// erasures, which has degree `erased` (Blahut, section 7.5): the polynomial whose roots are the inverse locators of
/// all wrong bytes, or nothing when there are too many of them.
std::optional<Polynomial> errata_locator(const Polynomial& syndromes, unsigned roots, Polynomial locator,
                                         unsigned erased) {
  Polynomial correction = locator;
  unsigned length = erased;
  for (unsigned r = erased + 1; r <= roots; ++r) {
    std::uint8_t discrepancy = 0;
    for (unsigned i = 0; i < r; ++i) discrepancy = add(discrepancy, multiply(locator[i], syndromes[r - 1 - i]));
    correction = times_linear(correction, 0, 1);
    if (discrepancy == 0) continue;
    const Polynomial before = locator;
    for (std::size_t i = 0; i < locator.size(); ++i) {
      locator[i] = add(locator[i], multiply(discrepancy, correction[i]));
    }
    if (2 * length <= r + erased - 1) {
      length = r + erased - length;
      correction = times_linear(before, inverse(discrepancy), 0);
    }
  }
  if (degree(locator) != length || 2 * (length - erased) + erased > roots) return std::nullopt;
  return locator;
}

/// syndromes * locator modulo x^roots
Polynomial errata_evaluator(const Polynomial& syndromes, const Polynomial& locator, unsigned roots) {
  Polynomial evaluator{};
  for (unsigned i = 0; i < roots; ++i) {
    for (unsigned j = 0; j <= i; ++j) evaluator[i] = add(evaluator[i], multiply(locator[j], syndromes[i - j]));
  }
  return evaluator;
}

/// The right values, by Forney's formula, if no other positions than those of the roots of `locator` are wrong: nothing
/// if they do not explain the syndromes.
std::optional<ReedSolomon::Corrections> corrections_at(std::span<const unsigned> positions, const Polynomial& locator,
                                                       const Polynomial& syndromes, unsigned roots) {
  const Polynomial evaluator = errata_evaluator(syndromes, locator, roots);
  const Polynomial slope = derivative(locator);
  Polynomial unexplained = syndromes;
  ReedSolomon::Corrections corrections;
  for (const unsigned position : positions) {
    const std::uint8_t factor = locator_of(position);
    const std::uint8_t at = inverse(factor);
    const std::uint8_t divisor = value_at(slope, static_cast<unsigned>(positions.size()), at);
    if (divisor == 0) return std::nullopt;  // a double root
    const std::uint8_t quotient = multiply(value_at(evaluator, roots - 1, at), inverse(divisor));
    const std::uint8_t difference = multiply(factor, quotient);
    if (difference == 0) continue;
    corrections.add({static_cast<std::uint8_t>(position), std::byte{difference}});
    std::uint8_t term = difference;
    for (unsigned j = 0; j < roots; ++j, term = multiply(term, factor)) unexplained[j] = add(unexplained[j], term);
  }
  if (unexplained != Polynomial{}) return std::nullopt;
  return corrections;
}

/// Finds the wrong positions by trying all of them (Chien).
std::optional<ReedSolomon::Corrections> corrections_by(const Polynomial& locator, const Polynomial& syndromes,
                                                       unsigned roots) {
  const unsigned wrong = degree(locator);
  std::array<unsigned, max_fec_roots> positions;
  unsigned found = 0;
  for (unsigned position = 0; position < codeword_size && found < wrong; ++position) {
    if (value_at(locator, wrong, inverse(locator_of(position))) == 0) positions[found++] = position;
  }
  if (found != wrong) return std::nullopt;
  return corrections_at(std::span(positions).first(found), locator, syndromes, roots);
}

Result<> check_erasures(std::span<const unsigned> erasures) {
  std::bitset<codeword_size> seen;
  for (const unsigned position : erasures) {
    if (position >= codeword_size || seen.test(position)) {
      return fail(Kind::invalid_input,
                  "erasure position " + std::to_string(position) + ": each must be below 255 and be given only once");
    }
    seen.set(position);
  }
  return base::ok();
}

}  // namespace

Result<ReedSolomon> ReedSolomon::create(unsigned roots, Instructions instructions) {
  if (roots < min_fec_roots || roots > max_fec_roots) {
    return fail(Kind::invalid_input, std::to_string(roots) + " FEC roots: from 2 to 24 are possible");
  }
  return ReedSolomon(roots, instructions);
}

ReedSolomon::ReedSolomon(unsigned roots, Instructions instructions) : roots_(roots) {
#ifdef __x86_64__
  has_avx2_ = instructions == Instructions::best && __builtin_cpu_supports("avx2");
#else
  (void)instructions;
#endif
  Polynomial generator{1};  // the product of (x - a^j) over all roots
  for (unsigned j = 0; j < roots; ++j) generator = times_linear(generator, field.power[j], 1);
  for (unsigned j = 0; j < roots; ++j) {
    const std::uint8_t factor = generator[roots - 1 - j];
    for (unsigned half = 0; half < 16; ++half) {
      generator_[j][half] = multiply(factor, static_cast<std::uint8_t>(half));
      generator_[j][16 + half] = multiply(factor, static_cast<std::uint8_t>(half << 4));
    }
  }
}

Result<unsigned> ReedSolomon::decode(base::MutableByteView codeword, std::span<const unsigned> erasures) const {
  if (codeword.size() != codeword_size) {
    return fail(Kind::invalid_input, "a codeword of " + std::to_string(codeword.size()) + " bytes; 255 are needed");
  }
  TRY_DO(check_erasures(erasures));
  const std::optional<Corrections> found = corrections(codeword, erasures);
  if (!found) {
    return fail(Kind::corrupt, "more errors than " + std::to_string(roots_) + " parity bytes can correct");
  }
  for (const Correction& correction : *found) codeword[correction.position] ^= correction.difference;
  return found->size();
}

std::optional<ReedSolomon::Corrections> ReedSolomon::corrections(base::ByteView word,
                                                                 std::span<const unsigned> erasures) const {
  const Polynomial syndromes = syndromes_of(word, roots_);
  if (syndromes == Polynomial{}) return Corrections();
  if (erasures.size() > roots_) return std::nullopt;
  const Polynomial erased = erasure_locator(erasures);
  // Mostly the erased bytes are all that is wrong. If they can be, they are: there is one codeword within the bound.
  if (const auto found = corrections_at(erasures, erased, syndromes, roots_)) return found;
  const auto locator = errata_locator(syndromes, roots_, erased, static_cast<unsigned>(erasures.size()));
  if (!locator) return std::nullopt;
  return corrections_by(*locator, syndromes, roots_);
}

// --- Encoding: the remainder of data * x^roots divided by the generator, as a shift register for each codeword. ---

namespace {

std::uint64_t load_word(const std::uint8_t* from) {
  std::uint64_t word = 0;
  std::memcpy(&word, from, sizeof word);
  return word;
}

}  // namespace

ReedSolomon::Encoder::Encoder(const ReedSolomon& code, std::size_t width)
    : code_(code), width_(width), parity_(base::divide_rounding_up(width, lanes) * lanes * code.roots()) {}

void ReedSolomon::Encoder::fold(base::ByteView block) {
  const auto fold_groups = code_.has_avx2_ ? &Encoder::fold_avx2 : &Encoder::fold_portable;
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(block.first(width_).data());
  const std::size_t whole = width_ / lanes;
  (this->*fold_groups)(bytes, whole, parity_.data());
  if (const std::size_t rest = width_ % lanes; rest != 0) {
    std::array<std::uint8_t, lanes> padded{};
    std::copy_n(bytes + whole * lanes, rest, padded.begin());
    (this->*fold_groups)(padded.data(), 1, parity_.data() + whole * lanes * code_.roots_);
  }
}

// Eight codewords in a word. Bit i of every byte, times the product of a coefficient with x^i, stays within its byte.
void ReedSolomon::Encoder::fold_portable(const std::uint8_t* block, std::size_t groups, std::uint8_t* parity) const {
  constexpr std::uint64_t bit_0_of_each = 0x0101010101010101;
  const unsigned roots = code_.roots_;
  for (std::size_t at = 0; at < groups * lanes; at += sizeof(std::uint64_t)) {
    std::uint8_t* const first = parity + at / lanes * lanes * roots + at % lanes;
    const std::uint64_t feedback = load_word(block + at) ^ load_word(first);
    std::array<std::uint64_t, 8> bits;
    for (unsigned i = 0; i < 8; ++i) bits[i] = (feedback >> i) & bit_0_of_each;
    for (unsigned j = 0; j < roots; ++j) {
      const Products& products = code_.generator_[j];
      std::uint64_t next = j + 1 < roots ? load_word(first + (j + 1) * lanes) : 0;
      for (unsigned i = 0; i < 4; ++i) {
        next ^= bits[i] * products[1U << i] ^ bits[4 + i] * products[16 + (1U << i)];
      }
      std::memcpy(first + j * lanes, &next, sizeof next);
    }
  }
}

#ifdef __x86_64__
namespace {

[[gnu::target("avx2")]] __m256i load(const std::uint8_t* from) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}
[[gnu::target("avx2")]] __m256i load_twice(const std::uint8_t* from) {
  return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}

}  // namespace

[[gnu::target("avx2")]] void ReedSolomon::Encoder::fold_avx2(const std::uint8_t* block, std::size_t groups,
                                                             std::uint8_t* parity) const {
  const unsigned roots = code_.roots_;
  const __m256i low_half = _mm256_set1_epi8(0x0f);
  for (std::size_t group = 0; group < groups; ++group, block += lanes, parity += lanes * roots) {
    const __m256i feedback = _mm256_xor_si256(load(block), load(parity));
    const __m256i low = _mm256_and_si256(feedback, low_half);
    const __m256i high = _mm256_and_si256(_mm256_srli_epi16(feedback, 4), low_half);
    for (unsigned j = 0; j < roots; ++j) {
      const std::uint8_t* products = code_.generator_[j].data();
      __m256i next = _mm256_xor_si256(_mm256_shuffle_epi8(load_twice(products), low),
                                      _mm256_shuffle_epi8(load_twice(products + 16), high));
      if (j + 1 < roots) next = _mm256_xor_si256(next, load(parity + (j + 1) * lanes));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(parity + j * lanes), next);
    }
  }
}
#else
void ReedSolomon::Encoder::fold_avx2(const std::uint8_t* block, std::size_t groups, std::uint8_t* parity) const {
  fold_portable(block, groups, parity);
}
#endif

void ReedSolomon::Encoder::finish(base::MutableByteView into) {
  const unsigned roots = code_.roots_;
  for (std::size_t codeword = 0; codeword < width_; ++codeword) {
    const std::uint8_t* parity = &parity_[codeword / lanes * lanes * roots + codeword % lanes];
    const base::MutableByteView place = into.subspan(codeword * roots, roots);
    for (unsigned j = 0; j < roots; ++j) place[j] = std::byte{parity[j * lanes]};
  }
  std::ranges::fill(parity_, std::uint8_t{0});
}

}  // namespace verity
