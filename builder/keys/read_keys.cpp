#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <map>
#include <span>
#include <utility>

#include <fmt/format.h>
#include <openssl/pem.h>

#include "base/file.hpp"
#include "builder/keys/key_files.hpp"
#include "builder/keys/keys.hpp"
#include "builder/keys/make_key.hpp"
#include "verity/openssl.hpp"

namespace builder::keys {

namespace fs = std::filesystem;

using base::Bytes;
using base::bytes_of;
using base::fail;
using base::Kind;
using base::Result;
using verity::openssl::CleanQueue;
using verity::openssl::fail_openssl;

namespace {

using KeyPtr = base::Owned<EVP_PKEY, &EVP_PKEY_free>;

/// A file that is not there is told with what makes it.
Result<std::string> read_needed(const std::string& path, std::size_t max_bytes) {
  auto content = base::read_file(path, max_bytes);
  if (content || content.error().kind() != Kind::not_found) return content;
  return fail(Kind::not_found, path + " is missing; all keys are made by: keelson keys new DIR");
}

Result<unsigned> mode_of(const base::File& file) {
  struct stat status{};
  if (::fstat(file.fd(), &status) != 0) {
    const int error = errno;
    return base::fail_errno(error, "examining " + file.name());
  }
  return status.st_mode & 07777U;
}

bool others_may_read(unsigned mode) {
  return (mode & 0077U) != 0;
}

Result<Secret> read_private(const std::string& path) {
  auto file = base::File::open(path, O_RDONLY);
  if (!file && file.error().kind() == Kind::not_found) {
    return fail(Kind::not_found, path + " is missing; all keys are made by: keelson keys new DIR");
  }
  if (!file) return std::unexpected(std::move(file).error());
  TRY(const unsigned mode, mode_of(*file));
  if (others_may_read(mode)) {
    return fail(Kind::permission,
                fmt::format("{} is open to others than its owner (mode {:04o}): chmod 600 {}", path, mode, path));
  }
  TRY(std::string text, base::read_all(file->fd(), path, verity::max_certificate_file_size));
  return Secret(std::move(text));
}

Result<Signer> read_signer(const std::string& directory, const std::string& name) {
  const std::string key_path = directory + "/" + name + ".key";
  const std::string certificate_path = directory + "/" + name + ".crt";
  TRY(const Secret secret, read_private(key_path));
  TRY(verity::PrivateKey key, verity::parse_private_key(secret.bytes()), key_path);
  TRY(const std::string text, read_needed(certificate_path, verity::max_certificate_file_size));
  TRY(std::vector<verity::Certificate> certificates, verity::parse_certificates(bytes_of(text)), certificate_path);
  const CleanQueue queue;
  if (certificates.size() != 1 || X509_check_private_key(certificates.front().handle(), key.handle()) != 1) {
    return fail(Kind::invalid_input, key_path + " does not belong to " + certificate_path);
  }
  return Signer{std::move(key), std::move(certificates.front())};
}

Result<EfiUpdate> read_update(const std::string& path, Bytes* bytes = nullptr) {
  TRY(const std::string content, read_needed(path, max_efi_update_size));
  TRY(EfiUpdate update, parse_efi_update(bytes_of(content)), path);
  if (bytes != nullptr) *bytes = Bytes(bytes_of(content).begin(), bytes_of(content).end());
  return update;
}

bool lets_in(const EfiUpdate& update, const verity::Certificate& certificate) {
  return std::ranges::any_of(update.certificates, [&](const ListedCertificate& each) {
    return each.certificate.fingerprint() == certificate.fingerprint();
  });
}

Result<KeyPtr> read_public(const std::string& path) {
  const CleanQueue queue;
  TRY(const std::string text, base::read_file(path, verity::max_certificate_file_size));
  TRY(const verity::openssl::BioPtr reader, verity::openssl::reader_of(bytes_of(text)));
  bool asked = false;
  KeyPtr key(PEM_read_bio_PUBKEY(reader.get(), nullptr, &verity::openssl::refuse_passphrase, &asked));
  if (!key) return fail_openssl(Kind::invalid_input, path + " holds no readable public key in PEM");
  return key;
}

std::string kind_of(const EVP_PKEY* key) {
  switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA:
      return fmt::format("rsa{}", EVP_PKEY_get_bits(key));
    case EVP_PKEY_EC:
      return fmt::format("ecdsa{}", EVP_PKEY_get_bits(key));
    case EVP_PKEY_ED25519:
      return "ed25519";
    default:
      return "unknown";
  }
}

Result<std::string> digest_of(const EVP_PKEY* key) {
  const CleanQueue queue;
  const int size = i2d_PUBKEY(key, nullptr);
  if (size <= 0) return fail_openssl(Kind::io, "encoding a public key");
  Bytes der(static_cast<std::size_t>(size));
  unsigned char* at = verity::openssl::writable_octets(der);
  (void)i2d_PUBKEY(key, &at);
  Bytes digest(EVP_MAX_MD_SIZE);
  unsigned length = 0;
  if (EVP_Digest(der.data(), der.size(), verity::openssl::writable_octets(digest), &length, EVP_sha256(), nullptr) !=
      1) {
    return fail_openssl(Kind::io, "computing the digest of a public key");
  }
  digest.resize(length);
  return base::to_hex(digest);
}

/// Whether a private key's file is there with which permissions, and that it belongs to the public key.
Result<std::optional<unsigned>> examine_private(const std::string& path, const EVP_PKEY* public_key) {
  auto file = base::File::open(path, O_RDONLY);
  if (!file && file.error().kind() == Kind::not_found) return std::nullopt;
  if (!file) return std::unexpected(std::move(file).error());
  TRY(const unsigned mode, mode_of(*file));
  TRY(std::string text, base::read_all(file->fd(), path, verity::max_certificate_file_size));
  const Secret secret(std::move(text));
  const CleanQueue queue;
  TRY(const verity::openssl::BioPtr reader, verity::openssl::reader_of(secret.bytes()));
  bool asked = false;
  const KeyPtr key(PEM_read_bio_PrivateKey(reader.get(), nullptr, &verity::openssl::refuse_passphrase, &asked));
  if (!key) return fail_openssl(Kind::invalid_input, path + " holds no readable private key in PEM, not encrypted");
  if (EVP_PKEY_eq(key.get(), public_key) != 1) {
    return fail(Kind::invalid_input, path + " does not belong to the public key beside it");
  }
  return mode;
}

struct Examined {
  KeyFacts facts;
  std::optional<verity::Certificate> certificate;
};

/// Nothing when the public part is not there.
Result<std::optional<Examined>> examine_key(const std::string& directory, const KeyFile& key) {
  const std::string path = directory + "/" + public_file(key);
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return std::nullopt;
  Examined examined{.facts = {.name = std::string(key.name), .use = std::string(key.use)}, .certificate = {}};
  KeyPtr bare;
  const EVP_PKEY* public_key = nullptr;
  if (key.form == KeyForm::certified) {
    TRY(examined.certificate, verity::read_certificate(path));
    examined.facts.subject = examined.certificate->subject();
    examined.facts.fingerprint = examined.certificate->fingerprint();
    public_key = X509_get0_pubkey(examined.certificate->handle());
  } else {
    TRY(bare, read_public(path));
    TRY(examined.facts.fingerprint, digest_of(bare.get()));
    public_key = bare.get();
  }
  examined.facts.kind = kind_of(public_key);
  TRY(examined.facts.private_mode, examine_private(directory + "/" + private_file(key.name), public_key));
  return examined;
}

}  // namespace

