#include "verity/reed_solomon.hpp"

#include <algorithm>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "tests/support/matchers.hpp"
#include "tests/support/pattern.hpp"

namespace {

using base::Bytes;
using base::Kind;
using support::FailsWith;
using support::Holds;
using support::pattern;
using testing::HasSubstr;
using verity::codeword_size;
using verity::ReedSolomon;

ReedSolomon code_of(unsigned roots, ReedSolomon::Instructions instructions = ReedSolomon::Instructions::best) {
  return ReedSolomon::create(roots, instructions).value();
}

/// The parity of `width` codewords whose bytes are `blocks`, one block of `width` bytes after the other.
Bytes parity_of(const ReedSolomon& code, std::size_t width, const Bytes& blocks) {
  ReedSolomon::Encoder encoder(code, width);
  for (std::size_t at = 0; at < blocks.size(); at += width) encoder.fold(base::ByteView(blocks).subspan(at, width));
  Bytes parity(width * code.roots());
  encoder.finish(parity);
  return parity;
}

Bytes codeword_of(const ReedSolomon& code, std::uint64_t seed) {
  Bytes codeword = pattern(code.data_size(), seed);
  const Bytes parity = parity_of(code, 1, codeword);
  codeword.insert(codeword.end(), parity.begin(), parity.end());
  return codeword;
}

/// `count` different positions, the same ones for the same seed.
std::vector<unsigned> positions(std::size_t count, std::uint64_t seed) {
  std::vector<unsigned> all(codeword_size);
  std::iota(all.begin(), all.end(), 0U);
  const Bytes dice = pattern(2 * count, seed);
  for (std::size_t i = 0; i < count; ++i) {
    std::swap(all[i], all[i + base::load_le<std::uint16_t>(&dice[2 * i]) % (codeword_size - i)]);
  }
  all.resize(count);
  return all;
}

/// Changes the byte at each position.
Bytes damaged(Bytes codeword, std::span<const unsigned> at, std::uint64_t seed) {
  const Bytes noise = pattern(at.size(), seed);
  for (std::size_t i = 0; i < at.size(); ++i) codeword[at[i]] ^= noise[i] | std::byte{1};
  return codeword;
}

bool is_codeword(const ReedSolomon& code, const Bytes& word) {
  const auto data = word.begin() + static_cast<std::ptrdiff_t>(code.data_size());
  return Bytes(data, word.end()) == parity_of(code, 1, Bytes(word.begin(), data));
}

TEST(ReedSolomon, TakesTwoToTwentyFourRoots) {
  for (const unsigned roots : {0U, 1U, 25U, 255U, 256U + 2U}) {
    EXPECT_THAT(ReedSolomon::create(roots), FailsWith(Kind::invalid_input, HasSubstr("from 2 to 24"))) << roots;
  }
  EXPECT_EQ(code_of(2).data_size(), 253U);
  EXPECT_EQ(code_of(24).data_size(), 231U);
}

TEST(ReedSolomon, GivesTheParityThatAHandCountGives) {
  // With two roots the generator is (x + 1)(x + 2) = x^2 + 3x + 2, so a last data byte of 1 leaves 3, 2; one of 0x80
  // leaves 3 * 0x80 = 0x80 + 0x1d = 0x9d, 2 * 0x80 = 0x1d.
  Bytes data(253);
  data.back() = std::byte{1};
  EXPECT_EQ(base::to_hex(parity_of(code_of(2), 1, data)), "0302");
  data.back() = std::byte{0x80};
  EXPECT_EQ(base::to_hex(parity_of(code_of(2), 1, data)), "9d1d");
}

TEST(ReedSolomon, GivesTheSameParityWithAnyInstructionsAndWidth) {
  for (unsigned roots = verity::min_fec_roots; roots <= verity::max_fec_roots; ++roots) {
    for (const std::size_t width : {1U, 31U, 32U, 33U, 512U}) {
      SCOPED_TRACE(std::to_string(roots) + " roots, " + std::to_string(width) + " codewords");
      const Bytes blocks = pattern(width * (codeword_size - roots), width);
      const Bytes portable = parity_of(code_of(roots, ReedSolomon::Instructions::portable), width, blocks);
      EXPECT_EQ(parity_of(code_of(roots), width, blocks), portable);
    }
  }
}

TEST(ReedSolomon, LeavesACodewordAsItIs) {
  for (unsigned roots = verity::min_fec_roots; roots <= verity::max_fec_roots; ++roots) {
    const ReedSolomon code = code_of(roots);
    const Bytes codeword = codeword_of(code, roots);
    Bytes word = codeword;
    EXPECT_THAT(code.decode(word), Holds(0U));
    EXPECT_THAT(code.decode(word, positions(roots, 1)), Holds(0U));
    EXPECT_EQ(word, codeword);
  }
}

TEST(ReedSolomon, CorrectsEveryMixtureOfErrorsAndErasuresWithinItsBound) {
  for (unsigned roots = verity::min_fec_roots; roots <= verity::max_fec_roots; ++roots) {
    const ReedSolomon code = code_of(roots);
    for (unsigned errors = 0; 2 * errors <= roots; ++errors) {
      for (unsigned erased = 0; 2 * errors + erased <= roots; ++erased) {
        SCOPED_TRACE(fmt::format("{} roots, {} errors, {} erasures", roots, errors, erased));
        const std::uint64_t seed = roots * 10000 + errors * 100 + erased;
        const Bytes codeword = codeword_of(code, seed);
        const std::vector<unsigned> wrong = positions(errors + erased, seed);
        Bytes word = damaged(codeword, wrong, seed);
        EXPECT_THAT(code.decode(word, std::span(wrong).first(erased)), Holds(errors + erased));
        EXPECT_EQ(word, codeword);
      }
    }
  }
}

TEST(ReedSolomon, CorrectsASingleErrorAtEveryPosition) {
  const ReedSolomon code = code_of(2);
  const Bytes codeword = codeword_of(code, 7);
  for (unsigned position = 0; position < codeword_size; ++position) {
    Bytes word = damaged(codeword, std::span(&position, 1), position);
    EXPECT_THAT(code.decode(word), Holds(1U)) << position;
    EXPECT_EQ(word, codeword) << position;
  }
}

TEST(ReedSolomon, FindsTheSameCorrectionsFromTheRemainderAlone) {
  for (unsigned roots = verity::min_fec_roots; roots <= verity::max_fec_roots; ++roots) {
    const ReedSolomon code = code_of(roots);
    for (unsigned errors = 0; 2 * errors <= roots + 2; ++errors) {  // one more than it can correct
      SCOPED_TRACE(fmt::format("{} roots, {} errors", roots, errors));
      const unsigned erased = 2 * errors < roots ? roots - 2 * errors : 0;
      const std::vector<unsigned> wrong = positions(errors + erased, roots + errors);
      const auto erasures = std::span(wrong).first(erased);
      Bytes word = damaged(codeword_of(code, errors), wrong, roots);
      const auto data = word.begin() + static_cast<std::ptrdiff_t>(code.data_size());
      Bytes remainder = parity_of(code, 1, Bytes(word.begin(), data));
      for (unsigned j = 0; j < roots; ++j) remainder[j] ^= data[j];

      const auto found = code.corrections(remainder, erasures);
      Bytes corrected = word;
      if (found) {
        for (const auto& [position, difference] : *found) corrected[position] ^= difference;
      }
      EXPECT_EQ(code.decode(word, erasures).has_value(), found.has_value());
      EXPECT_EQ(corrected, word);
      EXPECT_TRUE(2 * errors > roots || word == codeword_of(code, errors));
    }
  }
}

TEST(ReedSolomon, CountsOnlyErasedBytesThatWereWrong) {
  const ReedSolomon code = code_of(8);
  const Bytes codeword = codeword_of(code, 3);
  const std::vector<unsigned> erased = positions(8, 3);
  Bytes word = damaged(codeword, std::span(erased).first(2), 3);
  EXPECT_THAT(code.decode(word, erased), Holds(2U));
  EXPECT_EQ(word, codeword);
}

TEST(ReedSolomon, BeyondItsBoundFailsOrFindsAnotherCodewordNearby) {
  unsigned refused = 0;
  for (unsigned roots = verity::min_fec_roots; roots <= verity::max_fec_roots; ++roots) {
    const ReedSolomon code = code_of(roots);
    for (unsigned trial = 0; trial < 200; ++trial) {
      SCOPED_TRACE(fmt::format("{} roots, trial {}", roots, trial));
      const unsigned erased = trial % (roots + 1);
      const unsigned errors = (roots - erased) / 2 + 1 + trial % 5;
      const std::uint64_t seed = roots * 1000 + trial;
      const std::vector<unsigned> wrong = positions(errors + erased, seed);
      const Bytes before = damaged(codeword_of(code, seed), wrong, seed);
      Bytes word = before;
      const auto changed = code.decode(word, std::span(wrong).first(erased));
      if (changed) {
        EXPECT_TRUE(is_codeword(code, word));
        EXPECT_LE(*changed, erased + (roots - erased) / 2);
      } else {
        EXPECT_THAT(changed, FailsWith(Kind::corrupt, HasSubstr("more errors than")));
        EXPECT_EQ(word, before);
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, 1000U);
}

TEST(ReedSolomon, RefusesMoreErasuresThanParity) {
  const ReedSolomon code = code_of(4);
  const std::vector<unsigned> erased = positions(5, 1);
  Bytes word = damaged(codeword_of(code, 1), erased, 1);
  EXPECT_THAT(code.decode(word, erased), FailsWith(Kind::corrupt, HasSubstr("4 parity bytes")));
}

TEST(ReedSolomon, RefusesWhatIsNoCodewordAtAll) {
  const ReedSolomon code = code_of(2);
  Bytes word(codeword_size);
  const std::vector<unsigned> beyond = {255};
  const std::vector<unsigned> twice = {3, 3};
  EXPECT_THAT(code.decode(word, beyond), FailsWith(Kind::invalid_input, HasSubstr("position 255")));
  EXPECT_THAT(code.decode(word, twice), FailsWith(Kind::invalid_input, HasSubstr("only once")));
  word.pop_back();
  EXPECT_THAT(code.decode(word), FailsWith(Kind::invalid_input, HasSubstr("254 bytes")));
}

}  // namespace
