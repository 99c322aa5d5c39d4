#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace verity {

/// Bytes in a codeword: 255 - roots of data, then `roots` of parity.
inline constexpr std::size_t codeword_size = 255;
inline constexpr unsigned min_fec_roots = 2;
inline constexpr unsigned max_fec_roots = 24;

/// The Reed-Solomon code of dm-verity's forward error correction: bytes are elements of GF(2^8) modulo
/// x^8 + x^4 + x^3 + x^2 + 1 (0x11d) with the generator a = x; a codeword, its first byte the coefficient of x^254, is
/// a polynomial that is zero at a^0, a^1 ... a^(roots - 1). Source: Linux, drivers/md/dm-verity-fec.h (the parameters);
/// Blahut, Algebraic Codes for Data Transmission, chapter 7.
class ReedSolomon {
 public:
  /// Which machine instructions may be used. Results do not depend on it.
  enum class Instructions { best, portable };

  class Encoder;

  /// Fails: invalid_input (roots not from 2 to 24).
  static base::Result<ReedSolomon> create(unsigned roots, Instructions instructions = Instructions::best);

  unsigned roots() const { return roots_; }
  /// Data bytes of a codeword.
  std::size_t data_size() const { return codeword_size - roots_; }

  /// Exclusive or with `difference`, never zero, puts the byte at `position` right.
  struct Correction {
    std::uint8_t position;
    std::byte difference;
  };
  /// No more than there are roots, each position once.
  class Corrections {
   public:
    void add(Correction correction) { list_[count_++] = correction; }
    unsigned size() const { return count_; }
    const Correction* begin() const { return list_.data(); }
    const Correction* end() const { return list_.data() + count_; }

   private:
    std::array<Correction, max_fec_roots> list_;
    unsigned count_ = 0;
  };

  /// Corrects `codeword` (255 bytes) in place and returns how many of its bytes changed.
  ///
  /// erasures  positions (0 to 254, each once) whose bytes are not believed. Such a byte costs one parity byte, an
  ///           error at a place not known costs two: 2 * errors + erasures <= roots can be corrected
  /// Fails:    corrupt (more damage than that, as far as it can be told; `codeword` is as it was); invalid_input
  ///           (length, erasures). Damage beyond the bound may lead to another codeword than the one that was written:
  ///           whoever has a digest must check it.
  base::Result<unsigned> decode(base::MutableByteView codeword, std::span<const unsigned> erasures = {}) const;

  /// What decode() would change; nothing where it fails as corrupt. `erasures` must be as decode() asks.
  ///
  /// word  the codeword, or only what dividing it by the generator leaves, which says as much: the parity that an
  ///       Encoder gives for its data, exclusive or the parity that came with it (`roots` bytes, all zero for most)
  std::optional<Corrections> corrections(base::ByteView word, std::span<const unsigned> erasures = {}) const;

 private:
  /// The products of one factor with every low and every high half of a byte, 16 each.
  using Products = std::array<std::uint8_t, 32>;

  ReedSolomon(unsigned roots, Instructions instructions);

  unsigned roots_;
  bool has_avx2_ = false;
  std::array<Products, max_fec_roots> generator_{};  // the coefficients of x^(roots - 1) ... x^0
};

/// Computes the parity of `width` codewords at once: byte b of each block that is folded in belongs to codeword b. That
/// is how dm-verity interleaves, and it lets 32 codewords share each machine instruction.
class ReedSolomon::Encoder {
 public:
  /// Memory: width * roots bytes.
  Encoder(const ReedSolomon& code, std::size_t width);

  /// The next byte of every codeword; `block` has `width` bytes. Call data_size() times.
  void fold(base::ByteView block);
  /// Stores the parity of codeword b at `into[b * roots]` and on, and begins anew. `into` has width * roots bytes.
  void finish(base::MutableByteView into);

 private:
  static constexpr std::size_t lanes = 32;

  void fold_portable(const std::uint8_t* block, std::size_t groups, std::uint8_t* parity) const;
  void fold_avx2(const std::uint8_t* block, std::size_t groups, std::uint8_t* parity) const;

  ReedSolomon code_;
  std::size_t width_;
  std::vector<std::uint8_t> parity_;  // [group of 32 codewords][root][codeword of the group]
};

}  // namespace verity
