#include "builder/keys/efi_variable.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>

#include <fmt/format.h>

#include "verity/openssl.hpp"
#include "verity/pkcs7.hpp"

namespace builder::keys {

using base::Bytes;
using base::ByteView;
using base::fail;
using base::Kind;
using base::Result;
using base::Uuid;
using verity::Certificate;
using verity::openssl::CleanQueue;
using verity::openssl::fail_openssl;
using verity::openssl::Pkcs7Ptr;

namespace {

constexpr std::size_t guid_size = 16;
constexpr std::size_t time_size = 16;            // EFI_TIME
constexpr std::size_t certificate_header = 24;   // WIN_CERTIFICATE_UEFI_GUID without its data
constexpr std::size_t list_header = 28;          // EFI_SIGNATURE_LIST without its header and entries
constexpr std::uint16_t revision = 0x0200;       // of WIN_CERTIFICATE
constexpr std::uint16_t type_efi_guid = 0x0ef1;  // WIN_CERT_TYPE_EFI_GUID
// Non-volatile, boot service access, run-time access, time-based authenticated write access.
constexpr std::uint32_t attributes = 0x01 | 0x02 | 0x04 | 0x20;

Uuid uuid(std::string_view text) {
  return Uuid::parse(text).value();
}
const Uuid& x509_type() {
  static const Uuid type = uuid("a5c059a1-94e4-4aa7-87b5-ab155c2bf072");  // EFI_CERT_X509_GUID
  return type;
}
const Uuid& pkcs7_type() {
  static const Uuid type = uuid("4aafd29d-68df-49ee-8aa9-347d375665a7");  // EFI_CERT_TYPE_PKCS7_GUID
  return type;
}
Uuid vendor_of(EfiVariable variable) {
  return uuid(variable == EfiVariable::signature_database
                  ? "d719b2cb-3d3a-4596-a3bc-dad00e67656f"    // EFI_IMAGE_SECURITY_DATABASE_GUID
                  : "8be4df61-93ca-11d2-aa0d-00e098032b8c");  // EFI_GLOBAL_VARIABLE
}

template <std::unsigned_integral T>
void append_le(Bytes& to, T value) {
  to.resize(to.size() + sizeof value);
  base::store_le(&to[to.size() - sizeof value], value);
}
void append(Bytes& to, ByteView more) {
  to.insert(to.end(), more.begin(), more.end());
}

/// EFI_TIME, in UTC; nanosecond, time zone, daylight and the padding must be zero here.
Result<Bytes> efi_time(std::chrono::sys_seconds at) {
  const auto day = std::chrono::floor<std::chrono::days>(at);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(at - day);
  const int year = static_cast<int>(date.year());
  if (year < 1900 || year > 9999) {
    return fail(Kind::invalid_input, fmt::format("the year {}; firmware knows those from 1900 to 9999", year));
  }
  Bytes time;
  append_le(time, static_cast<std::uint16_t>(year));
  for (const auto field : {static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                           static_cast<unsigned>(clock.hours().count()), static_cast<unsigned>(clock.minutes().count()),
                           static_cast<unsigned>(clock.seconds().count())}) {
    append_le(time, static_cast<std::uint8_t>(field));
  }
  time.resize(time_size);
  return time;
}

Result<std::chrono::sys_seconds> parse_time(ByteView time) {
  const auto field = [time](std::size_t at) { return std::to_integer<unsigned>(time[at]); };
  const std::chrono::year_month_day date(std::chrono::year(base::load_le<std::uint16_t>(time.data())),
                                         std::chrono::month(field(2)), std::chrono::day(field(3)));
  const bool zeros = std::ranges::all_of(time.subspan(7), [](std::byte each) { return each == std::byte{0}; });
  if (!date.ok() || field(4) > 23 || field(5) > 59 || field(6) > 59 || !zeros) {
    return fail(Kind::corrupt, "its time is no date in UTC");
  }
  return std::chrono::sys_days(date) + std::chrono::hours(field(4)) + std::chrono::minutes(field(5)) +
         std::chrono::seconds(field(6));
}

/// What is signed: name (UTF-16, without its end), vendor, attributes, time, content.
Bytes signed_message(EfiVariable variable, ByteView time, ByteView content) {
  Bytes message;
  for (const char letter : name_of(variable)) append_le(message, static_cast<std::uint16_t>(letter));
  append(message, vendor_of(variable).efi_bytes());
  append_le(message, attributes);
  append(message, time);
  append(message, content);
  return message;
}

/// SignedData with the signer's certificate in it, as firmware wants to find it: not wrapped into a ContentInfo, for
/// firmware made before 2023 looks for its fields at fixed places.
Result<Bytes> signed_data(ByteView message, const verity::PrivateKey& key, const Certificate& certificate) {
  const CleanQueue queue;
  if (X509_check_private_key(certificate.handle(), key.handle()) != 1) {
    return fail_openssl(Kind::invalid_input,
                        "the private key does not belong to the certificate of " + certificate.subject());
  }
  TRY(const verity::openssl::BioPtr content, verity::openssl::reader_of(message));
  constexpr int flags = PKCS7_DETACHED | PKCS7_BINARY | PKCS7_NOATTR | PKCS7_PARTIAL;
  const Pkcs7Ptr signature(PKCS7_sign(nullptr, nullptr, nullptr, content.get(), flags));
  if (!signature ||
      PKCS7_sign_add_signer(signature.get(), certificate.handle(), key.handle(), EVP_sha256(), flags) == nullptr ||
      PKCS7_final(signature.get(), content.get(), flags) != 1) {
    return fail_openssl(Kind::io, "OpenSSL cannot sign");
  }
  const int size = i2d_PKCS7_SIGNED(signature->d.sign, nullptr);
  if (size <= 0) return fail_openssl(Kind::io, "encoding a signature");
  Bytes der(static_cast<std::size_t>(size));
  unsigned char* at = verity::openssl::writable_octets(der);
  (void)i2d_PKCS7_SIGNED(signature->d.sign, &at);
  return der;
}

/// The certificates of one EFI_SIGNATURE_LIST, whose length has been checked.
Result<> parse_list(ByteView list, std::vector<ListedCertificate>& into) {
  const std::size_t header = base::load_le<std::uint32_t>(&list[20]);
  const std::size_t entry = base::load_le<std::uint32_t>(&list[24]);
  if (Uuid::from_efi_bytes(list) != x509_type() || header != 0) {
    return fail(Kind::unsupported, "a list of something else than X.509 certificates");
  }
  const ByteView entries = list.subspan(list_header);
  if (entry <= guid_size || entries.empty() || entries.size() % entry != 0) {
    return fail(Kind::corrupt, "a list of certificates has wrong lengths");
  }
  for (ByteView rest = entries; !rest.empty(); rest = rest.subspan(entry)) {
    TRY(std::vector<Certificate> certificates, verity::parse_certificates(rest.subspan(guid_size, entry - guid_size)));
    into.push_back({Uuid::from_efi_bytes(rest), std::move(certificates.front())});
  }
  return base::ok();
}

Result<std::vector<ListedCertificate>> parse_lists(ByteView content) {
  std::vector<ListedCertificate> certificates;
  while (!content.empty()) {
    if (content.size() < list_header) return fail(Kind::corrupt, "it ends inside a list of certificates");
    const std::size_t size = base::load_le<std::uint32_t>(&content[16]);
    if (size < list_header || size > content.size()) {
      return fail(Kind::corrupt, "a list of certificates has wrong lengths");
    }
    TRY_DO(parse_list(content.first(size), certificates));
    content = content.subspan(size);
  }
  if (certificates.empty()) return fail(Kind::corrupt, "it sets the variable to nothing");
  return certificates;
}

}  // namespace

std::string_view name_of(EfiVariable variable) {
  switch (variable) {
    case EfiVariable::platform_key:
      return "PK";
    case EfiVariable::key_exchange_key:
      return "KEK";
    case EfiVariable::signature_database:
      return "db";
  }
  return "";
}

Bytes efi_signature_list(const Uuid& owner, const Certificate& certificate) {
  const auto der_size = static_cast<std::uint32_t>(i2d_X509(certificate.handle(), nullptr));
  const auto entry_size = static_cast<std::uint32_t>(guid_size + der_size);
  Bytes list;
  append(list, x509_type().efi_bytes());
  append_le(list, static_cast<std::uint32_t>(list_header + entry_size));
  append_le(list, std::uint32_t{0});  // no header between this one and the entries
  append_le(list, entry_size);
  append(list, owner.efi_bytes());
  const std::size_t start = list.size();
  list.resize(start + der_size);
  unsigned char* at = verity::openssl::writable_octets(list) + start;
  (void)i2d_X509(certificate.handle(), &at);
  return list;
}

Result<Bytes> sign_efi_update(EfiVariable variable, std::chrono::sys_seconds timestamp, ByteView content,
                              const verity::PrivateKey& key, const Certificate& certificate) {
  const std::string frame = fmt::format("signing the firmware's variable {}", name_of(variable));
  TRY(const Bytes time, efi_time(timestamp), frame);
  TRY(const Bytes signature, signed_data(signed_message(variable, time, content), key, certificate), frame);
  Bytes update = time;
  append_le(update, static_cast<std::uint32_t>(certificate_header + signature.size()));
  append_le(update, revision);
  append_le(update, type_efi_guid);
  append(update, pkcs7_type().efi_bytes());
  append(update, signature);
  append(update, content);
  return update;
}

Result<EfiUpdate> parse_efi_update(ByteView file) {
  if (file.size() > max_efi_update_size) {
    return fail(Kind::invalid_input,
                fmt::format("{} bytes; an update has {} at most", file.size(), max_efi_update_size));
  }
  if (file.size() < time_size + certificate_header) return fail(Kind::corrupt, "it ends inside its header");
  EfiUpdate update;
  TRY(update.timestamp, parse_time(file.first(time_size)));
  const ByteView authentication = file.subspan(time_size);
  const std::size_t size = base::load_le<std::uint32_t>(authentication.data());
  if (size < certificate_header || size > authentication.size()) {
    return fail(Kind::corrupt, "its signature has a wrong length");
  }
  if (base::load_le<std::uint16_t>(&authentication[4]) != revision ||
      base::load_le<std::uint16_t>(&authentication[6]) != type_efi_guid ||
      Uuid::from_efi_bytes(authentication.subspan(8)) != pkcs7_type()) {
    return fail(Kind::unsupported, "it is authenticated by something else than PKCS#7");
  }
  const ByteView signature = authentication.subspan(certificate_header, size - certificate_header);
  const ByteView content = authentication.subspan(size);
  update.signature.assign(signature.begin(), signature.end());
  update.content.assign(content.begin(), content.end());
  TRY(update.certificates, parse_lists(content));
  return update;
}

Result<Certificate> verify_efi_update(const EfiUpdate& update, EfiVariable variable,
                                      std::span<const Certificate> trusted) {
  const CleanQueue queue;
  const std::string frame = fmt::format("the signature of an update of {}", name_of(variable));
  if (trusted.empty()) return fail(Kind::invalid_input, frame + " cannot be checked: nothing is trusted");
  TRY(const Bytes time, efi_time(update.timestamp), frame);
  const unsigned char* at = verity::openssl::octets(update.signature);
  using SignedData = base::Owned<PKCS7_SIGNED, &PKCS7_SIGNED_free>;
  const SignedData data(d2i_PKCS7_SIGNED(nullptr, &at, static_cast<long>(update.signature.size())));
  if (!data || at != verity::openssl::octets(update.signature) + update.signature.size()) {
    return fail_openssl(Kind::corrupt, frame + " is no PKCS#7 SignedData");
  }
  TRY_DO(verity::openssl::check_version(data->version), frame);
  TRY(STACK_OF(PKCS7_SIGNER_INFO)* const signers, verity::openssl::signers_of(*data), frame);
  const PKCS7_SIGNER_INFO& signer = *sk_PKCS7_SIGNER_INFO_value(signers, 0);
  if (sk_PKCS7_SIGNER_INFO_num(signers) != 1 || signer.auth_attr != nullptr) {
    return fail(Kind::unsupported, frame + " is not one signature without attributes");
  }
  TRY(Certificate certificate,
      verity::openssl::check_signer(signer, signed_message(variable, time, update.content), "this update", trusted),
      frame);
  return certificate;
}

}  // namespace builder::keys
