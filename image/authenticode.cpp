#include "image/authenticode.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "image/authenticode_pkcs7.hpp"
#include "image/certificate_table.hpp"
#include "image/pe.hpp"
#include "verity/openssl.hpp"

namespace image {

using base::Bytes;
using base::ByteView;
using base::fail;
using base::Kind;
using base::Result;
using base::store_le;
using verity::Certificate;
using verity::openssl::CleanQueue;
using verity::openssl::fail_openssl;

namespace {

constexpr std::size_t checksum_size = 4;
constexpr std::size_t certificate_entry_size = 8;

std::uint64_t fill_size(std::uint64_t size) {
  return (certificate_table_alignment - size % certificate_table_alignment) % certificate_table_alignment;
}

/// Where the certificate table begins, or would before fill.
std::uint64_t end_of_image(const PeHeaders& headers, ByteView pe) {
  return headers.certificate_table_size != 0 ? headers.certificate_table_offset : pe.size();
}

ByteView certificate_table_of(const PeHeaders& headers, ByteView pe) {
  return pe.subspan(headers.certificate_table_offset, headers.certificate_table_size);
}

/// The specification hashes the headers, each section in the order of the file, then what follows them. Since headers
/// and sections follow each other without gaps (PeHeaders), that is the file from its start to the certificate table.
Result<PeDigest> digest_of(const PeHeaders& headers, ByteView pe) {
  const std::size_t checksum = headers.checksum_field();
  const std::size_t entry = headers.certificate_table_entry();
  const std::uint64_t end = end_of_image(headers, pe);
  const Bytes fill(fill_size(end));
  const verity::openssl::DigestContext context(EVP_MD_CTX_new());
  bool good = context && EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1;
  for (const ByteView part :
       {pe.first(checksum), pe.subspan(checksum + checksum_size, entry - checksum - checksum_size),
        pe.subspan(entry + certificate_entry_size, end - entry - certificate_entry_size), ByteView(fill)}) {
    good = good && EVP_DigestUpdate(context.get(), part.data(), part.size()) == 1;
  }
  PeDigest digest{};
  if (!good || EVP_DigestFinal_ex(context.get(), verity::openssl::writable_octets(digest), nullptr) != 1) {
    return fail_openssl(Kind::io, "computing the digest of a PE file");
  }
  return digest;
}

void store_certificate_entry(const PeHeaders& headers, Bytes& pe, std::uint32_t offset, std::uint32_t size) {
  store_le(&pe[headers.certificate_table_entry()], offset);
  store_le(&pe[headers.certificate_table_entry() + 4], size);
  store_checksum(headers, pe);
}

Result<PeHeaders> read_unsigned(ByteView pe) {
  TRY(PeHeaders headers, read_pe_headers(pe));
  if (headers.certificate_table_size != 0) {
    return fail(Kind::invalid_input, "the PE file is signed already; detach that signature first");
  }
  return headers;
}

Result<Certificate> verify(ByteView pe, std::span<const Certificate> trusted) {
  TRY(const PeHeaders headers, read_pe_headers(pe));
  if (headers.certificate_table_size == 0) return fail(Kind::untrusted, "it carries no signature");
  TRY(const std::vector<ByteView> messages, read_certificate_table(certificate_table_of(headers, pe)));
  TRY(const PeDigest digest, digest_of(headers, pe));
  std::optional<base::Error> objection;
  for (const ByteView message : messages) {
    auto certificate = check_pe_signature(digest, message, trusted);
    if (certificate) return certificate;
    if (!objection) objection = std::move(certificate).error();
  }
  return std::unexpected(*std::move(objection));  // read_certificate_table() gives one message at least
}

}  // namespace

Result<PeDigest> authenticode_digest(ByteView pe) {
  const CleanQueue queue;
  TRY(const PeHeaders headers, read_pe_headers(pe));
  return digest_of(headers, pe);
}

Result<Bytes> sign_pe(ByteView pe, const verity::PrivateKey& key, const Certificate& certificate) {
  const CleanQueue queue;
  const std::string frame = "signing a PE file";
  if (X509_check_private_key(certificate.handle(), key.handle()) != 1) {
    return fail_openssl(Kind::invalid_input,
                        "the private key does not belong to the certificate of " + certificate.subject());
  }
  TRY(const PeHeaders headers, read_unsigned(pe), frame);
  TRY(const PeDigest digest, digest_of(headers, pe), frame);
  TRY(const Bytes signature, make_pe_signature(digest, key, certificate), frame);
  TRY(Bytes signed_pe, attach_signature(pe, signature), frame);
  TRY_DO(verify(signed_pe, std::span(&certificate, 1)), frame);
  return signed_pe;
}

Result<Certificate> verify_pe(ByteView pe, std::span<const Certificate> trusted) {
  const CleanQueue queue;
  const std::string frame = "the signature of a PE file";
  if (trusted.empty()) return fail(Kind::invalid_input, frame + " cannot be checked: no trusted certificate was given");
  TRY(Certificate certificate, verify(pe, trusted), frame);
  return certificate;
}

Result<std::vector<std::string>> claimed_pe_signers(ByteView pe) {
  const CleanQueue queue;
  const std::string frame = "the signatures of a PE file";
  TRY(const PeHeaders headers, read_pe_headers(pe), frame);
  std::vector<std::string> signers;
  if (headers.certificate_table_size == 0) return signers;
  TRY(const std::vector<ByteView> messages, read_certificate_table(certificate_table_of(headers, pe)), frame);
  for (const ByteView message : messages) {
    TRY(std::string signer, claimed_signer(message), frame);
    signers.push_back(std::move(signer));
  }
  return signers;
}

Result<DetachedSignature> detach_signature(ByteView pe) {
  const std::string frame = "detaching the signature of a PE file";
  TRY(const PeHeaders headers, read_pe_headers(pe), frame);
  if (headers.certificate_table_size == 0) return fail(Kind::invalid_input, frame + ": it carries none");
  TRY(const std::vector<ByteView> messages, read_certificate_table(certificate_table_of(headers, pe)), frame);
  if (messages.size() != 1) {
    return fail(Kind::unsupported, frame + ": it carries " + std::to_string(messages.size()) + " signatures");
  }
  const ByteView image = pe.first(headers.certificate_table_offset);
  DetachedSignature detached{.pe = Bytes(image.begin(), image.end()),
                             .signature = Bytes(messages.front().begin(), messages.front().end())};
  store_certificate_entry(headers, detached.pe, 0, 0);
  const auto again = attach_signature(detached.pe, detached.signature);
  if (!again || !std::ranges::equal(*again, pe)) {
    return fail(Kind::unsupported, frame + ": attached again, it would not be the same file; is its checksum right?");
  }
  return detached;
}

Result<Bytes> attach_signature(ByteView pe, ByteView signature) {
  const std::string frame = "attaching a signature to a PE file";
  TRY(const PeHeaders headers, read_unsigned(pe), frame);
  if (signature.empty() || signature.size() > max_pe_signature_size) {
    return fail(Kind::invalid_input, frame + ": a signature of " + std::to_string(signature.size()) + " bytes; 1 to " +
                                         std::to_string(max_pe_signature_size) + " are allowed");
  }
  const Bytes table = make_certificate_table(signature);
  const std::uint64_t offset = pe.size() + fill_size(pe.size());
  if (offset + table.size() > std::numeric_limits<std::uint32_t>::max()) {
    return fail(Kind::invalid_input, frame + ": it would exceed 4 GiB");
  }
  Bytes result;
  result.reserve(offset + table.size());
  result.assign(pe.begin(), pe.end());
  result.resize(offset);
  result.insert(result.end(), table.begin(), table.end());
  store_certificate_entry(headers, result, static_cast<std::uint32_t>(offset),
                          static_cast<std::uint32_t>(table.size()));
  return result;
}

}  // namespace image
