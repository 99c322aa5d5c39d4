#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "verity/certificate.hpp"

/// Who vouches for a PE file, in the way that UEFI's Secure Boot asks for it.
/// Source: Microsoft, "Windows Authenticode Portable Executable Signature Format" (2008); "PE Format", section "The
///         Attribute Certificate Table"; UEFI specification, section 32.2.4
namespace image {

inline constexpr std::size_t max_pe_signature_size = std::size_t{64} * 1024;
inline constexpr std::size_t max_pe_signatures = 16;

using PeDigest = std::array<std::byte, 32>;

/// The SHA-256 that a signature is over: the file without the checksum, the certificate table's entry and the table
/// itself. An unsigned file is taken with the zeros that will fill it up to a multiple of 8 bytes when it is signed.
/// Fails: corrupt, unsupported (read_pe_headers).
base::Result<PeDigest> authenticode_digest(base::ByteView pe);

/// The file with our signature: PKCS#7 that carries the certificate, with the two signed attributes that must be there
/// and no others. In particular it has no signing time, so that with an RSA key the same input gives the same bytes.
/// ECDSA gives other ones every time, and firmware that accepts it is rare: fit for tests.
/// Fails: corrupt, unsupported (read_pe_headers); invalid_input (signed already, the key is not the certificate's, more
///        than 4 GiB); io (OpenSSL).
base::Result<base::Bytes> sign_pe(base::ByteView pe, const verity::PrivateKey& key,
                                  const verity::Certificate& certificate);

/// The trusted certificate that vouches for this file. Of several signatures one by a trusted certificate is enough, as
/// for the firmware. The signer's own certificate must be among the trusted, and, since the firmware looks for it
/// there, in the signature; chains are not followed, dates are not looked at. Only SHA-256 counts.
///
/// The checksum is the one thing that may differ between two files that verify.
/// Fails: untrusted (no signature, by nobody trusted, of other bytes); corrupt (read_pe_headers, a malformed table or
///        signature); unsupported (another kind of signature); invalid_input (nothing is trusted).
base::Result<verity::Certificate> verify_pe(base::ByteView pe, std::span<const verity::Certificate> trusted);

/// Who says that he signed this file, by each of its signatures; empty when there is none. For people: nothing is
/// verified. Fails: corrupt, unsupported (read_pe_headers, a malformed table or signature).
base::Result<std::vector<std::string>> claimed_pe_signers(base::ByteView pe);

/// A signed file in two: `pe` has no certificate table, `signature` is the PKCS#7 in DER, as of sbattach --detach.
struct DetachedSignature {
  base::Bytes pe;
  base::Bytes signature;
};

/// Nothing is verified. attach_signature() gives `pe` again, which has been tried when this returns.
/// Fails: corrupt, unsupported (read_pe_headers; several signatures; a checksum or fill that we would write otherwise);
///        invalid_input (not signed).
base::Result<DetachedSignature> detach_signature(base::ByteView pe);

/// Puts a signature behind an unsigned file, which is filled with zeros up to a multiple of 8 bytes. Whether it is a
/// signature of this file is verify_pe()'s question.
/// Fails: corrupt, unsupported (read_pe_headers); invalid_input (signed already, an empty signature, more than 64 KiB).
base::Result<base::Bytes> attach_signature(base::ByteView pe, base::ByteView signature);

}  // namespace image
