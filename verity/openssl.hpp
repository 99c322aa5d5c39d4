#pragma once

#include <string>
#include <string_view>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pkcs7.h>
#include <openssl/x509.h>

#include "base/bytes.hpp"
#include "base/owned.hpp"
#include "base/result.hpp"

/// The adapter to OpenSSL, for the .cpp files of this room, of image/authenticode and of builder/keys; no public header
/// includes it.
namespace verity::openssl {

using BioPtr = base::Owned<BIO, &BIO_free_all>;
using DigestContext = base::Owned<EVP_MD_CTX, &EVP_MD_CTX_free>;
using Pkcs7Ptr = base::Owned<PKCS7, &PKCS7_free>;

/// OpenSSL leaves its errors in a queue of the thread. A function that calls it opens with one of these, so that what
/// it reads there is its own, and leaves nothing behind for others.
class CleanQueue {
 public:
  CleanQueue();
  CleanQueue(const CleanQueue&) = delete;
  CleanQueue& operator=(const CleanQueue&) = delete;
  ~CleanQueue();
};

/// A failure of this kind that carries what stands in the queue, oldest first; the queue is empty afterwards.
std::unexpected<base::Error> fail_openssl(base::Kind kind, std::string what);

/// Given wherever OpenSSL could ask for a passphrase: it would ask on the terminal otherwise. Refuses, and sets the
/// bool that `asked` points to.
int refuse_passphrase(char* buffer, int size, int writing, void* asked);

/// A view for reading; `bytes` must outlive it. Fails: no_space (memory).
base::Result<BioPtr> reader_of(base::ByteView bytes);

/// Text for people of a name that others chose: one line, escaped (RFC 2253), shortened.
std::string display(const X509_NAME* name);
std::string display(const ASN1_INTEGER* serial);
std::string display(const ASN1_OBJECT* object);

/// The numerical identifier of an AlgorithmIdentifier's algorithm, NID_undef when OpenSSL has none for it.
int algorithm_of(const X509_ALGOR* identifier);

inline const unsigned char* octets(base::ByteView bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}
inline unsigned char* writable_octets(base::MutableByteView bytes) {
  return reinterpret_cast<unsigned char*>(bytes.data());
}

}  // namespace verity::openssl
