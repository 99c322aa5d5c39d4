#include "verity/pkcs7.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include <openssl/objects.h>

namespace verity::openssl {

using base::Bytes;
using base::ByteView;
using base::fail;
using base::Kind;
using base::Result;

namespace {

constexpr int max_signers = 16;

Result<const EVP_MD*> digest_of(const PKCS7_SIGNER_INFO& signer) {
  switch (algorithm_of(signer.digest_alg)) {
    case NID_sha256:
      return EVP_sha256();
    case NID_sha384:
      return EVP_sha384();
    case NID_sha512:
      return EVP_sha512();
    default:
      return fail(Kind::unsupported, "the digest algorithm " + display(signer.digest_alg->algorithm) +
                                         "; SHA-256, SHA-384 and SHA-512 are accepted");
  }
}

/// Whether the signature algorithm is the one that this key and this digest give: for RSA with PKCS#1 v1.5 padding it
/// may be named with or without the digest.
bool fits(const PKCS7_SIGNER_INFO& signer, const EVP_PKEY* key, const EVP_MD* digest) {
  const int algorithm = algorithm_of(signer.digest_enc_alg);
  const bool rsa = EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA;
  if (rsa && algorithm == NID_rsaEncryption) return true;
  int named_digest = NID_undef;
  int named_key = NID_undef;
  return OBJ_find_sigid_algs(algorithm, &named_digest, &named_key) == 1 && named_digest == EVP_MD_get_type(digest) &&
         named_key == (rsa ? NID_rsaEncryption : NID_X9_62_id_ecPublicKey);
}

/// Byte for byte, as the kernel compares names; X509_NAME_cmp would pass over case, spaces and kinds of strings.
bool equal(const X509_NAME* a, const X509_NAME* b) {
  const unsigned char* a_der = nullptr;
  const unsigned char* b_der = nullptr;
  std::size_t a_size = 0;
  std::size_t b_size = 0;
  return X509_NAME_get0_der(a, &a_der, &a_size) == 1 && X509_NAME_get0_der(b, &b_der, &b_size) == 1 &&
         std::ranges::equal(std::span(a_der, a_size), std::span(b_der, b_size));
}

bool names(const PKCS7_SIGNER_INFO& signer, const Certificate& certificate) {
  const PKCS7_ISSUER_AND_SERIAL& wanted = *signer.issuer_and_serial;
  return equal(wanted.issuer, X509_get_issuer_name(certificate.handle())) &&
         ASN1_INTEGER_cmp(wanted.serial, X509_get0_serialNumber(certificate.handle())) == 0;
}

/// Whether the signature value is this certificate's over `message`.
Result<bool> signed_with(const PKCS7_SIGNER_INFO& signer, const Certificate& certificate, ByteView message) {
  TRY(const EVP_MD* digest, digest_of(signer));
  EVP_PKEY* key = X509_get0_pubkey(certificate.handle());
  if (!fits(signer, key, digest)) {
    return fail(Kind::unsupported, "the signature algorithm " + display(signer.digest_enc_alg->algorithm) +
                                       " with the digest " + display(signer.digest_alg->algorithm) +
                                       " and the key of " + certificate.subject());
  }
  TRY_DO(check_no_parameters(signer.digest_alg));
  TRY_DO(check_no_parameters(signer.digest_enc_alg));
  const DigestContext context(EVP_MD_CTX_new());
  if (!context || EVP_DigestVerifyInit(context.get(), nullptr, digest, nullptr, key) != 1) {
    return fail_openssl(Kind::io, "preparing to check a signature");
  }
  const int verdict = EVP_DigestVerify(context.get(), ASN1_STRING_get0_data(signer.enc_digest),
                                       static_cast<std::size_t>(ASN1_STRING_length(signer.enc_digest)), octets(message),
                                       message.size());
  if (verdict == 1) return true;
  if (verdict == 0) return false;
  return fail_openssl(Kind::corrupt, "the signature value cannot be read");
}

}  // namespace

Result<Bytes> encode_pkcs7(const PKCS7* message) {
  const int size = i2d_PKCS7(message, nullptr);
  if (size <= 0) return fail_openssl(Kind::io, "encoding a PKCS#7 message");
  Bytes der(static_cast<std::size_t>(size));
  unsigned char* at = writable_octets(der);
  if (i2d_PKCS7(message, &at) != size) return fail_openssl(Kind::io, "encoding a PKCS#7 message");
  return der;
}

Result<Pkcs7Ptr> decode_pkcs7(ByteView der) {
  const unsigned char* at = octets(der);
  Pkcs7Ptr message(d2i_PKCS7(nullptr, &at, static_cast<long>(der.size())));
  if (!message) return fail_openssl(Kind::corrupt, "no PKCS#7 signature");
  if (const auto behind = octets(der) + der.size() - at; behind != 0) {
    return fail(Kind::corrupt, std::to_string(behind) + " bytes follow the PKCS#7 signature");
  }
  const auto canonical = encode_pkcs7(message.get());
  if (!canonical || !std::ranges::equal(*canonical, der)) {
    return fail(Kind::corrupt, "the PKCS#7 signature is not in DER, the one form that is allowed");
  }
  return message;
}

Result<> check_version(const ASN1_INTEGER* version) {
  if (ASN1_INTEGER_get(version) == 1) return base::ok();
  return fail(Kind::unsupported, "version " + display(version) + " of a PKCS#7 structure; version 1 is wanted");
}

Result<> check_no_parameters(const X509_ALGOR* identifier) {
  const ASN1_OBJECT* algorithm = nullptr;
  int type = V_ASN1_UNDEF;
  X509_ALGOR_get0(&algorithm, &type, nullptr, identifier);
  if (type == V_ASN1_UNDEF || type == V_ASN1_NULL) return base::ok();
  return fail(Kind::unsupported, "the algorithm " + display(algorithm) + " takes no parameters, but has some");
}

Result<STACK_OF(PKCS7_SIGNER_INFO) *> signers_of(const PKCS7_SIGNED& data) {
  STACK_OF(PKCS7_SIGNER_INFO)* signers = data.signer_info;
  const int count = signers == nullptr ? 0 : sk_PKCS7_SIGNER_INFO_num(signers);
  if (count <= 0) return fail(Kind::untrusted, "nobody signed: the PKCS#7 message has no signers");
  if (count > max_signers) {
    return fail(Kind::unsupported, std::to_string(count) + " signers; " + std::to_string(max_signers) + " are allowed");
  }
  return signers;
}

Result<Certificate> check_signer(const PKCS7_SIGNER_INFO& signer, ByteView message, std::string_view what,
                                 std::span<const Certificate> trusted) {
  TRY_DO(check_version(signer.version));
  bool named = false;
  std::optional<base::Error> objection;
  for (const Certificate& certificate : trusted) {
    if (!names(signer, certificate)) continue;
    named = true;
    auto good = signed_with(signer, certificate, message);
    if (good && *good) return certificate;
    if (!good) objection = std::move(good).error();
  }
  if (objection) return std::unexpected(*std::move(objection));
  const PKCS7_ISSUER_AND_SERIAL& wanted = *signer.issuer_and_serial;
  const std::string who = "certificate " + display(wanted.serial) + " of " + display(wanted.issuer);
  if (named) return fail(Kind::untrusted, "the signature with " + who + " is not one over " + std::string(what));
  return fail(Kind::untrusted,
              "signed with " + who + ", which is not among the " + std::to_string(trusted.size()) + " trusted ones");
}

}  // namespace verity::openssl
