#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "base/result.hpp"
#include "base/uuid.hpp"
#include "image/esp.hpp"
#include "verity/certificate.hpp"

/// The directory with the keys of an operating system's maker: those that a build signs with, those that a channel of
/// updates signs with. README.txt in it says which is for what and who may hold it.
namespace builder::keys {

enum class RsaBits : unsigned { rsa2048 = 2048, rsa3072 = 3072, rsa4096 = 4096 };

struct NewKeys {
  std::string name = "Keelson";         // whose keys they are: in the certificates' subjects, at most 40 characters
  RsaBits rsa_bits = RsaBits::rsa2048;  // what every firmware knows
};

/// Makes a new directory with all the keys. It is written beside its name and renamed when it is complete: an interrupt
/// or a failure leaves nothing. The directory has the mode 0700, private keys 0600, the rest 0644.
///
/// directory  must not exist, or be empty. `clock` says from when on the certificates count.
/// Fails: invalid_input (something is there: it is named; the name), permission, not_found, no_space, io.
base::Result<> make_keys(const std::string& directory, const NewKeys& options = {},
                         const base::Clock& clock = base::system_clock());

struct Signer {
  verity::PrivateKey key;
  verity::Certificate certificate;
};

/// What a build signs with.
struct BuildKeys {
  Signer secure_boot;  // db: boot loader and UKI
  Signer root_hash;    // verity
  /// PK.auth, KEK.auth and db.auth: the firmware's variables, signed. Their private keys need not be here.
  base::Bytes platform_key;
  base::Bytes key_exchange_key;
  base::Bytes signature_database;

  /// Views into this object.
  image::EnrollKeys enroll_keys() const { return {platform_key, key_exchange_key, signature_database}; }
};

/// Fails: not_found (a file, with the command that makes one); permission (a private key that others than its owner may
///        read, with its mode); invalid_input, corrupt, unsupported (a file that is none of its kind; a private key
///        that is not its certificate's; a db.auth that does not let the machine start what db.key signs).
base::Result<BuildKeys> read_keys(const std::string& directory);

/// A key as people and machines want to see it.
struct KeyFacts {
  std::string name;                      // "db"
  std::string use;                       // "signs boot loader and kernel"
  std::string kind;                      // "rsa2048", "ed25519"
  std::string subject;                   // of the certificate; empty: there is none
  std::string fingerprint;               // of the certificate, or else the SHA-256 of the public key (DER)
  std::optional<unsigned> private_mode;  // permissions of the private key's file; nothing: it is not here
};

/// A signed update of a firmware's variable.
struct UpdateFacts {
  std::string file;      // "db.auth"
  std::string variable;  // "db"
  std::chrono::sys_seconds timestamp;
  std::vector<std::string> subjects;  // whom it lets in
  std::string signed_by;              // "KEK"; empty: that certificate is not here
};

struct KeyDirectory {
  std::optional<base::Uuid> owner;
  std::vector<KeyFacts> keys;
  std::vector<UpdateFacts> updates;
};

/// What is in the directory; what is not there is passed over, for not everybody should hold everything.
/// Fails: not_found (no key at all); invalid_input, corrupt, unsupported (a file that is none of its kind, a private
/// key
///        that does not belong to its certificate or public key); untrusted (an update that its signer did not sign);
///        permission; io.
base::Result<KeyDirectory> examine_keys(const std::string& directory);

}  // namespace builder::keys
