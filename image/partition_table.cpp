#include "image/partition_table.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "base/bytes.hpp"
#include "image/gpt_format.hpp"

namespace image {

using base::BlockDevice;
using base::Bytes;
using base::ByteView;
using base::fail;
using base::Kind;
using base::Result;

namespace {

constexpr std::array<std::uint32_t, 2> sector_sizes = {512, 4096};
constexpr std::uint64_t primary_lba = 1;
constexpr std::uint64_t usual_entries_lba = 2;

enum class Copy { primary, backup };

/// What both copies say, whatever their places: the entries as they are on disk, so that nothing in them gets lost.
struct Contents {
  std::uint32_t sector_size = 512;
  base::Uuid disk_uuid;
  std::uint64_t first_usable_lba = 0;
  std::uint64_t entries_lba = usual_entries_lba;  // of the primary
  Bytes entries;                                  // a multiple of 128 bytes

  std::uint64_t entry_sectors() const { return base::divide_rounding_up(entries.size(), sector_size); }
  friend bool operator==(const Contents&, const Contents&) = default;
};

struct SoundCopy {
  gpt::Header header;
  Contents contents;
};

struct Found {
  Contents contents;
  TableCopies copies = TableCopies::agree;
  std::string damage;
};

/// The label comes from a disk: nothing in it reaches a terminal but what prints.
std::string name_of(std::uint32_t number, std::string label) {
  std::ranges::replace_if(label, [](unsigned char c) { return c < ' ' || c > '~'; }, '?');
  return "partition " + std::to_string(number) + " (\"" + label + "\")";
}

bool contains(std::span<const std::uint32_t> numbers, std::uint32_t wanted) {
  return std::ranges::find(numbers, wanted) != numbers.end();
}

std::uint64_t sectors_of(const BlockDevice& disk, std::uint32_t sector_size) {
  return disk.size_bytes() / sector_size;
}

Result<> check_sector_size(std::uint32_t sector_size) {
  if (contains(sector_sizes, sector_size)) return base::ok();
  return fail(Kind::invalid_input, "sectors of " + std::to_string(sector_size) + " bytes; 512 and 4096 are possible");
}

/// Used entries with their numbers.
std::vector<std::pair<std::uint32_t, gpt::Entry>> used_entries(ByteView entries) {
  std::vector<std::pair<std::uint32_t, gpt::Entry>> used;
  for (std::size_t at = 0; at < entries.size(); at += gpt::entry_size) {
    if (auto entry = gpt::decode_entry(entries.subspan(at, gpt::entry_size))) {
      used.emplace_back(static_cast<std::uint32_t>(at / gpt::entry_size + 1), *std::move(entry));
    }
  }
  return used;
}

/// Whether each used entry lies in the usable sectors, and no two share one. Fails: `kind`.
Result<> check_places(ByteView entries, std::uint64_t first_usable_lba, std::uint64_t last_usable_lba, Kind kind) {
  auto used = used_entries(entries);
  std::ranges::sort(used, {}, [](const auto& one) { return one.second.first_lba; });
  for (std::size_t i = 0; i < used.size(); ++i) {
    const auto& [number, entry] = used[i];
    const std::string name = name_of(number, entry.label);
    if (entry.last_lba < entry.first_lba) return fail(kind, name + " ends before it begins");
    if (entry.first_lba < first_usable_lba || entry.last_lba > last_usable_lba) {
      return fail(kind, name + " takes sectors " + std::to_string(entry.first_lba) + " to " +
                            std::to_string(entry.last_lba) + "; those that may be used are " +
                            std::to_string(first_usable_lba) + " to " + std::to_string(last_usable_lba));
    }
    if (i == 0) continue;
    const auto& [before, entry_before] = used[i - 1];
    if (entry.first_lba <= entry_before.last_lba) {
      return fail(kind, name + " overlaps " + name_of(before, entry_before.label));
    }
  }
  return base::ok();
}

// --- Reading ---------------------------------------------------------------------------------------------------------

/// The header's own place, the usable sectors and the entries: all on the disk, none inside another.
Result<> check_header(const gpt::Header& header, Copy which, std::uint64_t lba, std::uint64_t sectors,
                      std::uint64_t entry_sectors) {
  const auto impossible = [](const std::string& what) { return fail(Kind::corrupt, "the header " + what); };
  if (header.own_lba != lba) {
    return impossible("lies in sector " + std::to_string(lba) + " and claims " + std::to_string(header.own_lba));
  }
  if (header.first_usable_lba > header.last_usable_lba || header.last_usable_lba >= sectors) {
    return impossible("lets sectors " + std::to_string(header.first_usable_lba) + " to " +
                      std::to_string(header.last_usable_lba) + " be used; the disk has " + std::to_string(sectors));
  }
  // Compared by subtraction: the sum of two numbers that others wrote may wrap round.
  const bool in_front = header.entries_lba > primary_lba && header.entries_lba <= header.first_usable_lba &&
                        header.first_usable_lba - header.entries_lba >= entry_sectors;
  const bool behind = header.entries_lba > header.last_usable_lba && header.entries_lba <= lba &&
                      lba - header.entries_lba >= entry_sectors;
  if (which == Copy::primary ? in_front : behind) return base::ok();
  return impossible("puts its entries at sector " + std::to_string(header.entries_lba) + ", where they cannot lie");
}

Result<SoundCopy> read_copy(const BlockDevice& disk, std::uint32_t sector_size, Copy which, std::uint64_t lba) {
  Bytes sector(sector_size);
  TRY_DO(disk.read(lba * sector_size, sector));
  TRY(const gpt::Header header, gpt::decode_header(sector));
  Contents contents{.sector_size = sector_size,
                    .disk_uuid = header.disk_uuid,
                    .first_usable_lba = header.first_usable_lba,
                    .entries = Bytes(header.entry_count * gpt::entry_size)};
  if (which == Copy::primary) contents.entries_lba = header.entries_lba;
  TRY_DO(check_header(header, which, lba, sectors_of(disk, sector_size), contents.entry_sectors()));
  TRY_DO(disk.read(header.entries_lba * sector_size, contents.entries));
  if (gpt::crc32(contents.entries) != header.entries_checksum) {
    return fail(Kind::corrupt, "the checksum over its entries is wrong");
  }
  TRY_DO(check_places(contents.entries, header.first_usable_lba, header.last_usable_lba, Kind::corrupt));
  return SoundCopy{header, std::move(contents)};
}

/// The backup where a sound primary says that it lies.
Result<SoundCopy> read_backup_of(const BlockDevice& disk, const SoundCopy& primary) {
  const std::uint64_t lba = primary.header.other_lba;
  const std::uint64_t sectors = sectors_of(disk, primary.contents.sector_size);
  if (lba <= primary.header.last_usable_lba || lba >= sectors) {
    return fail(Kind::corrupt, "it is said to lie in sector " + std::to_string(lba) + " of " + std::to_string(sectors));
  }
  TRY(SoundCopy backup, read_copy(disk, primary.contents.sector_size, Copy::backup, lba));
  backup.contents.entries_lba = primary.contents.entries_lba;  // a backup does not say
  return backup;
}

/// Both copies for one sector size. Fails: as the primary did.
Result<Found> find_copies(const BlockDevice& disk, std::uint32_t sector_size) {
  auto primary = read_copy(disk, sector_size, Copy::primary, primary_lba);
  if (primary) {
    auto backup = read_backup_of(disk, *primary);
    if (!backup) return Found{std::move(primary->contents), TableCopies::backup_damaged, backup.error().message()};
    const bool agree = backup->contents == primary->contents &&
                       backup->header.last_usable_lba == primary->header.last_usable_lba &&
                       backup->header.other_lba == primary_lba;
    return Found{std::move(primary->contents), agree ? TableCopies::agree : TableCopies::differ, ""};
  }
  auto backup = read_copy(disk, sector_size, Copy::backup, sectors_of(disk, sector_size) - 1);
  if (backup) return Found{std::move(backup->contents), TableCopies::primary_damaged, primary.error().message()};
  return fail(primary.error().kind(), "with sectors of " + std::to_string(sector_size) + " bytes: primary: " +
                                          primary.error().message() + "; backup: " + backup.error().message());
}

/// Whether anything begins as a header where the two headers belong. A sector that cannot be read may have been one.
bool has_traces(const BlockDevice& disk, std::uint32_t sector_size) {
  const std::uint64_t sectors = sectors_of(disk, sector_size);
  if (sectors < 3) return false;
  return std::ranges::any_of(std::array{primary_lba, sectors - 1}, [&disk, sector_size](std::uint64_t lba) {
    std::array<std::byte, 8> beginning{};
    return !disk.read(lba * sector_size, beginning) || gpt::begins_as_header(beginning);
  });
}

Result<> check_protective_mbr(const BlockDevice& disk) {
  std::array<std::byte, gpt::mbr_size> mbr{};
  TRY_DO(disk.read(0, mbr));
  if (gpt::is_protective_mbr(mbr)) return base::ok();
  return fail(Kind::corrupt, "there is no protective MBR, so the kernel does not look at the GPT");
}

Result<Found> find_table(const BlockDevice& disk, std::optional<std::uint32_t> sector_size) {
  std::vector<std::uint32_t> candidates(sector_sizes.begin(), sector_sizes.end());
  if (sector_size) {
    TRY_DO(check_sector_size(*sector_size));
    candidates = {*sector_size};
  }
  std::optional<base::Error> failure;
  for (const std::uint32_t candidate : candidates) {
    if (!has_traces(disk, candidate)) continue;
    TRY_DO(check_protective_mbr(disk));
    auto found = find_copies(disk, candidate);
    if (found) return found;
    if (!failure) failure = std::move(found).error();
  }
  if (failure) return std::unexpected(*std::move(failure));
  return fail(Kind::not_found, "there is no GPT");
}

PartitionTable table_of(const Contents& contents) {
  PartitionTable table{.disk_uuid = contents.disk_uuid, .sector_size = contents.sector_size};
  for (auto& [number, entry] : used_entries(contents.entries)) {
    table.partitions.push_back({.number = number,
                                .type = entry.type,
                                .uuid = entry.uuid,
                                .label = std::move(entry.label),
                                .offset_bytes = entry.first_lba * contents.sector_size,
                                .size_bytes = (entry.last_lba - entry.first_lba + 1) * contents.sector_size,
                                .flags = entry.flags});
  }
  return table;
}

// --- Writing ---------------------------------------------------------------------------------------------------------

/// The last sector in front of the backup. The disk is large enough, see check_room.
std::uint64_t last_usable_lba(const Contents& contents, std::uint64_t sectors) {
  return sectors - 2 - contents.entry_sectors();
}

/// Whether both copies find room around the partitions.
Result<> check_room(const Contents& contents, const BlockDevice& disk, Kind kind) {
  if (contents.first_usable_lba < contents.entries_lba + contents.entry_sectors()) {  // only a damaged primary's backup
    return fail(Kind::no_space, "its first partition may begin at sector " + std::to_string(contents.first_usable_lba) +
                                    ", where the primary copy belongs");
  }
  const std::uint64_t sectors = sectors_of(disk, contents.sector_size);
  const std::uint64_t needed = contents.first_usable_lba + 1 + contents.entry_sectors() + 1;
  if (sectors < needed) {
    return fail(Kind::no_space, "it has " + std::to_string(sectors) + " sectors of " +
                                    std::to_string(contents.sector_size) + " bytes; a partition table needs " +
                                    std::to_string(needed));
  }
  return check_places(contents.entries, contents.first_usable_lba, last_usable_lba(contents, sectors), kind);
}

/// Entries, then the header that vouches for them, then a flush.
Result<> write_copy(BlockDevice& disk, const Contents& contents, Copy which) {
  const std::uint64_t sectors = sectors_of(disk, contents.sector_size);
  const std::uint64_t backup_lba = sectors - 1;
  gpt::Header header{.own_lba = primary_lba,
                     .other_lba = backup_lba,
                     .first_usable_lba = contents.first_usable_lba,
                     .last_usable_lba = last_usable_lba(contents, sectors),
                     .disk_uuid = contents.disk_uuid,
                     .entries_lba = contents.entries_lba,
                     .entry_count = static_cast<std::uint32_t>(contents.entries.size() / gpt::entry_size),
                     .entries_checksum = gpt::crc32(contents.entries)};
  if (which == Copy::backup) {
    std::swap(header.own_lba, header.other_lba);
    header.entries_lba = backup_lba - contents.entry_sectors();
  }
  Bytes entries = contents.entries;
  entries.resize(contents.entry_sectors() * contents.sector_size);
  TRY_DO(disk.write(header.entries_lba * contents.sector_size, entries));
  Bytes sector = gpt::encode_header(header);
  sector.resize(contents.sector_size);
  TRY_DO(disk.write(header.own_lba * contents.sector_size, sector));
  return disk.flush();
}

Result<gpt::Entry> entry_of(const Partition& partition, std::uint32_t sector_size) {
  const auto refuse = [](const std::string& why) { return fail(Kind::invalid_input, why); };
  if (partition.number == 0 || partition.number > gpt::usual_entry_count) {
    return refuse("its number must be 1 to 128");
  }
  if (partition.type == base::Uuid{}) return refuse("its type is the zero UUID, which marks an unused entry");
  if (partition.offset_bytes % sector_size != 0 || partition.size_bytes % sector_size != 0) {
    return refuse("its offset of " + std::to_string(partition.offset_bytes) + " bytes and its size of " +
                  std::to_string(partition.size_bytes) + " bytes must be whole sectors of " +
                  std::to_string(sector_size) + " bytes");
  }
  if (partition.size_bytes == 0) return refuse("it has no bytes");
  const std::uint64_t first_lba = partition.offset_bytes / sector_size;
  return gpt::Entry{.type = partition.type,
                    .uuid = partition.uuid,
                    .first_lba = first_lba,
                    .last_lba = first_lba + (partition.size_bytes / sector_size - 1),
                    .flags = partition.flags,
                    .label = partition.label};
}

/// Whether each of the partitions `numbers` has a UUID that is not zero and nobody else's.
Result<> check_uuids(ByteView entries, std::span<const std::uint32_t> numbers) {
  const auto used = used_entries(entries);
  for (const auto& [number, entry] : used) {
    if (!contains(numbers, number)) continue;
    const std::string name = name_of(number, entry.label);
    if (entry.uuid == base::Uuid{}) return fail(Kind::invalid_input, name + " has the zero UUID");
    for (const auto& [other, other_entry] : used) {
      if (other == number || other_entry.uuid != entry.uuid) continue;
      return fail(Kind::invalid_input,
                  name + " and " + name_of(other, other_entry.label) + " have the same UUID, " + entry.uuid.text());
    }
  }
  return base::ok();
}

base::MutableByteView entry_at(Bytes& entries, std::uint32_t number) {
  return base::MutableByteView(entries).subspan((number - 1) * gpt::entry_size, gpt::entry_size);
}

Result<Contents> contents_of(const PartitionTable& table) {
  TRY_DO(check_sector_size(table.sector_size));
  Contents contents{.sector_size = table.sector_size,
                    .disk_uuid = table.disk_uuid,
                    .entries = Bytes(gpt::usual_entry_count * gpt::entry_size)};
  contents.first_usable_lba = usual_entries_lba + contents.entry_sectors();
  std::vector<std::uint32_t> numbers;
  for (const Partition& partition : table.partitions) {
    const std::string name = name_of(partition.number, partition.label);
    TRY(const gpt::Entry entry, entry_of(partition, table.sector_size), name);
    if (contains(numbers, partition.number)) {
      return fail(Kind::invalid_input, name + ": its number is used twice");
    }
    TRY_DO(gpt::encode_entry(entry, entry_at(contents.entries, partition.number)),
           "partition " + std::to_string(partition.number));
    numbers.push_back(partition.number);
  }
  TRY_DO(check_uuids(contents.entries, numbers));
  return contents;
}

Result<> apply(const PartitionChange& change, Bytes& entries) {
  const std::string name = "partition " + std::to_string(change.number);
  const bool in_table = change.number != 0 && change.number <= entries.size() / gpt::entry_size;
  auto entry = in_table ? gpt::decode_entry(entry_at(entries, change.number)) : std::nullopt;
  if (!entry) return fail(Kind::not_found, "there is no " + name);
  if (change.uuid) entry->uuid = *change.uuid;
  if (change.flags) entry->flags = *change.flags;
  entry->label = change.label.value_or("");
  Bytes raw(gpt::entry_size);
  TRY_DO(gpt::encode_entry(*entry, raw), name);
  const base::MutableByteView on_disk = entry_at(entries, change.number);
  const std::size_t changed_bytes = change.label ? gpt::entry_size : gpt::label_offset;
  std::ranges::copy(ByteView(raw).first(changed_bytes), on_disk.begin());
  return base::ok();
}

}  // namespace

Result<TableOnDisk> read_partition_table(const BlockDevice& disk, std::optional<std::uint32_t> sector_size) {
  TRY(const Found found, find_table(disk, sector_size), "the partition table of " + disk.name());
  return TableOnDisk{table_of(found.contents), found.copies, found.damage};
}

Result<> write_partition_table(BlockDevice& disk, const PartitionTable& table) {
  const std::string frame = "the partition table for " + disk.name();
  TRY(const Contents contents, contents_of(table), frame);
  TRY_DO(check_room(contents, disk, Kind::invalid_input), frame);
  TRY_DO(write_copy(disk, contents, Copy::backup), frame);
  // The whole first sector: on a disk of 4096 byte sectors a header of 512 byte sectors may be left in it.
  Bytes mbr = gpt::encode_protective_mbr(sectors_of(disk, table.sector_size));
  mbr.resize(table.sector_size);
  TRY_DO(disk.write(0, mbr), frame);
  TRY_DO(write_copy(disk, contents, Copy::primary), frame);
  return base::ok();
}

Result<> change_partitions(BlockDevice& disk, std::span<const PartitionChange> changes,
                           std::optional<std::uint32_t> sector_size) {
  const std::string frame = "changing the partition table of " + disk.name();
  TRY(Found found, find_table(disk, sector_size), frame);
  std::vector<std::uint32_t> numbers;
  for (const PartitionChange& change : changes) {
    TRY_DO(apply(change, found.contents.entries), frame);
    if (change.uuid) numbers.push_back(change.number);
  }
  TRY_DO(check_uuids(found.contents.entries, numbers), frame);
  TRY_DO(check_room(found.contents, disk, Kind::no_space), frame);
  const bool relied_on_backup = found.copies == TableCopies::primary_damaged;
  const Copy first = relied_on_backup ? Copy::primary : Copy::backup;
  const Copy second = relied_on_backup ? Copy::backup : Copy::primary;
  TRY_DO(write_copy(disk, found.contents, first), frame);
  TRY_DO(write_copy(disk, found.contents, second), frame);
  return base::ok();
}

}  // namespace image
