#pragma once

#include <span>
#include <string>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "image/authenticode.hpp"
#include "verity/certificate.hpp"

/// The PKCS#7 message that vouches for a PE file's digest, apart from where it lies in the file.
namespace image {

/// Fails: io (OpenSSL). The key is the certificate's.
base::Result<base::Bytes> make_pe_signature(const PeDigest& digest, const verity::PrivateKey& key,
                                            const verity::Certificate& certificate);

/// The trusted certificate that signed this digest. `message` may have up to 7 bytes of zero fill behind it.
/// Fails: untrusted, corrupt, unsupported, as verify_pe().
base::Result<verity::Certificate> check_pe_signature(const PeDigest& digest, base::ByteView message,
                                                     std::span<const verity::Certificate> trusted);

/// Who says that he made this signature: the subject of the certificate that it carries for its signer, or else issuer
/// and serial number. Nothing is verified. Fails: corrupt, unsupported (another kind of signature).
base::Result<std::string> claimed_signer(base::ByteView message);

}  // namespace image
