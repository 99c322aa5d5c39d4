#include "image/certificate_table.hpp"

#include <algorithm>
#include <cstdint>
#include <string>

#include "image/authenticode.hpp"

namespace image {

using base::Bytes;
using base::ByteView;
using base::fail;
using base::Kind;
using base::load_le;
using base::Result;
using base::store_le;

namespace {

// WIN_CERTIFICATE
constexpr std::size_t at_length = 0;    // u32, this header included
constexpr std::size_t at_revision = 4;  // u16
constexpr std::size_t at_type = 6;      // u16
constexpr std::size_t header_size = 8;
constexpr std::uint16_t revision_2 = 0x0200;
constexpr std::uint16_t pkcs_signed_data = 0x0002;

std::size_t filled(std::size_t size) {
  return base::divide_rounding_up(size, certificate_table_alignment) * certificate_table_alignment;
}

/// The message of the entry that `table` begins with; the rest of the entry is fill.
Result<ByteView> first_message(ByteView table) {
  if (table.size() < header_size) {
    return fail(Kind::corrupt, std::to_string(table.size()) + " bytes are too few for an entry");
  }
  const std::size_t length = load_le<std::uint32_t>(&table[at_length]);
  if (length <= header_size || filled(length) > table.size()) {
    return fail(Kind::corrupt, "dwLength of " + std::to_string(length) + " bytes; " + std::to_string(table.size()) +
                                   " bytes of the table are left");
  }
  const auto revision = load_le<std::uint16_t>(&table[at_revision]);
  const auto type = load_le<std::uint16_t>(&table[at_type]);
  if (revision != revision_2 || type != pkcs_signed_data) {
    return fail(Kind::unsupported, "wRevision " + std::to_string(revision) + ", wCertificateType " +
                                       std::to_string(type) + "; 512 and 2 (PKCS#7) are wanted");
  }
  if (length - header_size > max_pe_signature_size) {
    return fail(Kind::unsupported, "a signature of " + std::to_string(length - header_size) + " bytes; " +
                                       std::to_string(max_pe_signature_size) + " are allowed");
  }
  const ByteView fill = table.subspan(length, filled(length) - length);
  if (!std::ranges::all_of(fill, [](std::byte byte) { return byte == std::byte{0}; })) {
    return fail(Kind::corrupt, "the fill behind it is not zero");
  }
  return table.subspan(header_size, length - header_size);
}

}  // namespace

Result<std::vector<ByteView>> read_certificate_table(ByteView table) {
  std::vector<ByteView> messages;
  do {
    const std::string frame = "entry " + std::to_string(messages.size() + 1) + " of the certificate table";
    if (messages.size() == max_pe_signatures) {
      return fail(Kind::unsupported, frame + ": " + std::to_string(max_pe_signatures) + " are allowed");
    }
    TRY(const ByteView message, first_message(table), frame);
    messages.push_back(message);
    table = table.subspan(filled(header_size + message.size()));
  } while (!table.empty());
  return messages;
}

Bytes make_certificate_table(ByteView pkcs7) {
  Bytes table(filled(header_size + pkcs7.size()));
  store_le(&table[at_length], static_cast<std::uint32_t>(header_size + pkcs7.size()));
  store_le(&table[at_revision], revision_2);
  store_le(&table[at_type], pkcs_signed_data);
  std::ranges::copy(pkcs7, table.begin() + header_size);
  return table;
}

}  // namespace image
