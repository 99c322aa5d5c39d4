#include "image/discoverable_partitions.hpp"

#include <gmock/gmock.h>

namespace {

TEST(DiscoverablePartitions, TypesAreThoseOfTheSpecification) {
  // Copied from the tables of UAPI.2, not from our header.
  namespace type = image::partition_type;
  EXPECT_EQ(type::esp.text(), "c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
  EXPECT_EQ(type::root_x86_64.text(), "4f68bce3-e8cd-4db1-96e7-fbcaf984b709");
  EXPECT_EQ(type::root_verity_x86_64.text(), "2c7357ed-ebd2-46d9-aec1-23d437ec2bf5");
  EXPECT_EQ(type::root_verity_signature_x86_64.text(), "41092b05-9fc8-4523-994f-2def0408b176");
  EXPECT_EQ(type::var.text(), "4d21b016-b534-45c2-a9fb-5c16e091fd2d");
  EXPECT_EQ(type::linux_generic.text(), "0fc63daf-8483-4772-8e79-3d69d8477de4");
}

TEST(DiscoverablePartitions, AreFoundByTheHalvesOfTheRootHashAsTheyAre) {
  const auto hash = verity::RootHash::parse("2e534ef0107d592d1706ac38ad58596b85ef3375d360a6d669f974792df5cb5a");
  EXPECT_EQ(image::data_partition_uuid(*hash).text(), "2e534ef0-107d-592d-1706-ac38ad58596b");
  EXPECT_EQ(image::hash_partition_uuid(*hash).text(), "85ef3375-d360-a6d6-69f9-74792df5cb5a");
}

}  // namespace
