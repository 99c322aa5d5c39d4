#include <algorithm>
#include <vector>

#include "image/authenticode.hpp"
#include "image/pe.hpp"
#include "image/uki.hpp"
#include "tests/fuzz/fuzzer.hpp"

namespace {

const std::vector<verity::Certificate>& trusted() {
  static const std::vector certificates{
      verity::read_certificate(KEELSON_TEST_DATA "/keys/rsa-2048.crt.pem").value(),
      verity::read_certificate(KEELSON_TEST_DATA "/keys/p256.crt.pem").value(),
  };
  return certificates;
}

void check_headers(base::ByteView file, const image::PeHeaders& headers) {
  std::size_t in_sections = 0;
  for (const image::PeSection& section : headers.sections) {
    fuzz::require(image::content_of(section, file).size() <= section.virtual_size, "content is no larger than said");
    in_sections += section.raw_size;
  }
  fuzz::require(headers.size_of_headers + in_sections == headers.end_of_sections(), "sections leave no gaps");
  fuzz::require(headers.end_of_sections() + headers.certificate_table_size <= file.size(), "all of it is in the file");
}

void check_uki(base::ByteView file) {
  const auto split = image::split_uki(file);
  if (!split) return;
  const auto again = image::assemble_uki(split->stub, split->parts);
  fuzz::require(again.has_value() && std::ranges::equal(*again, file), "split and assembled gives the same bytes");
  const auto extended = image::extend_sbat(split->stub, "fuzzer,1,a,b,c,d\n");
  if (!extended) return;
  const auto longer = image::assemble_uki(*extended, split->parts);
  if (!longer) return;
  const auto longer_split = image::split_uki(*longer);
  fuzz::require(longer_split.has_value() && longer_split->stub == *extended, "an extended stub comes back as it was");
}

void check_signature(base::ByteView file) {
  const auto signer = image::verify_pe(file, trusted());
  if (signer) {
    const auto known = [&](const verity::Certificate& one) { return one.fingerprint() == signer->fingerprint(); };
    fuzz::require(std::ranges::any_of(trusted(), known), "the signer is a trusted one");
    static const auto stranger = verity::read_certificate(KEELSON_TEST_DATA "/keys/impostor-rsa-2048.crt.pem").value();
    fuzz::require(!image::verify_pe(file, std::span(&stranger, 1)), "a certificate that did not sign does not verify");
    base::Bytes changed(file.begin(), file.end());
    changed[2] ^= std::byte{1};  // in the DOS header, where nobody but the digest looks
    fuzz::require(!image::verify_pe(changed, trusted()), "a signature is over one file only");
  }
  const auto detached = image::detach_signature(file);
  if (!detached) return;
  const auto again = image::attach_signature(detached->pe, detached->signature);
  fuzz::require(again.has_value() && std::ranges::equal(*again, file), "detached and attached gives the same bytes");
  fuzz::require(image::authenticode_digest(file) == image::authenticode_digest(detached->pe).value(),
                "a signature does not change the digest");
}

}  // namespace

/// Properties: what passes the reader can be read; what split_uki() and detach_signature() take apart can be put
/// together to the same bytes; a signature is by a trusted certificate and over this file.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const base::ByteView file = fuzz::view(data, size);
  const auto headers = image::read_pe_headers(file);
  if (headers) check_headers(file, *headers);
  check_uki(file);
  check_signature(file);
  return 0;
}
