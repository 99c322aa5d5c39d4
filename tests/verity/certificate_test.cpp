#include "verity/certificate.hpp"

#include <string>

#include <gmock/gmock.h>

#include "base/file.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/verity/signature_data.hpp"

namespace {

using base::Kind;
using signature_data::certificate;
using signature_data::certificate_path;
using signature_data::key_path;
using signature_data::openssl;
using support::FailsWith;
using support::Holds;
using support::Succeeds;
using support::TemporaryDirectory;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Property;
using verity::Certificate;

std::string content_of(const std::string& path) {
  return base::read_file(path, verity::max_certificate_file_size).value();
}

auto has_fingerprint_of(const Certificate& other) {
  return Property(&Certificate::fingerprint, other.fingerprint());
}

TEST(Certificate, HasTheSha256OfItsDerFormAsFingerprint) {
  const std::string der = KEELSON_TEST_DATA "/keys/rsa-2048.crt.der";
  EXPECT_EQ(certificate("rsa-2048").fingerprint(), signature_data::run({"sha256sum", der}).substr(0, 64));
  EXPECT_THAT(verity::read_certificate(der), Holds(has_fingerprint_of(certificate("rsa-2048"))));
}

TEST(Certificate, ShowsWhomItWasIssuedTo) {
  EXPECT_EQ(certificate("p256").subject(), "CN=Keelson test only\\, never trust: p256");
}

TEST(Certificate, EscapesWhatATerminalWouldObey) {
  const TemporaryDirectory directory;
  const std::string path = directory.path("crt.pem");
  openssl(
      {"req", "-x509", "-new", "-key", key_path("rsa-2048"), "-subj", "/CN=\x1b[2J\xc3\xa4", "-utf8", "-out", path});
  EXPECT_THAT(verity::read_certificate(path), Holds(Property(&Certificate::subject, "CN=\\1B[2J\\C3\\A4")));
}

TEST(Certificates, StandInOnePemFileInTheirOrder) {
  const TemporaryDirectory directory;
  const std::string path =
      directory.write("trusted.pem", "the release key\n" + content_of(certificate_path("p384")) + "\nthe old one\n" +
                                         content_of(certificate_path("rsa-2048")));
  EXPECT_THAT(verity::read_certificates(path),
              Holds(ElementsAre(has_fingerprint_of(certificate("p384")), has_fingerprint_of(certificate("rsa-2048")))));
  EXPECT_THAT(verity::read_certificate(path),
              FailsWith(Kind::invalid_input, HasSubstr("holds 2 certificates; one is wanted")));
}

TEST(Certificates, AreRefusedWhenOneCannotBeUsed) {
  const std::string good = content_of(certificate_path("rsa-2048"));
  const std::string der = content_of(KEELSON_TEST_DATA "/keys/rsa-2048.crt.der");
  std::string encrypted = good;
  encrypted.insert(encrypted.find('\n') + 1,
                   "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\n");
  struct Case {
    const char* label;
    std::string content;
    const char* message;
  };
  const Case cases[] = {
      {"an empty file", "", "no certificate in it"},
      {"text", "hello\n", "no certificate in it"},
      {"a private key", content_of(key_path("rsa-2048")), "no certificate in it"},
      {"a PEM block that is cut short", good.substr(0, good.size() / 2), "certificate 1: an unreadable PEM"},
      {"a good one, then one cut short", good + good.substr(0, good.size() / 2), "certificate 2: an unreadable PEM"},
      {"PEM around something else", "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", "unreadable PEM"},
      {"an encrypted PEM block", encrypted, "certificate 1: a PEM certificate is encrypted"},
      {"DER that is cut short", der.substr(0, der.size() - 1), "no readable DER certificate"},
      {"bytes behind DER", der + "x", "1 bytes follow the DER certificate"},
      {"two in DER", der + der, "826 bytes follow the DER certificate"},
      {"RSA with 1024 bits", content_of(certificate_path("rsa-1024")), "an RSA key of 1024 bits"},
      {"RSA with a length unknown to the kernel", content_of(certificate_path("rsa-2560")), "an RSA key of 2560 bits"},
      {"a curve that is not allowed", content_of(certificate_path("p521")), "on the curve secp521r1"},
      {"another kind of key", content_of(certificate_path("ed25519")), "a key of the type ED25519"},
      {"a good one, then a weak one", good + content_of(certificate_path("rsa-1024")), "an RSA key of 1024 bits"},
  };
  for (const Case& c : cases) {
    EXPECT_THAT(verity::parse_certificates(base::bytes_of(c.content)),
                FailsWith(Kind::invalid_input, HasSubstr(c.message)))
        << c.label;
  }
}

TEST(Certificates, AreRefusedWithCurvesInFormsThatTheKernelCannotRead) {
  struct Case {
    const char* label;
    std::vector<std::string> options;
    const char* message;
  };
  const Case cases[] = {
      {"parameters spelled out", {"-param_enc", "explicit"}, "spells out its curve's parameters"},
      {"a compressed point", {"-conv_form", "compressed"}, "a compressed elliptic curve point"},
  };
  for (const Case& c : cases) {
    const TemporaryDirectory directory;
    std::vector<std::string> generate{
        "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", directory.path("plain.pem")};
    openssl(generate);
    std::vector<std::string> convert{"ec", "-in", directory.path("plain.pem"), "-out", directory.path("key.pem")};
    convert.insert(convert.end(), c.options.begin(), c.options.end());
    openssl(convert);
    openssl({"req", "-x509", "-new", "-key", directory.path("key.pem"), "-subj", "/CN=x", "-out",
             directory.path("crt.pem")});
    EXPECT_THAT(verity::read_certificates(directory.path("crt.pem")),
                FailsWith(Kind::invalid_input, AllOf(HasSubstr("crt.pem"), HasSubstr(c.message))))
        << c.label;
  }
}

TEST(Certificates, ComeFromFilesThatExistAndAreSmall) {
  const TemporaryDirectory directory;
  EXPECT_THAT(verity::read_certificates(directory.path("none.pem")), FailsWith(Kind::not_found, HasSubstr("none.pem")));
  const std::string path = directory.write("big.pem", std::string(verity::max_certificate_file_size + 1, ' '));
  EXPECT_THAT(verity::read_certificates(path),
              FailsWith(Kind::invalid_input, HasSubstr("longer than the 65536 bytes")));
}

TEST(PrivateKey, IsReadInEveryPlainPemForm) {
  for (const char* name : {"rsa-2048", "rsa-3072", "rsa-2048-traditional", "p256", "p256-traditional", "p384"}) {
    EXPECT_THAT(verity::read_private_key(key_path(name)), Succeeds()) << name;
  }
}

TEST(PrivateKey, IsRefusedRatherThanAskedAbout) {
  struct Case {
    const char* label;
    std::string content;
    const char* message;
  };
  const std::string good = content_of(key_path("rsa-2048"));
  const Case cases[] = {
      {"PKCS#8 under a passphrase", content_of(key_path("rsa-2048-encrypted")), "the private key is encrypted"},
      {"traditional under one", content_of(key_path("rsa-2048-encrypted-traditional")), "the private key is encrypted"},
      {"an empty file", "", "no readable private key"},
      {"a certificate", content_of(certificate_path("rsa-2048")), "no readable private key"},
      {"cut short", good.substr(0, good.size() / 2), "no readable private key"},
      {"RSA with 1024 bits", content_of(key_path("rsa-1024")), "an RSA key of 1024 bits"},
      {"a length unknown to the kernel", content_of(key_path("rsa-2560")), "an RSA key of 2560 bits"},
      {"a curve that is not allowed", content_of(key_path("p521")), "on the curve secp521r1"},
      {"another kind of key", content_of(key_path("ed25519")), "a key of the type ED25519"},
  };
  for (const Case& c : cases) {
    EXPECT_THAT(verity::parse_private_key(base::bytes_of(c.content)),
                FailsWith(Kind::invalid_input, HasSubstr(c.message)))
        << c.label;
  }
}

TEST(PrivateKey, ErrorsNameTheFile) {
  EXPECT_THAT(verity::read_private_key(key_path("rsa-2048-encrypted")),
              FailsWith(Kind::invalid_input, HasSubstr("rsa-2048-encrypted.key.pem: the private key is encrypted")));
  EXPECT_THAT(verity::read_private_key("/nonexistent/key.pem"),
              FailsWith(Kind::not_found, HasSubstr("/nonexistent/key.pem")));
}

}  // namespace
