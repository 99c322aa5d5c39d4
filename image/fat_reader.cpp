#include "image/fat_reader.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <set>
#include <utility>

#include "image/fat_directory.hpp"

namespace image {

using base::Bytes;
using base::fail;
using base::Kind;
using base::load_le;
using base::Result;

namespace {

constexpr std::size_t boot_sector_size = 512;  // as far as it has fields, whatever the size of a sector
constexpr std::uint32_t first_cluster = 2;
constexpr std::uint32_t min_clusters = 65525;  // fewer: FAT12 or FAT16
constexpr std::uint32_t max_clusters = 0x0ffffff5;
constexpr std::uint32_t cluster_mask = 0x0fffffff;
constexpr std::uint32_t end_of_chain = 0x0ffffff8;  // and above

constexpr std::size_t max_nodes = 65536;
constexpr std::size_t max_directory_bytes = std::size_t{2} << 20;
constexpr std::size_t max_depth = 32;
constexpr std::uint64_t max_cluster_bytes = std::uint64_t{64} << 10;

/// The fields of the boot sector that matter. Source: fatgen103, "Boot Sector and BPB Structure".
struct BootSector {
  std::uint16_t sector_size;
  std::uint8_t sectors_per_cluster;
  std::uint16_t reserved_sectors;
  std::uint8_t tables;
  std::uint16_t root_entries;      // 0 on FAT32
  std::uint16_t table_sectors_16;  // 0 on FAT32
  std::uint16_t total_sectors_16;  // 0 on FAT32
  std::uint32_t total_sectors;
  std::uint32_t table_sectors;
  std::uint16_t flags;
  std::uint16_t version;
  std::uint32_t root_cluster;
  std::uint32_t volume_id;
  std::uint16_t signature;
};

BootSector decode(base::ByteView raw) {
  return {.sector_size = load_le<std::uint16_t>(&raw[11]),
          .sectors_per_cluster = load_le<std::uint8_t>(&raw[13]),
          .reserved_sectors = load_le<std::uint16_t>(&raw[14]),
          .tables = load_le<std::uint8_t>(&raw[16]),
          .root_entries = load_le<std::uint16_t>(&raw[17]),
          .table_sectors_16 = load_le<std::uint16_t>(&raw[22]),
          .total_sectors_16 = load_le<std::uint16_t>(&raw[19]),
          .total_sectors = load_le<std::uint32_t>(&raw[32]),
          .table_sectors = load_le<std::uint32_t>(&raw[36]),
          .flags = load_le<std::uint16_t>(&raw[40]),
          .version = load_le<std::uint16_t>(&raw[42]),
          .root_cluster = load_le<std::uint32_t>(&raw[44]),
          .volume_id = load_le<std::uint32_t>(&raw[67]),
          .signature = load_le<std::uint16_t>(&raw[510])};
}

Result<> check(const BootSector& boot, const base::BlockDevice& volume) {
  const auto corrupt = [](const std::string& what) { return fail(Kind::corrupt, what); };
  constexpr std::uint16_t signature = 0xaa55;
  if (boot.signature != signature) return corrupt("there is no FAT: the boot sector is not signed 55 aa");
  if (boot.sector_size < 512 || boot.sector_size > 4096 || !std::has_single_bit(boot.sector_size) ||
      !std::has_single_bit(boot.sectors_per_cluster) ||
      std::uint64_t{boot.sector_size} * boot.sectors_per_cluster > max_cluster_bytes) {
    return corrupt("there is no FAT: sectors of " + std::to_string(boot.sector_size) + " bytes, " +
                   std::to_string(boot.sectors_per_cluster) + " to a cluster");
  }
  if (boot.root_entries != 0 || boot.table_sectors_16 != 0 || boot.total_sectors_16 != 0 || boot.version != 0) {
    return fail(Kind::unsupported, "the volume is FAT12, FAT16 or a FAT32 of another version; FAT32 is read");
  }
  if (boot.reserved_sectors == 0 || boot.tables == 0 || boot.tables > 2) {
    return corrupt(std::to_string(boot.reserved_sectors) + " reserved sectors and " + std::to_string(boot.tables) +
                   " tables");
  }
  if (std::uint64_t{boot.total_sectors} * boot.sector_size > volume.size_bytes()) {
    return corrupt("the volume claims " + std::to_string(boot.total_sectors) + " sectors of " +
                   std::to_string(boot.sector_size) + " bytes, its partition has " +
                   std::to_string(volume.size_bytes()) + " bytes");
  }
  return base::ok();
}

bool is_cluster(std::uint32_t number, std::uint32_t clusters) {
  return number >= first_cluster && number - first_cluster < clusters;
}

}  // namespace

/// The file allocation table, of which a piece is kept.
class FatReader::Table {
 public:
  explicit Table(const FatReader& reader) : reader_(reader) {}

