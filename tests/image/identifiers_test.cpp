#include "image/identifiers.hpp"

#include <set>

#include <gmock/gmock.h>

#include "tests/support/matchers.hpp"

namespace {

using base::Kind;
using image::ImageIdentity;
using support::FailsWith;
using testing::HasSubstr;

namespace role = image::role;

ImageIdentity identity(const std::string& id, const std::string& version) {
  return *ImageIdentity::of(id, version);
}

// Expected values:  printf '%s\0' keelson-identifier-1 ID VERSION ROLE | sha256sum
// For a UUID the first 32 digits, the 13th made 8, the two upper bits of the 17th made binary 10 (RFC 9562, version 8).

TEST(Identifiers, UuidsAreTheBeginningOfTheDigest) {
  const ImageIdentity node = identity("node", "1.0.0");
  // db29bf479848c609b149dc27605b2f42...
  EXPECT_EQ(image::derive_uuid(node, role::disk).text(), "db29bf47-9848-8609-b149-dc27605b2f42");
  // 019f57d4dc999c32b99986f28b925b56...
  EXPECT_EQ(image::derive_uuid(node, role::esp_partition).text(), "019f57d4-dc99-8c32-b999-86f28b925b56");
}

TEST(Identifiers, ChangeWithVersionAndImage) {
  // 666ed7471121e933e545d8d70a9894bd...
  EXPECT_EQ(image::derive_uuid(identity("node", "1.0.1"), role::disk).text(), "666ed747-1121-8933-a545-d8d70a9894bd");
  // daed60e2a8766217d661e108c2f1804a...
  EXPECT_EQ(image::derive_uuid(identity("node-2", "1.0.0"), role::disk).text(), "daed60e2-a876-8217-9661-e108c2f1804a");
}

TEST(Identifiers, TheFatVolumeIdIsTheFirstEightDigits) {
  // 5568b4830ef30c89...: tools show 5568-B483
  EXPECT_EQ(image::derive_fat_volume_id(identity("node", "1.0.0")), 0x5568b483U);
}

TEST(Identifiers, TheSaltIsTheSameInEveryVersion) {
  // printf '%s\0' keelson-identifier-1 node '' verity-salt | sha256sum
  constexpr const char* salt = "e86c16173de6d8463b52a6b195649fb95652d280c112dfb2e9e4faed5b4ea0e7";
  EXPECT_EQ(base::to_hex(image::derive_verity_salt(identity("node", "1.0.0"))), salt);
  EXPECT_EQ(base::to_hex(image::derive_verity_salt(identity("node", "7.3"))), salt);
  EXPECT_NE(base::to_hex(image::derive_verity_salt(identity("edge", "1.0.0"))), salt);
}

TEST(Identifiers, PartsDoNotRunIntoEachOther) {
  std::set<base::Uuid> uuids;
  for (const auto& [id, version] : {std::pair("a", "bc"), {"ab", "c"}, {"a.b", "c"}, {"a", "b.c"}}) {
    uuids.insert(image::derive_uuid(identity(id, version), "d"));
    uuids.insert(image::derive_uuid(identity(id, version), "cd"));
  }
  EXPECT_EQ(uuids.size(), 8);
}

TEST(ImageIdentity, IsTheLabelOfItsPartitions) {
  EXPECT_EQ(identity("edge-node.x", "2024.1-rc1").label(), "edge-node.x_2024.1-rc1");
  EXPECT_THAT(ImageIdentity::of(std::string(17, 'a'), std::string(18, '1')), support::Succeeds());  // 36 characters
}

TEST(ImageIdentity, RefusesWhatSomeReaderWouldMisunderstand) {
  struct {
    const char* what;
    std::string id;
    std::string version;
    const char* message;
  } const cases[] = {
      {"no id", "", "1", "image's id is empty"},
      {"no version", "node", "", "image's version is empty"},
      {"upper case", "Node", "1", "image's id \"Node\" has characters other than"},
      {"underscore, which parts name from version", "my_node", "1", "image's id \"my_node\" has characters"},
      {"underscore in the version", "node", "1_2", "image's version \"1_2\" has characters"},
      {"plus, which begins a boot counter", "node", "1+2", "image's version \"1+2\" has characters"},
      {"tilde, which the ESP cannot hold", "node", "1~rc1", "image's version \"1~rc1\" has characters"},
      {"slash", "a/b", "1", "image's id \"a/b\" has characters"},
      {"NUL", std::string("a\0b", 3), "1", "has characters other than"},
      {"a hidden file", ".node", "1", "image's id \".node\" must begin with a letter or digit"},
      {"an option", "node", "-1", "image's version \"-1\" must begin with a letter or digit"},
      {"37 characters", std::string(17, 'a'), std::string(19, '1'), "has 37 characters; a partition label"},
  };
  for (const auto& one : cases) {
    EXPECT_THAT(ImageIdentity::of(one.id, one.version), FailsWith(Kind::invalid_input, HasSubstr(one.message)))
        << one.what;
  }
}

}  // namespace
