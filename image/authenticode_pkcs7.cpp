#include "image/authenticode_pkcs7.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include <openssl/asn1.h>
#include <openssl/objects.h>
#include <openssl/x509.h>

#include "base/owned.hpp"
#include "image/certificate_table.hpp"
#include "verity/openssl.hpp"
#include "verity/pkcs7.hpp"

namespace image {

using base::Bytes;
using base::ByteView;
using base::fail;
using base::Kind;
using base::Result;
using verity::Certificate;
using verity::openssl::fail_openssl;
using verity::openssl::octets;
using verity::openssl::Pkcs7Ptr;

namespace {

namespace openssl = verity::openssl;

// What OpenSSL has no name for. DER of the numbers, without tag and length.
constexpr std::string_view spc_indirect_data("\x2b\x06\x01\x04\x01\x82\x37\x02\x01\x04");  // 1.3.6.1.4.1.311.2.1.4
constexpr std::string_view spc_pe_image_data("\x2b\x06\x01\x04\x01\x82\x37\x02\x01\x0f");  // 1.3.6.1.4.1.311.2.1.15
constexpr std::string_view sha256("\x60\x86\x48\x01\x65\x03\x04\x02\x01");                 // 2.16.840.1.101.3.4.2.1

constexpr char bit_string = 0x03;
constexpr char octet_string = 0x04;
constexpr char null = 0x05;
constexpr char object_identifier = 0x06;
constexpr char sequence = 0x30;
constexpr char implicit_0 = static_cast<char>(0x80);
constexpr char explicit_0 = static_cast<char>(0xa0);
constexpr char explicit_2 = static_cast<char>(0xa2);

/// One element in DER; everything that is written here stays below 128 bytes, where the length is one byte.
std::string der(char tag, std::string_view content) {
  std::string element{tag, static_cast<char>(content.size())};
  return element.append(content);
}

/// DigestInfo of a SHA-256.
std::string digest_info(const PeDigest& digest) {
  return der(sequence,
             der(sequence, der(object_identifier, sha256) + der(null, "")) + der(octet_string, base::text_of(digest)));
}

/// SpcPeImageData: no flags, and for the file's name the text that every signer writes there, in UTF-16.
std::string pe_image_data() {
  std::string obsolete;
  for (const char c : std::string_view("<<<Obsolete>>>")) obsolete += {'\0', c};
  return der(sequence,
             der(bit_string, std::string_view("\0", 1)) + der(explicit_0, der(explicit_2, der(implicit_0, obsolete))));
}

/// ContentInfo that holds SpcIndirectDataContent.
std::string content_info(const PeDigest& digest) {
  const std::string data = der(sequence, der(object_identifier, spc_pe_image_data) + pe_image_data());
  return der(sequence,
             der(object_identifier, spc_indirect_data) + der(explicit_0, der(sequence, data + digest_info(digest))));
}

bool is(const ASN1_OBJECT* object, std::string_view number) {
  return object != nullptr &&
         std::string_view(reinterpret_cast<const char*>(OBJ_get0_data(object)), OBJ_length(object)) == number;
}

ByteView bytes_of(const ASN1_STRING* text) {
  return std::as_bytes(std::span(ASN1_STRING_get0_data(text), static_cast<std::size_t>(ASN1_STRING_length(text))));
}

void free_elements(ASN1_SEQUENCE_ANY* elements) {
  sk_ASN1_TYPE_pop_free(elements, ASN1_TYPE_free);
}
using Elements = base::Owned<ASN1_SEQUENCE_ANY, &free_elements>;
void free_octets(unsigned char* memory) {
  OPENSSL_free(memory);
}
using OpensslOctets = base::Owned<unsigned char, &free_octets>;
using ObjectPtr = base::Owned<ASN1_OBJECT, &ASN1_OBJECT_free>;

/// The elements of a SEQUENCE that fills `bytes`; null when it is none.
Elements elements_of(ByteView bytes) {
  const unsigned char* at = octets(bytes);
  Elements elements(d2i_ASN1_SEQUENCE_ANY(nullptr, &at, static_cast<long>(bytes.size())));
  if (at != octets(bytes) + bytes.size()) elements.reset();
  return elements;
}

/// Element `index` when it is of this type, else null.
const ASN1_TYPE* element(const Elements& elements, int index, int type) {
  if (!elements || index >= sk_ASN1_TYPE_num(elements.get())) return nullptr;
  const ASN1_TYPE* found = sk_ASN1_TYPE_value(elements.get(), index);
  return ASN1_TYPE_get(found) == type ? found : nullptr;
}

Result<PeDigest> sha256_of(ByteView bytes) {
  PeDigest digest{};
  if (EVP_Digest(bytes.data(), bytes.size(), openssl::writable_octets(digest), nullptr, EVP_sha256(), nullptr) != 1) {
    return fail_openssl(Kind::io, "computing SHA-256");
  }
  return digest;
}

/// What a PKCS#7 digest is over: the element without tag and length.
Result<ByteView> without_header(ByteView element) {
  const unsigned char* at = octets(element);
  long length = 0;
  int tag = 0;
  int tag_class = 0;
  const int form = ASN1_get_object(&at, &length, &tag, &tag_class, static_cast<long>(element.size()));
  const auto header = static_cast<std::size_t>(at - octets(element));
  // Bit 7 is an error, bit 0 an open end.
  if ((form & 0x81) != 0 || header + static_cast<std::size_t>(length) != element.size()) {
    return fail(Kind::corrupt, "the signed content is not in DER");
  }
  return element.subspan(header);
}

/// The SpcIndirectDataContent of a message whose other parts are those of an Authenticode signature with SHA-256.
Result<ByteView> signed_content_of(const PKCS7& message) {
  // Every pointer is looked at: the optional parts of the grammar are null where the bytes leave them out.
  if (OBJ_obj2nid(message.type) != NID_pkcs7_signed || message.d.sign == nullptr) {
    return fail(Kind::unsupported,
                "a PKCS#7 message of the type " + openssl::display(message.type) + "; signed data is wanted");
  }
  const PKCS7_SIGNED& data = *message.d.sign;
  TRY_DO(openssl::check_version(data.version));
  const X509_ALGOR* digest = sk_X509_ALGOR_num(data.md_algs) == 1 ? sk_X509_ALGOR_value(data.md_algs, 0) : nullptr;
  if (digest == nullptr || openssl::algorithm_of(digest) != NID_sha256) {
    return fail(Kind::unsupported, "the digest algorithm is not SHA-256 alone");
  }
  TRY_DO(openssl::check_no_parameters(digest));
  if (sk_X509_CRL_num(data.crl) > 0) return fail(Kind::unsupported, "the signature carries a revocation list");
  const PKCS7* content = data.contents;
  if (content == nullptr || !is(content->type, spc_indirect_data)) {
    return fail(Kind::unsupported, "a signature over something else than Authenticode's SpcIndirectDataContent");
  }
  if (content->d.other == nullptr || ASN1_TYPE_get(content->d.other) != V_ASN1_SEQUENCE) {
    return fail(Kind::corrupt, "the SpcIndirectDataContent is missing");
  }
  return bytes_of(content->d.other->value.sequence);
}

/// Whether the content names this digest of a PE file. What it says of the file besides does not matter to anybody.
Result<> check_content(ByteView content, const PeDigest& digest) {
  const Elements elements = elements_of(content);
  const ASN1_TYPE* data = element(elements, 0, V_ASN1_SEQUENCE);
  const ASN1_TYPE* info = element(elements, 1, V_ASN1_SEQUENCE);
  if (data == nullptr || info == nullptr || sk_ASN1_TYPE_num(elements.get()) != 2) {
    return fail(Kind::corrupt, "the SpcIndirectDataContent does not consist of two sequences");
  }
  const Elements image = elements_of(bytes_of(data->value.sequence));
  const ASN1_TYPE* type = element(image, 0, V_ASN1_OBJECT);
  if (type == nullptr || !is(type->value.object, spc_pe_image_data)) {
    return fail(Kind::unsupported, "a signature of something else than a PE image");
  }
  const std::string_view named = base::text_of(bytes_of(info->value.sequence));
  const std::string ours = digest_info(digest);
  const std::size_t before_digest = ours.size() - digest.size();
  if (named.size() != ours.size() || named.substr(0, before_digest) != ours.substr(0, before_digest)) {
    return fail(Kind::unsupported, "the image's digest is not given as SHA-256");
  }
  if (named != ours) {
    return fail(Kind::untrusted, "the signature is of other bytes: it names the digest " +
                                     base::to_hex(base::bytes_of(named.substr(before_digest))) + ", the image has " +
                                     base::to_hex(digest));
  }
  return base::ok();
}

/// The value of the one signed attribute of this kind. Fails: corrupt (missing, twice, not exactly one value).
Result<const ASN1_TYPE*> attribute(const PKCS7_SIGNER_INFO& signer, int kind, int type) {
  const ASN1_TYPE* value = nullptr;
  int count = 0;
  for (int i = 0; i < sk_X509_ATTRIBUTE_num(signer.auth_attr); ++i) {
    X509_ATTRIBUTE* candidate = sk_X509_ATTRIBUTE_value(signer.auth_attr, i);
    if (OBJ_obj2nid(X509_ATTRIBUTE_get0_object(candidate)) != kind) continue;
    ++count;
    if (X509_ATTRIBUTE_count(candidate) == 1) value = X509_ATTRIBUTE_get0_type(candidate, 0);
  }
  if (count == 1 && value != nullptr && ASN1_TYPE_get(value) == type) return value;
  return fail(Kind::corrupt, std::string("not exactly one signed attribute ") + OBJ_nid2sn(kind) + " with one value");
}

/// The signed attributes speak of this content. They are what the signature value is over.
Result<> check_attributes(const PKCS7_SIGNER_INFO& signer, ByteView content) {
  TRY(const ASN1_TYPE* type, attribute(signer, NID_pkcs9_contentType, V_ASN1_OBJECT));
  if (!is(type->value.object, spc_indirect_data)) {
    return fail(Kind::corrupt, "the signed attribute contentType is of another type than the content");
  }
  TRY(const ASN1_TYPE* digest, attribute(signer, NID_pkcs9_messageDigest, V_ASN1_OCTET_STRING));
  TRY(const ByteView message, without_header(content));
  TRY(const PeDigest wanted, sha256_of(message));
  if (!std::ranges::equal(bytes_of(digest->value.octet_string), wanted)) {
    return fail(Kind::untrusted, "the signed attribute messageDigest is not of this content");
  }
  return base::ok();
}

Result<Bytes> encode_attributes(const PKCS7_SIGNER_INFO& signer) {
  unsigned char* raw = nullptr;
  // In the order in which they stand, as a SET: the tag that the digest is over differs from the one in the message.
  const int size =
      ASN1_item_i2d(reinterpret_cast<const ASN1_VALUE*>(signer.auth_attr), &raw, ASN1_ITEM_rptr(PKCS7_ATTR_VERIFY));
  const OpensslOctets owned(raw);
  if (size <= 0) return fail_openssl(Kind::io, "encoding the signed attributes");
  const ByteView bytes = std::as_bytes(std::span(raw, static_cast<std::size_t>(size)));
  return Bytes(bytes.begin(), bytes.end());
}

bool carries(const PKCS7_SIGNED& data, const Certificate& certificate) {
  for (int i = 0; i < sk_X509_num(data.cert); ++i) {
    if (X509_cmp(sk_X509_value(data.cert, i), certificate.handle()) == 0) return true;
  }
  return false;
}

/// The message without the fill behind it.
Result<ByteView> without_fill(ByteView message) {
  const unsigned char* at = octets(message);
  long length = 0;
  int tag = 0;
  int tag_class = 0;
  const int form = ASN1_get_object(&at, &length, &tag, &tag_class, static_cast<long>(message.size()));
  if ((form & 0x81) != 0) return fail_openssl(Kind::corrupt, "no PKCS#7 signature");
  const auto size = static_cast<std::size_t>(at - octets(message)) + static_cast<std::size_t>(length);
  const ByteView fill = message.subspan(size);
  if (fill.size() >= certificate_table_alignment ||
      !std::ranges::all_of(fill, [](std::byte byte) { return byte == std::byte{0}; })) {
    return fail(Kind::corrupt, std::to_string(fill.size()) + " bytes follow the PKCS#7 signature");
  }
  return message.first(size);
}

/// Takes over `content` when it succeeds.
bool set_content(PKCS7* message, Pkcs7Ptr content) {
  if (!content || PKCS7_set_content(message, content.get()) != 1) return false;
  (void)content.release();
  return true;
}

bool add_content_type(PKCS7_SIGNER_INFO* signer, const PKCS7* message) {
  ObjectPtr type(OBJ_dup(message->d.sign->contents->type));
  if (!type || PKCS7_add_attrib_content_type(signer, type.get()) != 1) return false;
  (void)type.release();
  return true;
}

}  // namespace

Result<Bytes> make_pe_signature(const PeDigest& digest, const verity::PrivateKey& key, const Certificate& certificate) {
  const std::string frame = "signing the PE digest " + base::to_hex(digest);
  const std::string info = content_info(digest);
  const unsigned char* at = octets(base::bytes_of(info));
  Pkcs7Ptr content(d2i_PKCS7(nullptr, &at, static_cast<long>(info.size())));
  const Pkcs7Ptr message(PKCS7_new());
  if (!message || PKCS7_set_type(message.get(), NID_pkcs7_signed) != 1 ||
      !set_content(message.get(), std::move(content))) {
    return fail_openssl(Kind::io, frame);
  }
  TRY(const ByteView content_octets, without_header(bytes_of(message->d.sign->contents->d.other->value.sequence)));
  TRY(const PeDigest content_digest, sha256_of(content_octets), frame);
  PKCS7_SIGNER_INFO* signer =
      PKCS7_add_signature(message.get(), certificate.handle(), key.handle(), EVP_sha256());  // owned by the message
  // In this order, which is that of a SET in DER: the shorter one first.
  if (signer == nullptr || !add_content_type(signer, message.get()) ||
      PKCS7_add1_attrib_digest(signer, openssl::octets(content_digest), static_cast<int>(content_digest.size())) != 1 ||
      PKCS7_add_certificate(message.get(), certificate.handle()) != 1 || PKCS7_SIGNER_INFO_sign(signer) != 1) {
    return fail_openssl(Kind::io, frame);
  }
  return openssl::encode_pkcs7(message.get());
}

Result<Certificate> check_pe_signature(const PeDigest& digest, ByteView message, std::span<const Certificate> trusted) {
  TRY(const ByteView exact, without_fill(message));
  TRY(const Pkcs7Ptr signature, openssl::decode_pkcs7(exact));
  TRY(const ByteView content, signed_content_of(*signature));
  const PKCS7_SIGNED& data = *signature->d.sign;
  TRY(STACK_OF(PKCS7_SIGNER_INFO)* const signers, openssl::signers_of(data));
  if (const int count = sk_PKCS7_SIGNER_INFO_num(signers); count != 1) {
    return fail(Kind::unsupported, std::to_string(count) + " signers in one signature; Authenticode has one");
  }
  const PKCS7_SIGNER_INFO& signer = *sk_PKCS7_SIGNER_INFO_value(signers, 0);
  if (openssl::algorithm_of(signer.digest_alg) != NID_sha256) {
    return fail(Kind::unsupported, "the signer's digest algorithm " + openssl::display(signer.digest_alg->algorithm) +
                                       "; SHA-256 is wanted");
  }
  if (signer.unauth_attr != nullptr) {
    return fail(Kind::unsupported, "the signature has attributes that are not signed, such as a time stamp");
  }
  TRY_DO(check_content(content, digest));
  TRY_DO(check_attributes(signer, content));
  TRY(const Bytes attributes, encode_attributes(signer));
  TRY(Certificate certificate, openssl::check_signer(signer, attributes, "this image", trusted));
  if (!carries(data, certificate)) {
    return fail(Kind::untrusted, "the signature does not carry the certificate of " + certificate.subject() +
                                     ", where the firmware would look for it");
  }
  return certificate;
}

Result<std::string> claimed_signer(ByteView message) {
  TRY(const ByteView exact, without_fill(message));
  TRY(const Pkcs7Ptr signature, openssl::decode_pkcs7(exact));
  TRY_DO(signed_content_of(*signature));
  const PKCS7_SIGNED& data = *signature->d.sign;
  TRY(STACK_OF(PKCS7_SIGNER_INFO)* const signers, openssl::signers_of(data));
  const PKCS7_ISSUER_AND_SERIAL* who = sk_PKCS7_SIGNER_INFO_value(signers, 0)->issuer_and_serial;
  if (who == nullptr) return fail(Kind::corrupt, "a signer without a name");
  for (int i = 0; i < sk_X509_num(data.cert); ++i) {
    const X509* certificate = sk_X509_value(data.cert, i);
    if (X509_NAME_cmp(X509_get_issuer_name(certificate), who->issuer) == 0 &&
        ASN1_INTEGER_cmp(X509_get0_serialNumber(certificate), who->serial) == 0) {
      return openssl::display(X509_get_subject_name(certificate));
    }
  }
  return "number " + openssl::display(who->serial) + " of " + openssl::display(who->issuer);
}

}  // namespace image
