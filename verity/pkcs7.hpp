#pragma once

#include <span>
#include <string_view>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "verity/certificate.hpp"
#include "verity/openssl.hpp"

/// What every signature in PKCS#7 is asked, whatever it is over: for .cpp files, as verity/openssl.hpp.
/// Failures are `corrupt` (unreadable), `unsupported` (a form that we do not take) and `untrusted`.
namespace verity::openssl {

/// The DER form. Fails: io (OpenSSL).
base::Result<base::Bytes> encode_pkcs7(const PKCS7* message);
/// One PKCS#7 and nothing else. OpenSSL reads BER too, in which one message has many spellings; only the spelling that
/// it would write itself passes. The caller has bounded the size.
base::Result<Pkcs7Ptr> decode_pkcs7(base::ByteView der);

/// PKCS#7 1.5 knows version 1 only, of the whole and of each signer's part, and so does the kernel.
base::Result<> check_version(const ASN1_INTEGER* version);
/// None of the algorithms that we accept takes parameters; they are left out or NULL.
base::Result<> check_no_parameters(const X509_ALGOR* identifier);

/// Those who signed a SignedData that somebody has looked at already; at least one, 16 at most.
base::Result<STACK_OF(PKCS7_SIGNER_INFO) *> signers_of(const PKCS7_SIGNED& data);

/// The trusted certificate that this signer signed `message` with. Issuer and serial number name it; should several
/// trusted ones share them, any may fit. `what` is what errors call the message: "this root hash".
base::Result<Certificate> check_signer(const PKCS7_SIGNER_INFO& signer, base::ByteView message, std::string_view what,
                                       std::span<const Certificate> trusted);

}  // namespace verity::openssl
