#include "image/authenticode.hpp"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <openssl/err.h>

#include "image/certificate_table.hpp"
#include "image/pe.hpp"
#include "image/uki.hpp"
#include "tests/image/pe_data.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/verity/signature_data.hpp"

namespace {

using base::Bytes;
using base::ByteView;
using base::Kind;
using image::attach_signature;
using image::authenticode_digest;
using image::detach_signature;
using image::sign_pe;
using image::verify_pe;
using pe_data::Contents;
using pe_data::joined;
using pe_data::output_of;
using pe_data::stub;
using pe_data::with;
using signature_data::certificate;
using signature_data::certificate_path;
using signature_data::key;
using signature_data::key_path;
using support::FailsWith;
using support::Holds;
using support::run_program;
using support::Succeeds;
using support::TemporaryDirectory;
using testing::HasSubstr;
using testing::Not;
using testing::Property;
using verity::Certificate;

Bytes uki() {
  return image::assemble_uki(stub(), Contents().parts()).value();
}

Bytes signed_by_us(const Bytes& pe, const char* name = "rsa-2048") {
  return sign_pe(pe, key(name), certificate(name)).value();
}

Bytes signed_by_sbsign(const Bytes& pe, const std::string& name = "rsa-2048") {
  const TemporaryDirectory directory;
  output_of({"sbsign", "--key", key_path(name), "--cert", certificate_path(name), "--output",
             directory.path("signed.efi"), directory.write("unsigned.efi", base::text_of(pe))});
  return pe_data::file(directory.path("signed.efi"));
}

/// Only the certificate, the outside judge's yes or no.
bool sbverify(const Bytes& pe, const std::string& name) {
  const TemporaryDirectory directory;
  return run_program({"sbverify", "--cert", certificate_path(name), directory.write("signed.efi", base::text_of(pe))})
             .exit_status == 0;
}

std::vector<Certificate> trusting(std::initializer_list<const char*> names) {
  std::vector<Certificate> certificates;
  for (const char* name : names) certificates.push_back(certificate(name));
  return certificates;
}

auto by(const char* name) {
  return Holds(Property(&Certificate::fingerprint, certificate(name).fingerprint()));
}

/// The PKCS#7 that sbattach takes off, as openssl lists it.
std::string asn1(const Bytes& pe) {
  const TemporaryDirectory directory;
  output_of(
      {"sbattach", "--detach", directory.path("signature.der"), directory.write("signed.efi", base::text_of(pe))});
  return output_of({"openssl", "asn1parse", "-inform", "der", "-in", directory.path("signature.der")});
}

/// A file with another table of certificates behind it than the one that sign_pe() writes.
Bytes with_table(const Bytes& pe, ByteView table) {
  Bytes file = pe;
  file.resize(base::divide_rounding_up(file.size(), 8) * 8);
  const auto headers = image::read_pe_headers(pe).value();
  base::store_le(&file[headers.certificate_table_entry()], static_cast<std::uint32_t>(file.size()));
  base::store_le(&file[headers.certificate_table_entry() + 4], static_cast<std::uint32_t>(table.size()));
  return joined(file, table);
}

Bytes table_of(const Bytes& pe) {
  const auto headers = image::read_pe_headers(pe).value();
  return {pe.begin() + headers.certificate_table_offset, pe.end()};
}

TEST(SignPe, MakesWhatSbverifyAccepts) {
  for (const Bytes& pe : {uki(), stub(), pe_data::file(pe_data::boot_loader_path)}) {
    for (const char* name : {"rsa-2048", "rsa-3072"}) {
      const auto result = sign_pe(pe, key(name), certificate(name));
      ASSERT_THAT(result, Succeeds());
      EXPECT_TRUE(sbverify(*result, name)) << name;
      EXPECT_FALSE(sbverify(*result, "p384")) << name;
      EXPECT_THAT(verify_pe(*result, trusting({name})), by(name));
    }
  }
}

TEST(SignPe, MakesWhatSbverifyRefusesWhenItIsChanged) {
  Bytes changed = signed_by_us(uki());
  changed[0x13a00] ^= std::byte{1};  // the first byte of the kernel
  EXPECT_FALSE(sbverify(changed, "rsa-2048"));
}

TEST(SignPe, IsWithoutASigningTimeAndSoTheSameEachTime) {
  const Bytes result = signed_by_us(uki());
  EXPECT_EQ(result, signed_by_us(uki()));
  const std::string listing = asn1(result);
  EXPECT_THAT(listing, HasSubstr(":contentType"));
  EXPECT_THAT(listing, HasSubstr(":messageDigest"));
  EXPECT_THAT(listing, Not(HasSubstr(":signingTime")));
  EXPECT_THAT(asn1(signed_by_sbsign(uki())), HasSubstr(":signingTime"));
}

TEST(SignPe, LeavesNothingForSbverifyToWarnOf) {
  const TemporaryDirectory directory;
  const std::string path = directory.write("signed.efi", base::text_of(signed_by_us(uki())));
  const auto judge = run_program({"sbverify", "--cert", certificate_path("rsa-2048"), path});
  EXPECT_EQ(judge.exit_status, 0);
  EXPECT_THAT(judge.errors, Not(HasSubstr("warning")));  // gaps between sections, data behind them
}

TEST(SignPe, RefusesBadInput) {
  EXPECT_THAT(sign_pe(uki(), key("rsa-3072"), certificate("rsa-2048")),
              FailsWith(Kind::invalid_input, HasSubstr("the private key does not belong to the certificate of CN=")));
  EXPECT_THAT(sign_pe(uki(), key("p256"), certificate("rsa-2048")),
              FailsWith(Kind::invalid_input, HasSubstr("the private key does not belong to the certificate of CN=")));
  EXPECT_THAT(sign_pe(signed_by_us(uki()), key("rsa-2048"), certificate("rsa-2048")),
              FailsWith(Kind::invalid_input, HasSubstr("signed already")));
  EXPECT_THAT(sign_pe(support::pattern(100), key("rsa-2048"), certificate("rsa-2048")),
              FailsWith(Kind::corrupt, HasSubstr("signing a PE file: no PE file")));
}

TEST(SignPe, WorksWithEcdsaToo) {
  for (const char* name : {"p256", "p384"}) {
    const Bytes result = signed_by_us(uki(), name);
    EXPECT_TRUE(sbverify(result, name)) << name;
    EXPECT_THAT(verify_pe(result, trusting({name})), by(name));
  }
}

TEST(AuthenticodeDigest, IsTheOneThatSbsignSigns) {
  for (const Bytes& pe : {uki(), stub(), pe_data::file(pe_data::boot_loader_path)}) {
    const auto digest = authenticode_digest(pe);
    ASSERT_THAT(digest, Succeeds());
    const Bytes theirs = signed_by_sbsign(pe);
    std::string hex = base::to_hex(*digest);
    for (char& c : hex) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    EXPECT_THAT(asn1(theirs), HasSubstr("OCTET STRING      [HEX DUMP]:" + hex));
    EXPECT_THAT(authenticode_digest(theirs), Holds(*digest));
    EXPECT_THAT(authenticode_digest(signed_by_us(pe)), Holds(*digest));
  }
}

TEST(VerifyPe, AcceptsWhatSbsignSigns) {
  for (const Bytes& pe : {uki(), stub(), pe_data::file(pe_data::boot_loader_path)}) {
    for (const char* name : {"rsa-2048", "rsa-3072", "p256"}) {
      EXPECT_THAT(verify_pe(signed_by_sbsign(pe, name), trusting({"p384", name})), by(name)) << name;
    }
  }
}

TEST(VerifyPe, TakesAnyOfSeveralSignaturesAsTheFirmwareDoes) {
  const Bytes both = signed_by_sbsign(signed_by_us(uki(), "rsa-2048"), "rsa-3072");  // sbsign adds a second one
  EXPECT_THAT(verify_pe(both, trusting({"rsa-2048"})), by("rsa-2048"));
  EXPECT_THAT(verify_pe(both, trusting({"rsa-3072"})), by("rsa-3072"));
  EXPECT_THAT(verify_pe(both, trusting({"p256"})), FailsWith(Kind::untrusted, HasSubstr("not among the 1 trusted")));
  EXPECT_THAT(detach_signature(both), FailsWith(Kind::unsupported, HasSubstr("it carries 2 signatures")));
}

TEST(VerifyPe, RefusesAnImageThatIsNotTheSignedOne) {
  const Bytes good = signed_by_us(uki());
  const auto trusted = trusting({"rsa-2048"});
  const auto headers = image::read_pe_headers(good).value();
  std::vector<std::size_t> places{0x4d, 0x88, 0x98 + 2, 0x98 + 8,
                                  0x3f0};  // DOS stub, time, linker, sizes, behind table
  for (const image::PeSection& section : headers.sections) {
    places.insert(places.end(),
                  {section.raw_offset, section.raw_offset + section.virtual_size / 2, section.raw_end() - 1});
  }
  for (const std::size_t place : places) {
    Bytes changed = good;
    changed[place] ^= std::byte{0x10};
    EXPECT_THAT(verify_pe(changed, trusted), FailsWith(Kind::untrusted, HasSubstr("the signature is of other bytes")))
        << place;
  }
}

TEST(VerifyPe, RefusesEveryChangedByteOfTheHeadersAndTheTableButTheChecksum) {
  const Bytes good = signed_by_us(uki());
  const auto trusted = trusting({"rsa-2048"});
  const auto headers = image::read_pe_headers(good).value();
  const auto check = [&](std::size_t place) {
    Bytes changed = good;
    changed[place] ^= std::byte{0x10};
    const bool checksum = place >= headers.checksum_field() && place < headers.checksum_field() + 4;
    EXPECT_EQ(verify_pe(changed, trusted).has_value(), checksum) << place;
  };
  for (std::size_t place = 0; place < headers.size_of_headers; ++place) check(place);
  for (std::size_t place = headers.certificate_table_offset; place < good.size(); ++place) check(place);
}

TEST(VerifyPe, RefusesEveryTrap) {
  const Bytes plain = uki();
  const Bytes good = signed_by_us(plain);
  const Bytes table = table_of(good);
  const Bytes other = table_of(signed_by_us(stub()));
  const auto pkcs7 = [&](std::vector<std::string> options) {
    options.insert(options.begin(),
                   {"openssl", "cms", "-sign", "-binary", "-outform", "der", "-signer", certificate_path("rsa-2048"),
                    "-inkey", key_path("rsa-2048"), "-in", KEELSON_TEST_DATA "/keys/README.md", "-nodetach"});
    const std::string der = output_of(options);
    return image::make_certificate_table(base::bytes_of(der));
  };
  const std::string no_signers = output_of({"openssl", "crl2pkcs7", "-nocrl", "-outform", "der"});
  struct Case {
    const char* label;
    Bytes file;
    Kind kind;
    const char* message;
  };
  const Case cases[] = {
      {"unsigned", plain, Kind::untrusted, "it carries no signature"},
      {"a stranger's", signed_by_us(plain, "rsa-3072"), Kind::untrusted, "which is not among the 1 trusted"},
      {"a trusted name, another key", signed_by_us(plain, "impostor-rsa-2048"), Kind::untrusted,
       "is not one over this image"},
      {"another file's signature", with_table(plain, other), Kind::untrusted, "the signature is of other bytes"},
      {"bytes behind the table", joined(good, base::bytes_of("12345678")), Kind::corrupt,
       "does not end where the file does"},
      {"zeros behind the table", joined(good, Bytes(8)), Kind::corrupt, "does not end where the file does"},
      {"zeros in the table", with_table(plain, joined(table, Bytes(8))), Kind::corrupt,
       "entry 2 of the certificate table: dwLength of 0 bytes"},
      {"four bytes in the table", with_table(plain, joined(table, Bytes(4))), Kind::corrupt,
       "entry 2 of the certificate table: 4 bytes are too few"},
      {"an entry beyond the table", with_table(plain, with(table, 0, 0xfffffff8U)), Kind::corrupt,
       "dwLength of 4294967288 bytes"},
      {"an entry without content", with_table(plain, with(Bytes(8), 0, 8U)), Kind::corrupt, "dwLength of 8 bytes"},
      {"an X.509 certificate", with_table(plain, with<std::uint16_t>(table, 6, 1)), Kind::unsupported,
       "wCertificateType 1"},
      {"revision 1", with_table(plain, with<std::uint16_t>(table, 4, 0x100)), Kind::unsupported, "wRevision 256"},
      {"a signature larger than any", with_table(plain, image::make_certificate_table(Bytes(65537))), Kind::unsupported,
       "a signature of 65537 bytes; 65536 are allowed"},
      {"noise", with_table(plain, image::make_certificate_table(support::pattern(100))), Kind::corrupt, "PKCS#7"},
      {"no signers (CVE-2020-10759)", with_table(plain, image::make_certificate_table(base::bytes_of(no_signers))),
       Kind::unsupported, "the digest algorithm is not SHA-256 alone"},
      {"of plain data", with_table(plain, pkcs7({"-md", "sha256", "-nosmimecap"})), Kind::unsupported,
       "something else than Authenticode's"},
      {"of plain data with SHA-1", with_table(plain, pkcs7({"-md", "sha1"})), Kind::unsupported, "not SHA-256 alone"},
  };
  for (const Case& c : cases) {
    EXPECT_THAT(verify_pe(c.file, trusting({"rsa-2048"})), FailsWith(c.kind, HasSubstr(c.message))) << c.label;
  }
  EXPECT_THAT(verify_pe(good, {}), FailsWith(Kind::invalid_input, HasSubstr("no trusted certificate was given")));
}

TEST(VerifyPe, AllowsSeventeenSignaturesToNobody) {
  const Bytes plain = uki();
  const Bytes table = table_of(signed_by_us(plain));
  Bytes many;
  for (int i = 0; i < 16; ++i) many = joined(std::move(many), table);
  EXPECT_THAT(verify_pe(with_table(plain, many), trusting({"rsa-2048"})), by("rsa-2048"));
  EXPECT_THAT(verify_pe(with_table(plain, joined(many, table)), trusting({"rsa-2048"})),
              FailsWith(Kind::unsupported, HasSubstr("entry 17 of the certificate table: 16 are allowed")));
}

TEST(DetachSignature, GivesTheUnsignedFileAndWhatSbattachDetaches) {
  const Bytes plain = uki();
  for (const Bytes& whole : {signed_by_us(plain), signed_by_sbsign(plain)}) {
    const auto detached = detach_signature(whole);
    ASSERT_THAT(detached, Succeeds());
    EXPECT_EQ(detached->pe, plain);
    const TemporaryDirectory directory;
    output_of(
        {"sbattach", "--detach", directory.path("signature.der"), directory.write("signed.efi", base::text_of(whole))});
    EXPECT_EQ(base::text_of(detached->signature), support::slurp(directory.path("signature.der")));
    EXPECT_THAT(attach_signature(detached->pe, detached->signature), Holds(whole));
  }
}

TEST(DetachSignature, AndSplitUkiTakeAReleaseApartSoThatItCanBePutTogetherAgain) {
  const Bytes whole = signed_by_us(uki());
  const auto detached = detach_signature(whole);
  ASSERT_THAT(detached, Succeeds());
  const auto split = image::split_uki(detached->pe);
  ASSERT_THAT(split, Succeeds());
  const auto again = image::assemble_uki(split->stub, split->parts);
  ASSERT_THAT(again, Succeeds());
  EXPECT_THAT(attach_signature(*again, detached->signature), Holds(whole));
  EXPECT_THAT(image::split_uki(whole), FailsWith(Kind::invalid_input, HasSubstr("detach that first")));
}

TEST(DetachSignature, RefusesWhatAttachingWouldNotMake) {
  const Bytes good = signed_by_us(uki());
  EXPECT_THAT(detach_signature(uki()), FailsWith(Kind::invalid_input, HasSubstr("it carries none")));
  EXPECT_THAT(detach_signature(with(good, 0x98 + 64, 0U)), FailsWith(Kind::unsupported, HasSubstr("checksum")));
}

TEST(AttachSignature, RefusesBadInput) {
  const Bytes good = signed_by_us(uki());
  EXPECT_THAT(attach_signature(good, support::pattern(10)),
              FailsWith(Kind::invalid_input, HasSubstr("signed already")));
  EXPECT_THAT(attach_signature(uki(), {}), FailsWith(Kind::invalid_input, HasSubstr("a signature of 0 bytes")));
  EXPECT_THAT(attach_signature(uki(), Bytes(65537)), FailsWith(Kind::invalid_input, HasSubstr("of 65537 bytes")));
}

TEST(AttachSignature, GivesWhatSbattachGives) {
  for (const Bytes& pe : {uki(), stub()}) {
    const auto detached = detach_signature(signed_by_us(pe)).value();
    const TemporaryDirectory directory;
    const std::string path = directory.write("image.efi", base::text_of(pe));
    output_of({"sbattach", "--attach", directory.write("signature.der", base::text_of(detached.signature)), path});
    EXPECT_THAT(attach_signature(pe, detached.signature), Holds(pe_data::file(path)));
  }
}

TEST(VerifyPe, IsNotMisledByAStaleErrorQueueAndLeavesNone) {
  const Bytes good = signed_by_us(uki());
  ERR_raise(ERR_LIB_PEM, ERR_R_INTERNAL_ERROR);
  EXPECT_THAT(verify_pe(good, trusting({"rsa-2048"})), by("rsa-2048"));
  EXPECT_EQ(ERR_peek_error(), 0U);
}

}  // namespace
