#pragma once

#include <cstddef>
#include <span>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "verity/certificate.hpp"
#include "verity/root_hash.hpp"

namespace verity {

/// The most bytes that a signature may have: the kernel takes it from a key of the type "user", which holds no more.
/// Source: Linux, security/keys/user_defined.c
inline constexpr std::size_t max_signature_size = 32767;

/// Signs a root hash for dm-verity: a detached PKCS#7 SignedData in DER over the 64 digits of root.hex(), SHA-256,
/// without signed attributes and without certificates. What is returned has been verified with `certificate` once.
///
/// With an RSA key the same input gives the same bytes, those of
/// `openssl smime -sign -nocerts -noattr -binary -outform der -md sha256`. With an ECDSA key every call gives other
/// bytes: OpenSSL draws the nonce at random, and can derive it (RFC 6979) from 3.2 on only, which we do not require.
/// Fails: invalid_input (the key does not belong to the certificate), io (OpenSSL cannot sign).
base::Result<base::Bytes> sign_root_hash(const RootHash& root, const PrivateKey& key, const Certificate& certificate);

/// Checks a signature over exactly `root` and returns the trusted certificate that its first signer signed with. Every
/// signer must have signed with one of `trusted`; certificates inside `der` count for nothing.
///
/// No clock is asked: validity dates are deliberately not looked at, for the kernel does not look at them either, and
/// a machine that boots may not know the time. A certificate is withdrawn by taking it out of the trusted set.
///
/// Stricter than the kernel (crypto/asymmetric_keys/pkcs7_verify.c), which would take signed attributes here and
/// passes over signers that it does not know.
///
/// trusted  at least one; an empty set is a mistake of the caller's, never a success
/// Fails:   invalid_input (nothing trusted)
///          untrusted (empty, no signer, a signer outside `trusted`, a signature over something else)
///          unsupported (no SignedData; content inside; signed attributes; a digest other than SHA-256, -384 or -512;
///          a padding other than PKCS#1 v1.5; another version; more than 32767 bytes or 16 signers)
///          corrupt (no PKCS#7, not in DER, bytes behind it, a signature value that cannot be read)
base::Result<Certificate> verify_root_hash_signature(const RootHash& root, base::ByteView der,
                                                     std::span<const Certificate> trusted);

}  // namespace verity
