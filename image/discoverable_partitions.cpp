#include "image/discoverable_partitions.hpp"

#include <algorithm>

#include "base/bytes.hpp"

namespace image {

namespace {

base::Uuid as_it_is(base::ByteView sixteen_bytes) {
  base::Uuid uuid;
  std::ranges::copy(sixteen_bytes, uuid.bytes.begin());
  return uuid;
}

}  // namespace

base::Uuid data_partition_uuid(const verity::RootHash& root_hash) {
  return as_it_is(base::ByteView(root_hash.bytes).first(16));
}

base::Uuid hash_partition_uuid(const verity::RootHash& root_hash) {
  return as_it_is(base::ByteView(root_hash.bytes).last(16));
}

verity::RootHash root_hash_of(const base::Uuid& data_partition, const base::Uuid& hash_partition) {
  verity::RootHash root_hash;
  std::ranges::copy(data_partition.bytes, root_hash.bytes.begin());
  std::ranges::copy(hash_partition.bytes, root_hash.bytes.begin() + data_partition.bytes.size());
  return root_hash;
}

}  // namespace image
