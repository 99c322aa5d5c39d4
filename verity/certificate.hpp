#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"

struct evp_pkey_st;  // OpenSSL's EVP_PKEY
struct x509_st;      // OpenSSL's X509

namespace verity {

/// The most that a file of certificates or a file with a private key may hold (bytes).
inline constexpr std::size_t max_certificate_file_size = std::size_t{64} * 1024;

/// An X.509 certificate whose public key the kernel can verify a root hash signature with: RSA of 2048, 3072 or 4096
/// bits, or ECDSA on P-256 or P-384. One with another key cannot exist, so nobody needs to ask again.
/// A cheap value: copies share the parsed form, which never changes.
///
/// Validity dates, key usage and the chain above a certificate are not looked at: being in the trusted set is what
/// makes a certificate trusted, as in the kernel's keyrings.
/// Source: Linux, crypto/rsa.c (rsa_check_key_length: no other lengths; fewer than 2048 bits are refused by us) and
///         crypto/ecdsa.c (named curves, uncompressed points).
class Certificate {
 public:
  /// SHA-256 of the DER form, 64 lower-case hexadecimal digits: what `certificateFingerprint` carries.
  const std::string& fingerprint() const { return fingerprint_; }
  /// Whom it was issued to, for people: one line, escaped (RFC 2253), shortened. Not an identity.
  const std::string& subject() const { return subject_; }

  /// For the .cpp files that call OpenSSL, here and in image/authenticode. Never null, owned by the certificate; not to
  /// be changed.
  x509_st* handle() const { return handle_.get(); }

 private:
  friend base::Result<std::vector<Certificate>> parse_certificates(base::ByteView content);
  Certificate() = default;
  static base::Result<Certificate> adopt(std::shared_ptr<x509_st> handle);

  std::shared_ptr<x509_st> handle_;
  std::string fingerprint_;
  std::string subject_;
};

/// One certificate in DER, or one or more in PEM; text around PEM blocks and blocks of other types are passed over.
/// Never empty. Fails: invalid_input (none, unreadable, bytes behind a DER certificate, encrypted, an unusable key).
base::Result<std::vector<Certificate>> parse_certificates(base::ByteView content);
/// The same from a file of at most 64 KiB. Fails: also not_found, permission, io.
base::Result<std::vector<Certificate>> read_certificates(const std::string& path);
/// The same from a file that must hold exactly one.
base::Result<Certificate> read_certificate(const std::string& path);

/// A private key of a kind that Certificate allows.
class PrivateKey {
 public:
  /// For the .cpp files that call OpenSSL, here and in image/authenticode. Never null, owned by the key; not to be
  /// changed.
  evp_pkey_st* handle() const { return handle_.get(); }

 private:
  friend base::Result<PrivateKey> parse_private_key(base::ByteView pem);
  explicit PrivateKey(std::shared_ptr<evp_pkey_st> handle) : handle_(std::move(handle)) {}

  std::shared_ptr<evp_pkey_st> handle_;
};

/// PEM, PKCS#8 or traditional, not encrypted: nobody is ever asked for a passphrase.
/// Fails: invalid_input (none, unreadable, encrypted, a kind of key that Certificate does not allow).
base::Result<PrivateKey> parse_private_key(base::ByteView pem);
/// The same from a file of at most 64 KiB. Fails: also not_found, permission, io.
base::Result<PrivateKey> read_private_key(const std::string& path);

}  // namespace verity
