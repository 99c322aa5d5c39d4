#include "agent/init/signature.hpp"

#include <string>

#include <gmock/gmock.h>

#include "agent/init/sha256.hpp"
#include "tests/support/files.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

using agent::init::pkcs7_in;
using agent::init::read_signature;
using agent::init::static_sha256;
using base::bytes_of;
using base::Kind;
using support::FailsWith;
using support::Succeeds;
using testing::AllOf;
using testing::HasSubstr;

// That a kernel takes the signature needs a kernel with a key for it.

base::Sha256Digest digest(std::string_view hex) {
  base::Sha256Digest made{};
  const auto bytes = base::from_hex(hex);
  EXPECT_THAT(bytes, Succeeds());
  std::ranges::copy(*bytes, made.begin());
  return made;
}

std::string corpus(const std::string& name) {
  return support::slurp(KEELSON_CORPUS "/" + name);
}

// sha256sum tests/fuzz/corpus/signature_json/valid
const base::Sha256Digest of_valid = digest("d05b3d6da69a91412ff9ee3e7a79fa47ec8d848e5cdb429c503ace03ea3724cd");

TEST(StaticSha256, IsThatOfFips180) {
  EXPECT_EQ(base::to_hex(static_sha256(bytes_of("abc"))),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(base::to_hex(static_sha256({})), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(RootSignature, IsReadFromTheBeginOfItsPartition) {
  const support::TemporaryDirectory directory;
  const std::string partition =
      directory.write("vda4", corpus("signature_json/valid") + std::string(std::size_t{1} << 20, '\0'));
  const auto block = read_signature(partition, of_valid);
  ASSERT_THAT(block, Succeeds());
  const auto pkcs7 = pkcs7_in(*block);
  ASSERT_TRUE(pkcs7);
  EXPECT_EQ(base::text_of(*pkcs7), corpus("signature_pkcs7/valid-rsa-2048.der"));
}

TEST(RootSignature, IsRefusedWhereItIsAnother) {
  const support::TemporaryDirectory directory;
  const std::string partition = directory.write("vda4", corpus("signature_json/valid"));
  support::flip_byte(partition, 4095);
  EXPECT_THAT(
      read_signature(partition, of_valid),
      FailsWith(Kind::untrusted, AllOf(HasSubstr("vda4"), HasSubstr("not the one this version was signed with"))));
  EXPECT_THAT(read_signature(directory.write("empty", ""), of_valid), FailsWith(Kind::corrupt, HasSubstr("empty")));
  EXPECT_THAT(read_signature(directory.path("nowhere"), of_valid), FailsWith(Kind::not_found, HasSubstr("nowhere")));
}

TEST(RootSignature, HasAPkcs7InOneFormOnly) {
  for (const char* name :
       {"signature_json/signature-empty", "signature_json/signature-missing",
        "signature_json/signature-with-line-feeds", "signature_json/all-nul", "signature_json/empty"}) {
    EXPECT_FALSE(pkcs7_in(bytes_of(corpus(name)))) << name;
  }
  EXPECT_FALSE(pkcs7_in(bytes_of("{\"signature\":\"MA==")));
}

}  // namespace
