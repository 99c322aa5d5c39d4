#pragma once

#include <chrono>
#include <string>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/uuid.hpp"

/// New keys, in the forms that files hold. OpenSSL and its random numbers stay behind the .cpp file.
namespace builder::keys {

/// Text that is wiped when it is done with.
class Secret {
 public:
  explicit Secret(std::string text) : text_(std::move(text)) {}
  Secret(Secret&& other) noexcept = default;
  Secret& operator=(Secret&& other) = delete;
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret();

  base::ByteView bytes() const { return base::bytes_of(text_); }

 private:
  std::string text_;
};

/// PEM: the private key as PKCS#8, not encrypted; beside it the certificate, or the public key (SubjectPublicKeyInfo).
struct NewKey {
  Secret private_key;
  std::string public_part;
};

/// What Secure Boot and the kernel can check: an RSA key with a certificate that it signed itself, for no authority.
/// It never expires (RFC 5280, section 4.1.2.5): neither the firmware nor the kernel asks for the date, and a machine
/// may stand longer than any date that we would choose.
///
/// common_name  at most 64 characters
/// Fails: invalid_input (the name), io (OpenSSL).
base::Result<NewKey> make_rsa_key(unsigned bits, const std::string& common_name, std::chrono::sys_seconds not_before);

/// Fails: io (OpenSSL).
base::Result<NewKey> make_ed25519_key();

/// A random UUID, version 4. Fails: io (OpenSSL).
base::Result<base::Uuid> make_uuid();

}  // namespace builder::keys
