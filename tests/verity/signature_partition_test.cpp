#include "verity/signature_partition.hpp"

#include <span>
#include <string>
#include <string_view>

#include <gmock/gmock.h>

#include "base/base64.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/pattern.hpp"
#include "tests/verity/signature_data.hpp"
#include "verity/root_hash_signature.hpp"

namespace {

using base::Bytes;
using base::Kind;
using signature_data::certificate;
using signature_data::corpus;
using signature_data::root;
using support::FailsWith;
using support::Holds;
using support::Succeeds;
using testing::AllOf;
using testing::Eq;
using testing::Field;
using testing::HasSubstr;
using verity::SignaturePartition;

SignaturePartition example() {
  return {.root_hash = root(),
          .certificate_fingerprint = certificate("rsa-2048").fingerprint(),
          .signature = corpus("signature_pkcs7/valid-rsa-2048.der")};
}

TEST(SignaturePartition, IsEncodedAsOneJsonObjectPaddedTo4096Bytes) {
  SignaturePartition partition = example();
  partition.signature = {std::byte{0x30}, std::byte{0x00}};
  std::string expected =
      R"({"rootHash":"2e534ef0107d592d1706ac38ad58596b85ef3375d360a6d669f974792df5cb5a","certificateFingerprint":")" +
      certificate("rsa-2048").fingerprint() + R"(","signature":"MAA="})";
  expected.resize(4096, '\0');
  const auto raw = partition.encode();
  ASSERT_THAT(raw, Succeeds());
  EXPECT_EQ(base::text_of(*raw), expected);
}

// These are made by a shell script with sha256sum and base64 (tests/fuzz/make_corpus.sh).
TEST(SignaturePartition, IsEncodedAsOthersWriteIt) {
  EXPECT_THAT(example().encode(), Holds(corpus("signature_json/valid")));
  SignaturePartition anonymous = example();
  anonymous.certificate_fingerprint.reset();
  EXPECT_THAT(anonymous.encode(), Holds(corpus("signature_json/valid-without-fingerprint")));
}

TEST(SignaturePartition, IsReadAsOthersWriteIt) {
  EXPECT_THAT(SignaturePartition::decode(corpus("signature_json/valid")), Holds(example()));
  SignaturePartition anonymous = example();
  anonymous.certificate_fingerprint.reset();
  for (const char* file : {"valid-without-fingerprint", "valid-with-unknown-members"}) {
    EXPECT_THAT(SignaturePartition::decode(corpus(std::string("signature_json/") + file)), Holds(anonymous)) << file;
  }
  EXPECT_THAT(SignaturePartition::decode(corpus("signature_json/valid-unpadded")),
              Holds(AllOf(Field(&SignaturePartition::root_hash, Eq(root())),
                          Field(&SignaturePartition::signature, testing::ElementsAre(std::byte{0x30})))));
}

TEST(SignaturePartition, IsTheOneOfSystemdRepart) {
  const Bytes raw = corpus("signature_json/made-by-systemd-repart-252");
  ASSERT_EQ(raw.size(), 16384U);  // all of the partition
  const auto partition = SignaturePartition::decode(raw);
  ASSERT_THAT(partition, Succeeds());
  const verity::Certificate trusted = certificate("rsa-2048");
  EXPECT_EQ(partition->certificate_fingerprint, trusted.fingerprint());
  EXPECT_THAT(verity::verify_root_hash_signature(partition->root_hash, partition->signature, std::span(&trusted, 1)),
              Holds(testing::Property(&verity::Certificate::fingerprint, trusted.fingerprint())));
  EXPECT_THAT(partition->encode(), Holds(Bytes(raw.begin(), raw.begin() + 4096)));
}

TEST(SignaturePartition, IsReadFromAWholePartition) {
  Bytes partition = corpus("signature_json/valid");
  partition.resize(std::size_t{1} << 20);
  EXPECT_THAT(SignaturePartition::decode(partition), Holds(example()));
  partition.back() = std::byte{'x'};
  EXPECT_THAT(SignaturePartition::decode(partition), FailsWith(Kind::corrupt, HasSubstr("other bytes than NUL")));
}

