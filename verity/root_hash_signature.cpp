#include "verity/root_hash_signature.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <openssl/objects.h>

#include "verity/openssl.hpp"
#include "verity/pkcs7.hpp"

namespace verity {

using base::Bytes;
using base::ByteView;
using base::fail;
using base::Kind;
using base::Result;
using openssl::CleanQueue;
using openssl::fail_openssl;
using openssl::Pkcs7Ptr;

namespace {

Result<Pkcs7Ptr> decode(ByteView der) {
  if (der.empty()) return fail(Kind::untrusted, "an empty signature");
  if (der.size() > max_signature_size) {
    return fail(Kind::unsupported, "a signature of " + std::to_string(der.size()) + " bytes; the kernel takes " +
                                       std::to_string(max_signature_size));
  }
  return openssl::decode_pkcs7(der);
}

/// The signers of a detached SignedData over plain data; at least one.
Result<STACK_OF(PKCS7_SIGNER_INFO) *> signers_of(const PKCS7& signature) {
  // Every pointer is looked at: the optional parts of the grammar are null where the bytes leave them out.
  if (OBJ_obj2nid(signature.type) != NID_pkcs7_signed || signature.d.sign == nullptr) {
    return fail(Kind::unsupported,
                "a PKCS#7 message of the type " + openssl::display(signature.type) + "; signed data is wanted");
  }
  TRY_DO(openssl::check_version(signature.d.sign->version));
  const PKCS7* content = signature.d.sign->contents;
  if (content == nullptr || OBJ_obj2nid(content->type) != NID_pkcs7_data) {
    return fail(Kind::unsupported, "a signature over something else than plain data");
  }
  if (content->d.ptr != nullptr) {
    return fail(Kind::unsupported, "the PKCS#7 message carries its own content; a detached signature is wanted");
  }
  return openssl::signers_of(*signature.d.sign);
}

Result<Certificate> check_signer(const PKCS7_SIGNER_INFO& signer, std::string_view text,
                                 std::span<const Certificate> trusted) {
  if (signer.auth_attr != nullptr) {
    return fail(Kind::unsupported, "the signature has signed attributes; one directly over the root hash is wanted");
  }
  return openssl::check_signer(signer, base::bytes_of(text), "this root hash", trusted);
}

}  // namespace

Result<Bytes> sign_root_hash(const RootHash& root, const PrivateKey& key, const Certificate& certificate) {
  const CleanQueue queue;
  if (X509_check_private_key(certificate.handle(), key.handle()) != 1) {
    return fail_openssl(Kind::invalid_input,
                        "the private key does not belong to the certificate of " + certificate.subject());
  }
  const std::string text = root.hex();
  const std::string frame = "signing the root hash " + text;
  TRY(const openssl::BioPtr content, openssl::reader_of(base::bytes_of(text)), frame);
  // Partial, so that the digest is ours to name and not whatever a configuration has for a default.
  constexpr int flags = PKCS7_DETACHED | PKCS7_BINARY | PKCS7_NOCERTS | PKCS7_NOATTR | PKCS7_PARTIAL;
  const Pkcs7Ptr signature(PKCS7_sign(nullptr, nullptr, nullptr, content.get(), flags));
  if (!signature ||
      PKCS7_sign_add_signer(signature.get(), certificate.handle(), key.handle(), EVP_sha256(), flags) == nullptr ||
      PKCS7_final(signature.get(), content.get(), flags) != 1) {
    return fail_openssl(Kind::io, frame);
  }
  TRY(Bytes der, openssl::encode_pkcs7(signature.get()), frame);
  TRY_DO(verify_root_hash_signature(root, der, std::span(&certificate, 1)), frame);
  return der;
}

Result<Certificate> verify_root_hash_signature(const RootHash& root, ByteView der,
                                               std::span<const Certificate> trusted) {
  const CleanQueue queue;
  const std::string text = root.hex();
  const std::string frame = "the signature of the root hash " + text;
  if (trusted.empty()) return fail(Kind::invalid_input, frame + " cannot be checked: no trusted certificate was given");
  TRY(const Pkcs7Ptr signature, decode(der), frame);
  TRY(STACK_OF(PKCS7_SIGNER_INFO)* const signers, signers_of(*signature), frame);
  std::optional<Certificate> first;
  for (int i = 0; i < sk_PKCS7_SIGNER_INFO_num(signers); ++i) {
    TRY(Certificate certificate, check_signer(*sk_PKCS7_SIGNER_INFO_value(signers, i), text, trusted), frame);
    if (!first) first = std::move(certificate);
  }
  return *std::move(first);  // signers_of() has refused a message without signers
}

}  // namespace verity
