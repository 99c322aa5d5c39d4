#pragma once

#include <span>

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

}  // namespace image
