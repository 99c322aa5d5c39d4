#include "verity/openssl.hpp"

#include <array>
#include <climits>
#include <utility>

#include <openssl/asn1.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/objects.h>

namespace verity::openssl {

using base::Kind;

namespace {

constexpr std::size_t max_display = 160;

std::string shortened(std::string text) {
  if (text.size() > max_display) {
    text.resize(max_display);
    text += "...";
  }
  return text;
}

void openssl_free_text(char* text) {
  OPENSSL_free(text);
}
using OpensslText = base::Owned<char, &openssl_free_text>;
using BigNumber = base::Owned<BIGNUM, &BN_free>;

/// Takes the oldest error from the queue; empty when there is none.
std::string next_error() {
  const char* detail = nullptr;
  int flags = 0;
  const unsigned long code = ERR_get_error_all(nullptr, nullptr, nullptr, &detail, &flags);
  if (code == 0) return "";
  const char* reason = ERR_reason_error_string(code);
  std::string text = reason != nullptr ? reason : "error " + std::to_string(code);
  if ((flags & ERR_TXT_STRING) != 0 && detail != nullptr && *detail != '\0') text += " (" + std::string(detail) + ")";
  return text;
}

}  // namespace

CleanQueue::CleanQueue() {
  ERR_clear_error();
}

CleanQueue::~CleanQueue() {
  ERR_clear_error();
}

std::unexpected<base::Error> fail_openssl(Kind kind, std::string what) {
  std::string text;
  for (std::string next = next_error(); !next.empty(); next = next_error()) {
    if (!text.empty()) text += ", ";
    text += next;
  }
  if (text.empty()) return base::fail(kind, std::move(what));
  return std::unexpected(base::Error(kind, "OpenSSL says: " + shortened(std::move(text))).while_doing(std::move(what)));
}

int refuse_passphrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

base::Result<BioPtr> reader_of(base::ByteView bytes) {
  if (bytes.size() > INT_MAX) return base::fail(Kind::invalid_input, "more than 2 GiB for OpenSSL to read");
  BioPtr reader(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())));
  if (!reader) return fail_openssl(Kind::no_space, "opening a buffer for OpenSSL");
  return reader;
}

std::string display(const X509_NAME* name) {
  const BioPtr text(BIO_new(BIO_s_mem()));
  if (!text || X509_NAME_print_ex(text.get(), name, 0, XN_FLAG_RFC2253) < 0) return "(unprintable name)";
  char* start = nullptr;
  const long size = BIO_get_mem_data(text.get(), &start);
  return size > 0 ? shortened(std::string(start, static_cast<std::size_t>(size))) : "(empty name)";
}

std::string display(const ASN1_INTEGER* serial) {
  const BigNumber number(ASN1_INTEGER_to_BN(serial, nullptr));
  const OpensslText digits(number ? BN_bn2hex(number.get()) : nullptr);
  return digits ? shortened(digits.get()) : "(unprintable number)";
}

std::string display(const ASN1_OBJECT* object) {
  std::array<char, 80> text{};
  if (OBJ_obj2txt(text.data(), static_cast<int>(text.size()), object, 0) <= 0) return "(unprintable identifier)";
  return text.data();
}

int algorithm_of(const X509_ALGOR* identifier) {
  const ASN1_OBJECT* object = nullptr;
  X509_ALGOR_get0(&object, nullptr, nullptr, identifier);
  return object != nullptr ? OBJ_obj2nid(object) : NID_undef;
}

}  // namespace verity::openssl