Result<BuildKeys> read_keys(const std::string& directory) {
  const std::string frame = "reading the keys in " + directory;
  TRY(Signer secure_boot, read_signer(directory, "db"), frame);
  TRY(Signer root_hash, read_signer(directory, "verity"), frame);
  BuildKeys keys{.secure_boot = std::move(secure_boot), .root_hash = std::move(root_hash)};
  TRY_DO(read_update(directory + "/PK.auth", &keys.platform_key), frame);
  TRY_DO(read_update(directory + "/KEK.auth", &keys.key_exchange_key), frame);
  TRY(const EfiUpdate database, read_update(directory + "/db.auth", &keys.signature_database), frame);
  if (!lets_in(database, keys.secure_boot.certificate)) {
    return fail(Kind::invalid_input, fmt::format("{}: {}/db.auth does not name the certificate {}/db.crt: a machine "
                                                 "that has enrolled it would refuse what db.key signs",
                                                 frame, directory, directory));
  }
  return keys;
}

Result<KeyDirectory> examine_keys(const std::string& directory) {
  KeyDirectory found;
  std::map<std::string, verity::Certificate, std::less<>> certificates;
  for (const KeyFile& key : key_files) {
    TRY(std::optional<Examined> examined, examine_key(directory, key));
    if (!examined) continue;
    if (examined->certificate) certificates.emplace(key.name, *examined->certificate);
    found.keys.push_back(std::move(examined->facts));
  }
  if (found.keys.empty()) {
    return fail(Kind::not_found,
                fmt::format("no keys in {}; they are made by: keelson keys new {}", directory, directory));
  }
  if (const auto owner = base::read_file(directory + "/" + owner_file, 64)) {
    TRY(found.owner, base::Uuid::parse(std::string_view(*owner).substr(0, 36)), directory + "/" + owner_file);
  }
  for (const UpdateFile& file : update_files) {
    const std::string path = directory + "/" + file.name();
    std::error_code ignored;
    if (!fs::exists(path, ignored)) continue;
    TRY(const EfiUpdate update, read_update(path));
    UpdateFacts facts{.file = file.name(),
                      .variable = std::string(name_of(file.variable)),
                      .timestamp = update.timestamp,
                      .subjects = {},
                      .signed_by = {}};
    for (const ListedCertificate& each : update.certificates) facts.subjects.push_back(each.certificate.subject());
    if (const auto signer = certificates.find(file.signer); signer != certificates.end()) {
      TRY_DO(verify_efi_update(update, file.variable, std::span(&signer->second, 1)), path);
      facts.signed_by = std::string(file.signer);
    }
    found.updates.push_back(std::move(facts));
  }
  return found;
}

}  // namespace builder::keys
