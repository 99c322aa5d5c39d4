#include "builder/keys/make_key.hpp"

#include <utility>

#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "verity/openssl.hpp"

namespace builder::keys {

using base::Kind;
using base::Result;
using verity::openssl::BioPtr;
using verity::openssl::CleanQueue;
using verity::openssl::fail_openssl;

namespace {

using KeyPtr = base::Owned<EVP_PKEY, &EVP_PKEY_free>;
using CertificatePtr = base::Owned<X509, &X509_free>;
using ExtensionPtr = base::Owned<X509_EXTENSION, &X509_EXTENSION_free>;
using NumberPtr = base::Owned<BIGNUM, &BN_free>;

constexpr long version_3 = 2;     // X.509 counts from 0
constexpr int serial_bits = 127;  // positive, and at most 20 bytes (RFC 5280, section 4.1.2.2)
constexpr const char* never = "99991231235959Z";

/// What `write` puts into a buffer of OpenSSL's, which is wiped.
template <class Write>
Result<std::string> written(Write write, const char* what) {
  const BioPtr to(BIO_new(BIO_s_mem()));
  if (!to || write(to.get()) != 1) return fail_openssl(Kind::io, std::string("writing ") + what);
  char* start = nullptr;
  const long size = BIO_get_mem_data(to.get(), &start);
  std::string text(start, static_cast<std::size_t>(size));
  OPENSSL_cleanse(start, static_cast<std::size_t>(size));
  return text;
}

Result<Secret> private_pem(EVP_PKEY* key) {
  TRY(std::string text,
      written([key](BIO* to) { return PEM_write_bio_PKCS8PrivateKey(to, key, nullptr, nullptr, 0, nullptr, nullptr); },
              "a private key"));
  return Secret(std::move(text));
}

Result<> add_extension(X509* certificate, int kind, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  const ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, &context, kind, value));
  if (!extension || X509_add_ext(certificate, extension.get(), -1) != 1) {
    return fail_openssl(Kind::io, "adding to a certificate");
  }
  return base::ok();
}

Result<> set_random_serial(X509* certificate) {
  const NumberPtr number(BN_new());
  if (!number || BN_rand(number.get(), serial_bits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) != 1 ||
      BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) == nullptr) {
    return fail_openssl(Kind::io, "drawing a serial number");
  }
  return base::ok();
}

Result<> set_name(X509* certificate, const std::string& common_name) {
  X509_NAME* name = X509_get_subject_name(certificate);
  if (X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
                                 verity::openssl::octets(base::bytes_of(common_name)),
                                 static_cast<int>(common_name.size()), -1, 0) != 1) {
    return fail_openssl(Kind::invalid_input, "\"" + common_name + "\" as the name in a certificate");
  }
  if (X509_set_issuer_name(certificate, name) != 1) return fail_openssl(Kind::io, "naming a certificate's issuer");
  return base::ok();
}

Result<CertificatePtr> self_signed(EVP_PKEY* key, const std::string& common_name, std::chrono::sys_seconds not_before) {
  CertificatePtr certificate(X509_new());
  if (!certificate || X509_set_version(certificate.get(), version_3) != 1 ||
      X509_set_pubkey(certificate.get(), key) != 1 ||
      ASN1_TIME_set(X509_getm_notBefore(certificate.get()), not_before.time_since_epoch().count()) == nullptr ||
      ASN1_TIME_set_string_X509(X509_getm_notAfter(certificate.get()), never) != 1) {
    return fail_openssl(Kind::io, "filling in a certificate");
  }
  TRY_DO(set_random_serial(certificate.get()));
  TRY_DO(set_name(certificate.get(), common_name));
  TRY_DO(add_extension(certificate.get(), NID_basic_constraints, "critical,CA:FALSE"));
  TRY_DO(add_extension(certificate.get(), NID_subject_key_identifier, "hash"));
  if (X509_sign(certificate.get(), key, EVP_sha256()) <= 0) return fail_openssl(Kind::io, "signing a certificate");
  return certificate;
}

}  // namespace

Secret::~Secret() {
  OPENSSL_cleanse(text_.data(), text_.size());
}

Result<NewKey> make_rsa_key(unsigned bits, const std::string& common_name, std::chrono::sys_seconds not_before) {
  const CleanQueue queue;
  const KeyPtr key(EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", std::size_t{bits}));
  if (!key) return fail_openssl(Kind::io, "making an RSA key of " + std::to_string(bits) + " bits");
  TRY(const CertificatePtr certificate, self_signed(key.get(), common_name, not_before));
  TRY(Secret secret, private_pem(key.get()));
  TRY(std::string text, written([&](BIO* to) { return PEM_write_bio_X509(to, certificate.get()); }, "a certificate"));
  return NewKey{std::move(secret), std::move(text)};
}

Result<NewKey> make_ed25519_key() {
  const CleanQueue queue;
  const KeyPtr key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  if (!key) return fail_openssl(Kind::io, "making an Ed25519 key");
  TRY(Secret secret, private_pem(key.get()));
  TRY(std::string text, written([&](BIO* to) { return PEM_write_bio_PUBKEY(to, key.get()); }, "a public key"));
  return NewKey{std::move(secret), std::move(text)};
}

Result<base::Uuid> make_uuid() {
  const CleanQueue queue;
  base::Uuid uuid;
  if (RAND_bytes(verity::openssl::writable_octets(uuid.bytes), static_cast<int>(uuid.bytes.size())) != 1) {
    return fail_openssl(Kind::io, "drawing a random UUID");
  }
  uuid.bytes[6] = (uuid.bytes[6] & std::byte{0x0f}) | std::byte{0x40};
  uuid.bytes[8] = (uuid.bytes[8] & std::byte{0x3f}) | std::byte{0x80};
  return uuid;
}

}  // namespace builder::keys