TEST(SignaturePartition, HoldsTheLongestSignatureThatTheKernelTakes) {
  SignaturePartition partition = example();
  partition.signature = support::pattern(verity::max_signature_size);
  const auto raw = partition.encode();
  ASSERT_THAT(raw, Succeeds());
  EXPECT_THAT(SignaturePartition::decode(*raw), Holds(partition));

  partition.signature.push_back(std::byte{0});
  EXPECT_THAT(partition.encode(), FailsWith(Kind::invalid_input, HasSubstr("a signature of 32768 bytes")));
  partition.signature.clear();
  EXPECT_THAT(partition.encode(), FailsWith(Kind::invalid_input, HasSubstr("a signature of 0 bytes")));
}

TEST(SignaturePartition, CannotBeWrittenWithAFingerprintThatIsNone) {
  for (const char* fingerprint : {"", "00", "2E534EF0107D592D1706AC38AD58596B85EF3375D360A6D669F974792DF5CB5A"}) {
    SignaturePartition partition = example();
    partition.certificate_fingerprint = fingerprint;
    EXPECT_THAT(partition.encode(), FailsWith(Kind::invalid_input, HasSubstr("64 lower-case"))) << fingerprint;
  }
}

TEST(SignaturePartition, IsRefusedWhenAnythingAboutItIsWrong) {
  struct Case {
    const char* file;  // in tests/fuzz/corpus/signature_json
    const char* message;
  };
  const Case cases[] = {
      {"empty", "it is empty"},
      {"all-nul", "it is empty"},
      {"not-an-object", "the JSON is not an object"},
      {"deeply-nested", "parse error"},
      {"something-behind-the-value", "parse error"},
      {"something-behind-the-padding", "other bytes than NUL behind the JSON"},
      {"root-hash-missing", "\"rootHash\" is missing"},
      {"root-hash-twice", "\"rootHash\" stands twice"},
      {"root-hash-a-number", "\"rootHash\" is not a text"},
      {"root-hash-short", "\"rootHash\" is not 64 lower-case"},
      {"root-hash-upper-case", "\"rootHash\" is not 64 lower-case"},
      {"fingerprint-null", "\"certificateFingerprint\" is not a text"},
      {"fingerprint-short", "\"certificateFingerprint\" is not 64 lower-case"},
      {"signature-missing", "\"signature\" is missing"},
      {"signature-empty", "the signature has 0 bytes"},
      {"signature-with-line-feeds", "\"signature\": base64 text of 5 characters"},
      {"signature-unused-bits-set", "\"signature\": the base64 digit at position 2"},
  };
  for (const Case& c : cases) {
    EXPECT_THAT(SignaturePartition::decode(corpus(std::string("signature_json/") + c.file)),
                FailsWith(Kind::corrupt, HasSubstr(c.message)))
        << c.file;
  }
}

TEST(SignaturePartition, IsRefusedBeyondItsBounds) {
  std::string text = R"({"rootHash":")" + root().hex() + R"(","signature":"MAA="})";
  text.resize(verity::max_signature_json_size, ' ');
  EXPECT_THAT(SignaturePartition::decode(base::bytes_of(text)), Succeeds());
  text += ' ';
  EXPECT_THAT(SignaturePartition::decode(base::bytes_of(text)),
              FailsWith(Kind::corrupt, HasSubstr("65537 bytes of JSON; 64 KiB are allowed")));

  const std::string long_signature = R"({"rootHash":")" + root().hex() + R"(","signature":")" +
                                     base::to_base64(Bytes(verity::max_signature_size + 1)) + R"("})";
  EXPECT_THAT(SignaturePartition::decode(base::bytes_of(long_signature)),
              FailsWith(Kind::corrupt, HasSubstr("the signature has 32768 bytes")));
}

}  // namespace
