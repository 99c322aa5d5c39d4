#include "verity/signature_partition.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/base64.hpp"
#include "base/json.hpp"
#include "verity/root_hash_signature.hpp"

namespace verity {

using base::Bytes;
using base::ByteView;
using base::fail;
using base::Kind;
using base::Result;

namespace {

constexpr const char* root_hash_key = "rootHash";
constexpr const char* fingerprint_key = "certificateFingerprint";
constexpr const char* signature_key = "signature";
constexpr std::size_t digest_digits = 2 * digest_size;

bool is_digest(std::string_view text) {
  const auto lower_case_digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  return text.size() == digest_digits && std::ranges::all_of(text, lower_case_digit);
}

/// The text before the padding, which must be nothing but NUL bytes.
Result<std::string_view> without_padding(ByteView raw) {
  const auto end = std::ranges::find(raw, std::byte{0});
  if (std::ranges::any_of(end, raw.end(), [](std::byte byte) { return byte != std::byte{0}; })) {
    return fail(Kind::corrupt, "there are other bytes than NUL behind the JSON");
  }
  const auto size = static_cast<std::size_t>(end - raw.begin());
  if (size == 0) return fail(Kind::corrupt, "it is empty");
  if (size > max_signature_json_size) {
    return fail(Kind::corrupt, std::to_string(size) + " bytes of JSON; 64 KiB are allowed");
  }
  return base::text_of(raw.first(size));
}

Result<RootHash> root_hash_of(const base::Json& object) {
  TRY(const std::string text, base::json_text(object, root_hash_key));
  if (!is_digest(text)) {
    return fail(Kind::corrupt,
                std::string("the member \"") + root_hash_key + "\" is not 64 lower-case hexadecimal digits");
  }
  return RootHash::parse(text);
}

Result<std::optional<std::string>> fingerprint_of(const base::Json& object) {
  if (!object.contains(fingerprint_key)) return std::nullopt;
  TRY(std::string text, base::json_text(object, fingerprint_key));
  if (!is_digest(text)) {
    return fail(Kind::corrupt,
                std::string("the member \"") + fingerprint_key + "\" is not 64 lower-case hexadecimal digits");
  }
  return text;
}

Result<Bytes> signature_of(const base::Json& object) {
  TRY(const std::string text, base::json_text(object, signature_key));
  TRY(Bytes signature, base::from_base64(text), std::string("the member \"") + signature_key + "\"");
  if (signature.empty() || signature.size() > max_signature_size) {
    return fail(Kind::corrupt, "the signature has " + std::to_string(signature.size()) + " bytes; from 1 to " +
                                   std::to_string(max_signature_size) + " are possible");
  }
  return signature;
}

Result<SignaturePartition> read_object(std::string_view text) {
  TRY(const base::Json object, base::parse_json(text, {.max_bytes = max_signature_json_size}));
  if (!object.is_object()) return fail(Kind::corrupt, "the JSON is not an object");
  SignaturePartition partition;
  TRY(partition.root_hash, root_hash_of(object));
  TRY(partition.certificate_fingerprint, fingerprint_of(object));
  TRY(partition.signature, signature_of(object));
  return partition;
}

}  // namespace

Result<SignaturePartition> SignaturePartition::decode(ByteView raw) {
  const std::string frame = "a verity signature partition";
  TRY(const std::string_view text, without_padding(raw), frame);
  auto partition = read_object(text);
  // The readers below call it invalid input; here it is bytes from a disk, whichever of them objected.
  if (!partition) return fail(Kind::corrupt, frame + ": " + partition.error().message());
  return partition;
}

Result<Bytes> SignaturePartition::encode() const {
  if (signature.empty() || signature.size() > max_signature_size) {
    return fail(Kind::invalid_input, "a signature of " + std::to_string(signature.size()) + " bytes; from 1 to " +
                                         std::to_string(max_signature_size) + " are possible");
  }
  if (certificate_fingerprint && !is_digest(*certificate_fingerprint)) {
    return fail(Kind::invalid_input, "a certificate fingerprint has 64 lower-case hexadecimal digits");
  }
  base::Json object = base::Json::object();
  object[root_hash_key] = root_hash.hex();
  if (certificate_fingerprint) object[fingerprint_key] = *certificate_fingerprint;
  object[signature_key] = base::to_base64(signature);
  const std::string text = object.dump();

  Bytes raw(base::divide_rounding_up(text.size(), signature_partition_alignment) * signature_partition_alignment);
  std::ranges::copy(base::bytes_of(text), raw.begin());
  return raw;
}

}  // namespace verity
