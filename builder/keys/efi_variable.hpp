#pragma once

#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/uuid.hpp"
#include "verity/certificate.hpp"

/// What a firmware's Secure Boot variables are set with.
/// Source: UEFI specification 2.10, sections 8.2.2 (EFI_VARIABLE_AUTHENTICATION_2) and 32.4.1 (EFI_SIGNATURE_LIST)
namespace builder::keys {

/// The most that a file of this kind may hold (bytes).
inline constexpr std::size_t max_efi_update_size = std::size_t{256} * 1024;

/// The variables of Secure Boot that we set, each with its vendor.
enum class EfiVariable {
  platform_key,        // PK: who owns the machine
  key_exchange_key,    // KEK: who may change db
  signature_database,  // db: whose programs the firmware starts
};

/// "PK", "KEK", "db".
std::string_view name_of(EfiVariable variable);

/// One EFI_SIGNATURE_LIST of the type X.509 with one certificate. `owner` names who put it there; firmware does not
/// ask.
base::Bytes efi_signature_list(const base::Uuid& owner, const verity::Certificate& certificate);

/// The new content of a variable behind an EFI_VARIABLE_AUTHENTICATION_2, the file that is called .auth: for
/// SetVariable() with non-volatile, boot service, run-time and time-based authenticated access, and no append.
/// With an RSA key the same input gives the same bytes, those of efitools' sign-efi-sig-list.
///
/// timestamp  firmware takes a later update only, once the variable has a content; the years 1900 to 9999
/// Fails: invalid_input (the key is not the certificate's, the year), io (OpenSSL).
base::Result<base::Bytes> sign_efi_update(EfiVariable variable, std::chrono::sys_seconds timestamp,
                                          base::ByteView content, const verity::PrivateKey& key,
                                          const verity::Certificate& certificate);

struct ListedCertificate {
  base::Uuid owner;
  verity::Certificate certificate;
};

/// A file of the form that sign_efi_update() writes, taken apart. Nothing is verified.
struct EfiUpdate {
  std::chrono::sys_seconds timestamp;
  base::Bytes signature;  // PKCS#7 SignedData in DER, without the ContentInfo around it
  base::Bytes content;
  std::vector<ListedCertificate> certificates;  // of `content`
};

/// Fails: corrupt (lengths, a date that is none); unsupported (another kind of authentication; a list of something else
/// than X.509); invalid_input (a certificate that verity::Certificate refuses; more than max_efi_update_size).
base::Result<EfiUpdate> parse_efi_update(base::ByteView file);

/// The trusted certificate that this update of this variable was signed with.
/// Fails: untrusted; corrupt, unsupported (the signature); invalid_input (nothing is trusted).
base::Result<verity::Certificate> verify_efi_update(const EfiUpdate& update, EfiVariable variable,
                                                    std::span<const verity::Certificate> trusted);

}  // namespace builder::keys
