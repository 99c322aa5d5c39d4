#include <algorithm>
#include <array>

#include "image/gpt_format.hpp"
#include "image/partition_table.hpp"
#include "tests/fuzz/fuzzer.hpp"

namespace {

namespace gpt = image::gpt;

constexpr std::size_t disk_size = std::size_t{192} * 1024;

// The first byte of an input says where the rest goes: a header, then entries.
constexpr std::byte put_checksums_right{1};  // or else none but the corpus would come past them
constexpr std::byte as_backup{2};
constexpr std::byte sectors_of_4096{4};

bool has(std::byte choice, std::byte bit) {
  return (choice & bit) != std::byte{0};
}

/// Puts what the header says about its entries and itself right, as far as the numbers in it allow.
void correct_checksums(base::MutableByteView disk, base::MutableByteView header, std::size_t sector_size) {
  const auto entries_lba = base::load_le<std::uint64_t>(&header[72]);
  const std::size_t entries_size = std::size_t{base::load_le<std::uint32_t>(&header[80])} * gpt::entry_size;
  if (entries_lba < disk.size() / sector_size && entries_size <= disk.size() - entries_lba * sector_size) {
    base::store_le(&header[88], gpt::crc32(disk.subspan(entries_lba * sector_size, entries_size)));
  }
  const auto header_size = base::load_le<std::uint32_t>(&header[12]);
  if (header_size > sector_size) return;
  base::store_le(&header[16], std::uint32_t{0});
  base::store_le(&header[16], gpt::crc32(header.first(header_size)));
}

base::MemoryDevice disk_of(std::byte choice, base::ByteView rest) {
  base::Bytes content(disk_size);
  const base::MutableByteView disk(content);
  const std::size_t sector_size = has(choice, sectors_of_4096) ? 4096 : 512;
  std::ranges::copy(gpt::encode_protective_mbr(disk_size / sector_size), content.begin());
  const base::MutableByteView header =
      has(choice, as_backup) ? disk.last(sector_size) : disk.subspan(sector_size, sector_size);
  const base::ByteView header_bytes = rest.first(std::min(rest.size(), gpt::header_size));
  std::ranges::copy(header_bytes, header.begin());
  // Up to 32 sectors' worth, where either header usually has them.
  const base::ByteView entries =
      rest.subspan(header_bytes.size()).first(std::min(rest.size() - header_bytes.size(), std::size_t{16384}));
  const std::size_t at = has(choice, as_backup) ? disk_size - sector_size - 16384 : 2 * sector_size;
  std::ranges::copy(entries, disk.subspan(at).begin());
  if (has(choice, put_checksums_right)) correct_checksums(disk, header, sector_size);
  return base::MemoryDevice(std::move(content));
}

void check_places(std::vector<image::Partition> partitions) {
  std::ranges::sort(partitions, {}, &image::Partition::offset_bytes);
  std::uint64_t end = 1024;  // behind MBR and header at least
  for (const image::Partition& one : partitions) {
    fuzz::require(one.offset_bytes >= end && one.size_bytes > 0, "partitions do not touch each other");
    fuzz::require(one.size_bytes <= disk_size - one.offset_bytes, "partitions lie on the disk");
    end = one.offset_bytes + one.size_bytes;
  }
}

}  // namespace

/// Properties: a table that reads has its partitions apart from each other and on the disk; writing it out again either
/// is refused or changes nothing that is read, and mends the other copy.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const base::ByteView input = fuzz::view(data, size);
  if (input.empty()) return 0;
  base::MemoryDevice disk = disk_of(input.front(), input.subspan(1));
  const auto found = image::read_partition_table(disk);
  if (!found) return 0;
  check_places(found->table.partitions);
  if (!image::change_partitions(disk, {})) return 0;
  const auto again = image::read_partition_table(disk, found->table.sector_size);
  fuzz::require(again && again->table == found->table, "the table that was read is the table that was written");
  fuzz::require(again->copies == image::TableCopies::agree, "both copies are sound after writing");
  return 0;
}
