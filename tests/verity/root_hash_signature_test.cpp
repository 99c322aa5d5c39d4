#include "verity/root_hash_signature.hpp"

#include <array>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <openssl/err.h>

#include "tests/support/matchers.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/verity/signature_data.hpp"

namespace {

using base::Bytes;
using base::Kind;
using signature_data::certificate;
using signature_data::certificate_path;
using signature_data::corpus;
using signature_data::key;
using signature_data::key_path;
using signature_data::openssl;
using signature_data::root;
using support::FailsWith;
using support::Holds;
using support::Succeeds;
using support::TemporaryDirectory;
using testing::HasSubstr;
using testing::Property;
using verity::Certificate;
using verity::sign_root_hash;
using verity::verify_root_hash_signature;

std::vector<Certificate> trusting(std::initializer_list<const char*> names) {
  std::vector<Certificate> certificates;
  for (const char* name : names) certificates.push_back(certificate(name));
  return certificates;
}

auto signed_by(const char* name) {
  return Holds(Property(&Certificate::fingerprint, certificate(name).fingerprint()));
}

/// What openssl(1) makes of the same input; `options` come last.
Bytes signed_by_openssl(const std::string& name, std::vector<std::string> options = {}) {
  std::vector<std::string> arguments{"smime",
                                     "-sign",
                                     "-nocerts",
                                     "-noattr",
                                     "-binary",
                                     "-outform",
                                     "der",
                                     "-md",
                                     "sha256",
                                     "-inkey",
                                     key_path(name),
                                     "-signer",
                                     certificate_path(name)};
  arguments.insert(arguments.end(), options.begin(), options.end());
  const std::string der = openssl(arguments, root().hex());
  const base::ByteView bytes = base::bytes_of(der);
  return {bytes.begin(), bytes.end()};
}

TEST(SignRootHash, GivesTheBytesOfOpensslsSmimeForRsa) {
  for (const char* name : {"rsa-2048", "rsa-3072"}) {
    EXPECT_THAT(sign_root_hash(root(), key(name), certificate(name)), Holds(signed_by_openssl(name))) << name;
  }
  EXPECT_THAT(sign_root_hash(root(), key("rsa-2048"), certificate("rsa-2048")),
              Holds(corpus("signature_pkcs7/valid-rsa-2048.der")));
}

TEST(SignRootHash, MakesWhatOpensslsSmimeVerifies) {
  for (const char* name : {"rsa-2048", "rsa-3072", "p256", "p384"}) {
    const auto der = sign_root_hash(root(), key(name), certificate(name));
    ASSERT_THAT(der, Succeeds()) << name;
    const TemporaryDirectory directory;
    const std::string content = directory.write("roothash", root().hex());
    const std::string output = openssl({"smime", "-verify", "-binary", "-inform", "der", "-in",
                                        directory.write("signature.der", base::text_of(*der)), "-content", content,
                                        "-certfile", certificate_path(name), "-nointern", "-noverify"});
    EXPECT_EQ(output, root().hex()) << name;
  }
}

TEST(SignRootHash, RefusesAKeyOfAnotherCertificate) {
  EXPECT_THAT(sign_root_hash(root(), key("impostor-rsa-2048"), certificate("rsa-2048")),
              FailsWith(Kind::invalid_input, HasSubstr("does not belong to the certificate of CN=")));
  EXPECT_THAT(sign_root_hash(root(), key("p256"), certificate("rsa-2048")),
              FailsWith(Kind::invalid_input, HasSubstr("does not belong to the certificate of CN=")));
}

TEST(VerifyRootHashSignature, AcceptsWhatOpensslSigns) {
  const auto trusted = trusting({"rsa-3072", "p384", "rsa-2048", "p256"});
  for (const char* name : {"rsa-2048", "rsa-3072", "p256", "p384"}) {
    EXPECT_THAT(verify_root_hash_signature(root(), signed_by_openssl(name), trusted), signed_by(name)) << name;
  }
}

TEST(VerifyRootHashSignature, AcceptsTheOtherDigestsAndAnEmbeddedCertificateThatIsTrustedAnyway) {
  for (const char* file : {"valid-sha384.der", "valid-sha512.der", "valid-with-certificate.der"}) {
    EXPECT_THAT(
        verify_root_hash_signature(root(), corpus(std::string("signature_pkcs7/") + file), trusting({"rsa-2048"})),
        signed_by("rsa-2048"))
        << file;
  }
}

TEST(VerifyRootHashSignature, DemandsEverySignerAmongTheTrusted) {
  const Bytes der = corpus("signature_pkcs7/two-signers.der");
  EXPECT_THAT(verify_root_hash_signature(root(), der, trusting({"rsa-2048", "p256"})), Succeeds());
  for (const char* only : {"rsa-2048", "p256"}) {
    EXPECT_THAT(verify_root_hash_signature(root(), der, trusting({only})),
                FailsWith(Kind::untrusted, HasSubstr("not among the 1 trusted")))
        << only;
  }
}

TEST(VerifyRootHashSignature, TellsCertificatesWithOneIssuerAndSerialNumberApart) {
  const auto trusted = trusting({"impostor-rsa-2048", "rsa-2048"});
  EXPECT_THAT(verify_root_hash_signature(root(), corpus("signature_pkcs7/valid-rsa-2048.der"), trusted),
              signed_by("rsa-2048"));
  EXPECT_THAT(verify_root_hash_signature(root(), corpus("signature_pkcs7/impostor.der"), trusted),
              signed_by("impostor-rsa-2048"));
}

TEST(VerifyRootHashSignature, GoesOnToTheNextCertificateOfThatNameWhenTheKeyIsOfAnotherKind) {
  const TemporaryDirectory directory;
  const std::string path = directory.path("namesake.pem");
  openssl({"req", "-x509", "-new", "-key", key_path("p256"), "-set_serial", "1", "-out", path, "-subj",
           "/CN=Keelson test only, never trust: rsa-2048"});
  const std::vector<Certificate> namesakes{verity::read_certificate(path).value(), certificate("rsa-2048")};
  const Bytes der = corpus("signature_pkcs7/valid-rsa-2048.der");
  EXPECT_THAT(verify_root_hash_signature(root(), der, namesakes), signed_by("rsa-2048"));
  EXPECT_THAT(verify_root_hash_signature(root(), der, std::span(namesakes).first(1)),
              FailsWith(Kind::unsupported, HasSubstr("rsaEncryption with the digest sha256 and the key of CN=")));
}

TEST(VerifyRootHashSignature, AsksNoClock) {
  const TemporaryDirectory directory;
  const std::string path = directory.path("expired.pem");
  const std::string request = directory.path("request.pem");
  openssl({"req", "-new", "-key", key_path("p256"), "-subj", "/CN=expired", "-out", request});
  openssl({"x509", "-req", "-in", request, "-key", key_path("p256"), "-days", "0", "-out", path});
  base::Command judge;
  judge.argv = {"openssl", "x509", "-in", path, "-noout", "-checkend", "0"};
  const auto verdict = base::run(judge);
  ASSERT_THAT(verdict, Holds(testing::Field(&base::CommandResult::output, HasSubstr("will expire"))));

  const Certificate expired = verity::read_certificate(path).value();
  const auto der = sign_root_hash(root(), key("p256"), expired);
  ASSERT_THAT(der, Succeeds());
  EXPECT_THAT(verify_root_hash_signature(root(), *der, std::span(&expired, 1)), Succeeds());
}

TEST(VerifyRootHashSignature, IsAMistakeWithoutATrustedCertificate) {
  for (const char* file : {"valid-rsa-2048.der", "valid-with-certificate.der", "zero-signers.der", "empty"}) {
    EXPECT_THAT(verify_root_hash_signature(root(), corpus(std::string("signature_pkcs7/") + file), {}),
                FailsWith(Kind::invalid_input, HasSubstr("no trusted certificate was given")))
        << file;
  }
}

TEST(VerifyRootHashSignature, IsOverExactlyOneRootHash) {
  const Bytes der = corpus("signature_pkcs7/valid-rsa-2048.der");
  for (std::size_t i = 0; i < verity::digest_size; ++i) {
    verity::RootHash other = root();
    other.bytes[i] ^= std::byte{0x10};
    EXPECT_THAT(verify_root_hash_signature(other, der, trusting({"rsa-2048"})),
                FailsWith(Kind::untrusted, HasSubstr("is not one over this root hash")))
        << i;
  }
}

TEST(VerifyRootHashSignature, RefusesEveryTrap) {
  struct Case {
    const char* label;
    const char* file;  // in tests/fuzz/corpus/signature_pkcs7
    const char* trusted;
    Kind kind;
    const char* message;
  };
  const Case cases[] = {
      {"an empty signature (jetkvm/kvm#1262)", "empty", "rsa-2048", Kind::untrusted, "an empty signature"},
      {"no signers (CVE-2020-10759)", "zero-signers.der", "rsa-2048", Kind::untrusted, "has no signers"},
      {"no signers, but a trusted certificate", "zero-signers-with-certificate.der", "rsa-2048", Kind::untrusted,
       "has no signers"},
      {"a stranger's", "valid-rsa-2048.der", "p256", Kind::untrusted,
       "signed with certificate 01 of CN=Keelson test only\\, never trust: rsa-2048, which is not among the 1 trusted"},
      {"a stranger who brings a certificate", "valid-with-certificate.der", "p256", Kind::untrusted, "not among the 1"},
      {"a trusted name, another key", "impostor.der", "rsa-2048", Kind::untrusted, "is not one over this root hash"},
      {"a weak key", "weak-rsa-1024.der", "rsa-2048", Kind::untrusted, "not among the 1 trusted"},
      {"over the digits and a line feed", "over-a-newline-too.der", "rsa-2048", Kind::untrusted,
       "is not one over this root hash"},
      {"one bit of the value flipped", "value-bit-flipped.der", "rsa-2048", Kind::untrusted,
       "is not one over this root hash"},
      {"other numbers in an ECDSA value", "p256-value-changed.der", "p256", Kind::untrusted,
       "is not one over this root hash"},
      {"an ECDSA value that is none", "p256-value-is-no-der.der", "p256", Kind::corrupt, "value cannot be read"},
      {"a byte behind it", "trailing-bytes.der", "rsa-2048", Kind::corrupt, "1 bytes follow"},
      {"the same signature twice", "twice.der", "rsa-2048", Kind::corrupt, "415 bytes follow"},
      {"cut short", "cut-short.der", "rsa-2048", Kind::corrupt, "no PKCS#7 signature"},
      {"BER with an open end", "indefinite-length-ber.der", "rsa-2048", Kind::corrupt, "is not in DER"},
      {"a signer named by key id (CMS only)", "signer-by-key-id.der", "rsa-2048", Kind::corrupt, "no PKCS#7 signature"},
      {"its content inside", "content-inside.der", "rsa-2048", Kind::unsupported, "carries its own content"},
      {"signed attributes", "signed-attributes.der", "rsa-2048", Kind::unsupported, "has signed attributes"},
      {"SHA-1", "digest-sha1.der", "rsa-2048", Kind::unsupported, "the digest algorithm sha1"},
      {"MD5", "digest-md5.der", "rsa-2048", Kind::unsupported, "the digest algorithm md5"},
      {"SHA-224", "digest-sha224.der", "rsa-2048", Kind::unsupported, "the digest algorithm sha224"},
      {"PSS padding", "padding-pss.der", "rsa-2048", Kind::unsupported, "the signature algorithm rsassaPss"},
      {"another version", "version-2.der", "rsa-2048", Kind::unsupported, "version 1 is wanted"},
      {"another version of the signer's part", "signer-version-2.der", "rsa-2048", Kind::unsupported,
       "version 1 is wanted"},
      {"parameters for SHA-256", "digest-parameters.der", "rsa-2048", Kind::unsupported, "takes no parameters"},
      {"parameters for RSA", "rsa-parameters.der", "rsa-2048", Kind::unsupported, "takes no parameters"},
      {"an envelope", "envelope.der", "rsa-2048", Kind::unsupported, "of the type pkcs7-envelopedData"},
      {"signed data without any (CVE-2015-0289)", "content-missing.der", "rsa-2048", Kind::unsupported,
       "signed data is wanted"},
  };
  for (const Case& c : cases) {
    EXPECT_THAT(
        verify_root_hash_signature(root(), corpus(std::string("signature_pkcs7/") + c.file), trusting({c.trusted})),
        FailsWith(c.kind, HasSubstr(c.message)))
        << c.label;
  }
}

TEST(VerifyRootHashSignature, RefusesMoreBytesThanTheKernelTakes) {
  const Bytes der(verity::max_signature_size + 1, std::byte{0x30});
  EXPECT_THAT(verify_root_hash_signature(root(), der, trusting({"rsa-2048"})),
              FailsWith(Kind::unsupported, HasSubstr("32768 bytes; the kernel takes 32767")));
}

TEST(VerifyRootHashSignature, RefusesASwarmOfSigners) {
  std::vector<std::string> more;
  for (int i = 1; i < 17; ++i)
    more.insert(more.end(), {"-signer", certificate_path("p256"), "-inkey", key_path("p256")});
  const auto trusted = trusting({"p256"});
  EXPECT_THAT(verify_root_hash_signature(root(), signed_by_openssl("p256", more), trusted),
              FailsWith(Kind::unsupported, HasSubstr("17 signers; 16 are allowed")));
  more.resize(more.size() - 4);
  EXPECT_THAT(verify_root_hash_signature(root(), signed_by_openssl("p256", more), trusted), Succeeds());
}

TEST(VerifyRootHashSignature, RefusesEveryChangedByte) {
  const auto trusted = trusting({"p256"});
  const Bytes der = corpus("signature_pkcs7/valid-p256.der");
  ASSERT_THAT(verify_root_hash_signature(root(), der, trusted), Succeeds());
  // `openssl asn1parse`: bytes 23 to 39 list the digests that the signers use, for readers in one pass. Nobody needs
  // it.
  const auto unread = [](std::size_t i) { return i >= 23 && i < 40; };
  for (std::size_t i = 0; i < der.size(); ++i) {
    if (unread(i)) continue;
    for (unsigned flip = 1; flip < 256; ++flip) {
      Bytes changed = der;
      changed[i] ^= static_cast<std::byte>(flip);
      const auto verdict = verify_root_hash_signature(root(), changed, trusted);
      EXPECT_FALSE(verdict.has_value()) << "byte " << i << " changed by " << flip;
    }
  }
}

TEST(VerifyRootHashSignature, IsNotMisledByAStaleErrorQueueAndLeavesNone) {
  ERR_raise(ERR_LIB_PEM, ERR_R_INTERNAL_ERROR);
  EXPECT_THAT(verify_root_hash_signature(root(), corpus("signature_pkcs7/valid-p256.der"), trusting({"p256"})),
              signed_by("p256"));
  EXPECT_EQ(ERR_peek_error(), 0U);
  ERR_raise(ERR_LIB_PEM, ERR_R_INTERNAL_ERROR);
  EXPECT_THAT(verify_root_hash_signature(root(), corpus("signature_pkcs7/cut-short.der"), trusting({"p256"})),
              FailsWith(Kind::corrupt, testing::Not(HasSubstr("internal error"))));
  EXPECT_EQ(ERR_peek_error(), 0U);
}

}  // namespace
