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

}  // namespace image
