#include "verity/certificate.hpp"

#include <array>
#include <string_view>
#include <utility>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/file.hpp"
#include "verity/openssl.hpp"

namespace verity {

using base::ByteView;
using base::fail;
using base::Kind;
using base::Result;
using openssl::CleanQueue;
using openssl::fail_openssl;

namespace {

Result<> check_rsa(const EVP_PKEY* key) {
  const int bits = EVP_PKEY_get_bits(key);
  if (bits == 2048 || bits == 3072 || bits == 4096) return base::ok();
  return fail(Kind::invalid_input,
              "an RSA key of " + std::to_string(bits) + " bits; 2048, 3072 and 4096 are what the kernel can use");
}

Result<> check_ec(const EVP_PKEY* key) {
  std::array<char, 64> curve{};
  std::size_t size = 0;
  if (EVP_PKEY_get_group_name(key, curve.data(), curve.size(), &size) != 1) {
    return fail_openssl(Kind::invalid_input, "an elliptic curve without a name");
  }
  const std::string_view name(curve.data());
  if (name != "prime256v1" && name != "secp384r1") {
    return fail(Kind::invalid_input, "a key on the curve " + std::string(name) + "; P-256 and P-384 are allowed");
  }
  int spelled_out = 0;
  if (EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &spelled_out) == 1 &&
      spelled_out != 0) {
    return fail(Kind::invalid_input, "a key that spells out its curve's parameters; the kernel knows curves by name");
  }
  if (EVP_PKEY_get_ec_point_conv_form(key) != POINT_CONVERSION_UNCOMPRESSED) {
    return fail(Kind::invalid_input, "a compressed elliptic curve point; the kernel reads uncompressed ones");
  }
  return base::ok();
}

Result<> check_key(const EVP_PKEY* key) {
  switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA:
      return check_rsa(key);
    case EVP_PKEY_EC:
      return check_ec(key);
    default: {
      const char* type = EVP_PKEY_get0_type_name(key);
      return fail(Kind::invalid_input, "a key of the type " + std::string(type != nullptr ? type : "unknown") +
                                           "; RSA and ECDSA are what the kernel can use");
    }
  }
}

std::shared_ptr<X509> own(X509* certificate) {
  return {certificate, [](X509* handle) { X509_free(handle); }};
}

Result<std::shared_ptr<X509>> parse_der(ByteView der) {
  const unsigned char* at = openssl::octets(der);
  std::shared_ptr<X509> certificate = own(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  if (!certificate) return fail_openssl(Kind::invalid_input, "no readable DER certificate");
  if (at != openssl::octets(der) + der.size()) {
    return fail(Kind::invalid_input, std::to_string(openssl::octets(der) + der.size() - at) +
                                         " bytes follow the DER certificate; one per DER file is allowed");
  }
  return certificate;
}

/// PEM blocks from where `reader` stands; null behind the last one.
Result<std::shared_ptr<X509>> next_pem(BIO* reader) {
  bool asked = false;
  std::shared_ptr<X509> certificate = own(PEM_read_bio_X509(reader, nullptr, &openssl::refuse_passphrase, &asked));
  if (certificate) return certificate;
  if (asked) return fail(Kind::invalid_input, "a PEM certificate is encrypted; only plain ones are read");
  const unsigned long error = ERR_peek_last_error();
  if (ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE) return certificate;
  return fail_openssl(Kind::invalid_input, "an unreadable PEM certificate");
}

bool looks_like_der(ByteView content) {
  constexpr std::byte sequence_tag{0x30};  // in PEM it would be the digit 0, which begins no sensible text
  return !content.empty() && content.front() == sequence_tag;
}

/// The whole of a private key file, wiped when done with.
class Secret {
 public:
  explicit Secret(std::string text) : text_(std::move(text)) {}
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret() { OPENSSL_cleanse(text_.data(), text_.size()); }
  ByteView bytes() const { return base::bytes_of(text_); }

 private:
  std::string text_;
};

}  // namespace

Result<Certificate> Certificate::adopt(std::shared_ptr<x509_st> handle) {
  Certificate certificate;
  certificate.subject_ = openssl::display(X509_get_subject_name(handle.get()));
  const std::string frame = "the certificate of " + certificate.subject_;
  const EVP_PKEY* key = X509_get0_pubkey(handle.get());
  if (key == nullptr) return fail_openssl(Kind::invalid_input, frame + " has an unreadable public key");
  TRY_DO(check_key(key), frame);

  std::array<std::byte, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  if (X509_digest(handle.get(), EVP_sha256(), openssl::writable_octets(digest), &size) != 1) {
    return fail_openssl(Kind::invalid_input, "computing the fingerprint of " + frame);
  }
  certificate.fingerprint_ = base::to_hex(ByteView(digest).first(size));
  certificate.handle_ = std::move(handle);
  return certificate;
}

Result<std::vector<Certificate>> parse_certificates(ByteView content) {
  const CleanQueue queue;
  std::vector<Certificate> certificates;
  if (looks_like_der(content)) {
    TRY(std::shared_ptr<X509> handle, parse_der(content));
    TRY(Certificate certificate, Certificate::adopt(std::move(handle)));
    certificates.push_back(std::move(certificate));
    return certificates;
  }
  TRY(const openssl::BioPtr reader, openssl::reader_of(content));
  while (true) {
    TRY(std::shared_ptr<X509> handle, next_pem(reader.get()), "certificate " + std::to_string(certificates.size() + 1));
    if (!handle) break;
    TRY(Certificate certificate, Certificate::adopt(std::move(handle)));
    certificates.push_back(std::move(certificate));
  }
  if (certificates.empty()) return fail(Kind::invalid_input, "no certificate in it, neither PEM nor DER");
  return certificates;
}

Result<std::vector<Certificate>> read_certificates(const std::string& path) {
  TRY(const std::string content, base::read_file(path, max_certificate_file_size));
  TRY(std::vector<Certificate> certificates, parse_certificates(base::bytes_of(content)),
      "reading certificates from " + path);
  return certificates;
}

Result<Certificate> read_certificate(const std::string& path) {
  TRY(std::vector<Certificate> certificates, read_certificates(path));
  if (certificates.size() != 1) {
    return fail(Kind::invalid_input,
                path + " holds " + std::to_string(certificates.size()) + " certificates; one is wanted here");
  }
  return std::move(certificates.front());
}

Result<PrivateKey> parse_private_key(ByteView pem) {
  const CleanQueue queue;
  TRY(const openssl::BioPtr reader, openssl::reader_of(pem));
  bool asked = false;
  EVP_PKEY* raw = PEM_read_bio_PrivateKey(reader.get(), nullptr, &openssl::refuse_passphrase, &asked);
  std::shared_ptr<EVP_PKEY> key(raw, [](EVP_PKEY* handle) { EVP_PKEY_free(handle); });
  if (asked) return fail(Kind::invalid_input, "the private key is encrypted; give a plain one, nobody is asked here");
  if (!key) return fail_openssl(Kind::invalid_input, "no readable private key in PEM");
  TRY_DO(check_key(key.get()), "the private key");
  return PrivateKey(std::move(key));
}

Result<PrivateKey> read_private_key(const std::string& path) {
  TRY(std::string content, base::read_file(path, max_certificate_file_size));
  const Secret secret(std::move(content));
  TRY(PrivateKey key, parse_private_key(secret.bytes()), "reading the private key " + path);
  return key;
}

}  // namespace verity