  /// The cluster behind this one; at least end_of_chain when there is none.
  Result<std::uint32_t> next(std::uint32_t cluster) {
    const std::uint64_t at = std::uint64_t{cluster} * sizeof(std::uint32_t);
    const std::uint64_t piece = at / piece_size;
    if (!loaded_ || piece != piece_) {
      const std::uint64_t end = (std::uint64_t{reader_.clusters_} + first_cluster) * sizeof(std::uint32_t);
      const std::uint64_t size = std::min<std::uint64_t>(piece_size, end - piece * piece_size);
      TRY_DO(reader_.volume_->read(reader_.table_offset_ + piece * piece_size,
                                   base::MutableByteView(content_).first(static_cast<std::size_t>(size))));
      piece_ = piece;
      loaded_ = true;
    }
    return load_le<std::uint32_t>(&content_[at % piece_size]) & cluster_mask;
  }

 private:
  static constexpr std::size_t piece_size = 4096;

  const FatReader& reader_;
  std::array<std::byte, piece_size> content_{};
  std::uint64_t piece_ = 0;
  bool loaded_ = false;
};

Result<FatReader> FatReader::open(const base::BlockDevice& volume) {
  const std::string frame = "the FAT volume on " + volume.name();
  std::array<std::byte, boot_sector_size> raw{};
  TRY_DO(volume.read(0, raw), frame);
  const BootSector boot = decode(raw);
  TRY_DO(check(boot, volume), frame);
  const std::uint64_t data_sector = boot.reserved_sectors + std::uint64_t{boot.tables} * boot.table_sectors;
  const std::uint64_t sectors = boot.total_sectors;
  const std::uint64_t clusters = data_sector < sectors ? (sectors - data_sector) / boot.sectors_per_cluster : 0;
  if (clusters < min_clusters) {
    return fail(Kind::unsupported, frame + ": with " + std::to_string(clusters) + " clusters it is no FAT32");
  }
  const std::uint64_t table_entries = std::uint64_t{boot.table_sectors} * boot.sector_size / sizeof(std::uint32_t);
  if (clusters > max_clusters || table_entries < clusters + first_cluster) {
    return fail(Kind::corrupt, frame + ": a table of " + std::to_string(table_entries) + " entries for " +
                                   std::to_string(clusters) + " clusters");
  }
  FatReader reader;
  reader.volume_ = &volume;
  reader.sector_size_ = boot.sector_size;
  reader.sectors_per_cluster_ = boot.sectors_per_cluster;
  reader.clusters_ = static_cast<std::uint32_t>(clusters);
  reader.root_cluster_ = boot.root_cluster & cluster_mask;
  reader.volume_id_ = boot.volume_id;
  // Bit 7: only one table is kept up to date, the one in bits 0 to 3.
  const unsigned active = (boot.flags & 0x80U) != 0 ? boot.flags & 0x0fU : 0;
  if (active >= boot.tables) return fail(Kind::corrupt, frame + ": its active table is none of its tables");
  reader.table_offset_ =
      (boot.reserved_sectors + std::uint64_t{active} * boot.table_sectors) * std::uint64_t{boot.sector_size};
  reader.data_offset_ = data_sector * boot.sector_size;
  return reader;
}

Result<Bytes> FatReader::read_chain(std::uint32_t first, std::uint64_t size_bytes) const {
  Table table(*this);
  Bytes content(static_cast<std::size_t>(size_bytes));
  std::uint32_t cluster = first;
  // No more steps than clusters in the size: a chain that goes round cannot hold us.
  for (std::uint64_t at = 0; at < size_bytes; at += cluster_bytes()) {
    if (!is_cluster(cluster, clusters_)) {
      return fail(Kind::corrupt, "its chain of clusters ends or leaves the volume after " + std::to_string(at) +
                                     " of " + std::to_string(size_bytes) + " bytes");
    }
    const std::uint64_t size = std::min(cluster_bytes(), size_bytes - at);
    TRY_DO(volume_->read(cluster_offset(cluster), base::MutableByteView(content).subspan(at, size)));
    TRY(cluster, table.next(cluster));
  }
  return content;
}

Result<Bytes> FatReader::read_directory(std::uint32_t first) const {
  Table table(*this);
  Bytes content;
  for (std::uint32_t cluster = first; cluster < end_of_chain;) {
    if (!is_cluster(cluster, clusters_)) return fail(Kind::corrupt, "its chain of clusters leaves the volume");
    if (content.size() >= max_directory_bytes) {
      return fail(Kind::corrupt, "it takes more than the 2 MiB that a directory may have; does its chain go round?");
    }
    const std::size_t at = content.size();
    content.resize(at + cluster_bytes());
    TRY_DO(volume_->read(cluster_offset(cluster), base::MutableByteView(content).subspan(at)));
    TRY(cluster, table.next(cluster));
  }
  return content;
}

Result<std::vector<FatNode>> FatReader::list() const {
  struct Pending {
    std::string path;  // "" or with a slash at its end
    std::uint32_t cluster;
    std::size_t depth;
  };
  std::vector<FatNode> nodes;
  std::vector<Pending> pending = {{"", root_cluster_, 0}};
  std::set<std::uint32_t> seen = {root_cluster_};
  for (std::size_t i = 0; i < pending.size(); ++i) {
    const Pending directory = pending[i];  // a copy: the vector grows below
    const std::string frame = "the directory /" + directory.path + " on " + volume_->name();
    TRY(const Bytes raw, read_directory(directory.cluster), frame);
    TRY(const std::vector<FatDirectoryEntry> entries, read_fat_directory(raw), frame);
    for (const FatDirectoryEntry& entry : entries) {
      if (nodes.size() >= max_nodes) return fail(Kind::corrupt, frame + ": more than 65536 files on the volume");
      const std::uint32_t cluster = entry.first_cluster & cluster_mask;
      nodes.push_back({directory.path + entry.name, entry.is_directory, cluster, entry.size_bytes});
      if (!entry.is_directory) continue;
      if (directory.depth >= max_depth) return fail(Kind::corrupt, frame + ": more than 32 levels of directories");
      if (!seen.insert(cluster).second) {
        return fail(Kind::corrupt, "the directory /" + nodes.back().path + " on " + volume_->name() +
                                       " lies where another directory does");
      }
      pending.push_back({nodes.back().path + "/", cluster, directory.depth + 1});
    }
  }
  return nodes;
}

Result<Bytes> FatReader::read(const FatNode& file, std::size_t max_bytes) const {
  const std::string frame = "/" + file.path + " on " + volume_->name();
  if (file.is_directory) return fail(Kind::invalid_input, frame + " is a directory");
  if (file.size_bytes > std::uint64_t{clusters_} * cluster_bytes()) {
    return fail(Kind::corrupt,
                frame + ": it claims " + std::to_string(file.size_bytes) + " bytes, more than the volume has");
  }
  if (file.size_bytes > max_bytes) {
    return fail(Kind::invalid_input, frame + " has " + std::to_string(file.size_bytes) + " bytes; " +
                                         std::to_string(max_bytes) + " are allowed here");
  }
  TRY(Bytes content, read_chain(file.first_cluster, file.size_bytes), frame);
  return content;
}

bool same_fat_path(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::ranges::equal(a, b, {}, lower, lower);
}

}  // namespace image
