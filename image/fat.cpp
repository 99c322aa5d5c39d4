#include "image/fat.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "image/fat_geometry.hpp"
#include "image/fat_name.hpp"

namespace image {

using base::Bytes;
using base::ByteView;
using base::divide_rounding_up;
using base::fail;
using base::Kind;
using base::MutableByteView;
using base::ok;
using base::Result;
using base::store_le;

namespace {

constexpr std::size_t entry_size = 32;
constexpr std::size_t max_directory_entries = 65536;  // fatgen103
constexpr std::uint64_t max_file_size = UINT32_MAX;
constexpr std::size_t max_path_size = 1024;
constexpr std::size_t label_size = 11;
constexpr std::size_t piece_size = std::size_t{1} << 20;
constexpr std::string_view label_characters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 $%'-_@~`!(){}^#&";

constexpr std::uint8_t volume_label_attribute = 0x08;
constexpr std::uint8_t directory_attribute = 0x10;
constexpr std::uint8_t archive_attribute = 0x20;

constexpr std::uint32_t end_of_chain = 0x0fffffff;
constexpr std::uint32_t table_entry_0 = 0x0ffffff8;  // its low byte is the medium
constexpr std::uint32_t table_entry_1 = 0x0fffffff;  // cleanly unmounted, no hard error
constexpr std::uint8_t fixed_medium = 0xf8;

constexpr std::uint16_t info_sector = 1;
constexpr std::uint16_t backup_sector = 6;

struct Run {
  std::uint32_t first = 0;  // 0: an empty file
  std::uint32_t count = 0;
};

struct Node {
  std::map<std::string, std::unique_ptr<Node>, std::less<>> children;  // bytewise
  const FatContent* content = nullptr;                                 // none: a directory
  const Node* parent = nullptr;                                        // none: the root
  std::string path;
  std::vector<FatName> child_names;  // in the order of `children`
  Run run;

  bool is_directory() const { return content == nullptr; }
};

/// Time and date as directory entries hold them.
struct Stamp {
  std::uint8_t hundredths = 0;
  std::uint16_t time = 0;
  std::uint16_t date = 0;
};

Stamp stamp_of(std::chrono::sys_seconds when) {
  using std::chrono::sys_days;
  using std::chrono::year;
  constexpr int first_year = 1980;
  constexpr std::chrono::sys_seconds first = sys_days(year(first_year) / 1 / 1);
  constexpr std::chrono::sys_seconds last = sys_days(year(2108) / 1 / 1) - std::chrono::seconds(1);
  when = std::clamp(when, first, last);
  const auto day = std::chrono::floor<std::chrono::days>(when);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss<std::chrono::seconds> time(when - day);
  const auto seconds = static_cast<unsigned>(time.seconds().count());
  const auto years = static_cast<unsigned>(static_cast<int>(date.year()) - first_year);
  return {
      .hundredths = static_cast<std::uint8_t>(seconds % 2 * 100),
      .time = static_cast<std::uint16_t>(static_cast<unsigned>(time.hours().count()) << 11U |
                                         static_cast<unsigned>(time.minutes().count()) << 5U | seconds / 2),
      .date = static_cast<std::uint16_t>(years << 9U | static_cast<unsigned>(date.month()) << 5U |
                                         static_cast<unsigned>(date.day())),
  };
}

// The tree.

Result<Node*> step_into(Node& directory, std::string_view name) {
  if (!directory.is_directory()) {
    return fail(Kind::invalid_input, "\"" + directory.path + "\" is both a file and a directory");
  }
  TRY_DO(check_fat_name(name));
  auto& child = directory.children[std::string(name)];
  if (!child) {
    child = std::make_unique<Node>();
    child->parent = &directory;
    child->path = directory.path.empty() ? std::string(name) : directory.path + "/" + std::string(name);
    child->content = nullptr;
  }
  return child.get();
}

Result<> add(Node& root, const FatEntry& entry) {
  if (entry.path.size() > max_path_size) {
    return fail(Kind::invalid_input, "a path of " + std::to_string(entry.path.size()) + " bytes; " +
                                         std::to_string(max_path_size) + " are allowed");
  }
  Node* node = &root;
  std::string_view rest = entry.path;
  while (true) {
    const std::size_t slash = rest.find('/');
    TRY(node, step_into(*node, rest.substr(0, slash)), "\"" + entry.path + "\"");
    if (slash == std::string_view::npos) break;
    rest.remove_prefix(slash + 1);
  }
  if (!entry.content) {
    if (!node->is_directory())
      return fail(Kind::invalid_input, "\"" + node->path + "\" is both a file and a directory");
    return ok();
  }
  if (!node->is_directory()) return fail(Kind::invalid_input, "\"" + node->path + "\" is given twice");
  if (!node->children.empty())
    return fail(Kind::invalid_input, "\"" + node->path + "\" is both a file and a directory");
  if (entry.content->size_bytes() > max_file_size) {
    return fail(Kind::invalid_input, "\"" + node->path + "\" has " + std::to_string(entry.content->size_bytes()) +
                                         " bytes; a file on FAT has less than 4 GiB");
  }
  node->content = &*entry.content;
  return ok();
}

/// Every node below, a directory before what is in it, without the root.
void list(Node& directory, std::vector<Node*>& to) {
  for (const auto& [name, child] : directory.children) {
    to.push_back(child.get());
    list(*child, to);
  }
}

Result<> name_children(Node& directory) {
  std::vector<std::string_view> names;
  names.reserve(directory.children.size());
  for (const auto& [name, child] : directory.children) names.emplace_back(name);
  TRY(directory.child_names, name_fat_directory(names),
      directory.path.empty() ? "the root directory" : "\"" + directory.path + "\"");
  return ok();
}

/// 32-byte entries: "." and "..", or the label, count too.
std::size_t entries_in(const Node& directory, const FatVolume& volume) {
  std::size_t count = 2;
  if (directory.parent == nullptr) count = volume.label.empty() ? 0 : 1;
  for (const FatName& name : directory.child_names) count += name.entries();
  return count;
}

/// What lies where, decided before anything is written.
struct Plan {
  const FatVolume& volume;
  FatGeometry geometry;
  Stamp stamp;
  Node root;
  std::vector<Node*> in_order;  // as their runs lie on the volume; empty files last in their order, without a run
  std::uint64_t used_clusters = 0;
};

/// Bytes that the node takes, before they are rounded up to clusters.
Result<std::uint64_t> bytes_of_node(const Plan& plan, const Node& node) {
  if (!node.is_directory()) return node.content->size_bytes();
  const std::size_t entries = entries_in(node, plan.volume);
  if (entries > max_directory_entries) {
    return fail(Kind::invalid_input, "the directory \"" + node.path + "\" takes " + std::to_string(entries) +
                                         " entries; FAT holds " + std::to_string(max_directory_entries));
  }
  return std::max<std::uint64_t>(1, entries) * entry_size;  // an empty root directory still has a cluster
}

Result<> allocate(Plan& plan) {
  std::uint64_t next = FatGeometry::first_cluster;
  const std::uint64_t cluster_bytes = plan.geometry.cluster_bytes();
  for (Node* node : plan.in_order) {
    TRY(const std::uint64_t bytes, bytes_of_node(plan, *node));
    const std::uint64_t count = divide_rounding_up(bytes, cluster_bytes);
    // Truncated only where there is no room anyway, which is found below.
    if (count != 0) node->run = {static_cast<std::uint32_t>(next), static_cast<std::uint32_t>(count)};
    next += count;
  }
  plan.used_clusters = next - FatGeometry::first_cluster;
  if (plan.used_clusters > plan.geometry.clusters) {
    return fail(Kind::no_space, "the files take " + std::to_string(plan.used_clusters * cluster_bytes) +
                                    " bytes in clusters of " + std::to_string(cluster_bytes) + "; the volume of " +
                                    std::to_string(plan.volume.size_bytes) + " bytes has room for " +
                                    std::to_string(plan.geometry.clusters * cluster_bytes));
  }
  return ok();
}

Result<> check_label(std::string_view label) {
  if (label.size() > label_size) {
    return fail(Kind::invalid_input, "the label \"" + std::string(label) + "\" is longer than 11 characters");
  }
  for (const char c : label) {
    if (!label_characters.contains(c)) {
      return fail(Kind::invalid_input,
                  "a label of a FAT volume has only upper case letters, digits, blanks and "
                  "$%'-_@~`!(){}^#&");
    }
  }
  if (label.starts_with(' ')) return fail(Kind::invalid_input, "the label of a FAT volume begins with a blank");
  return ok();
}

Result<> make_plan(Plan& plan, std::span<const FatEntry> entries) {
  TRY_DO(check_label(plan.volume.label));
  TRY(plan.geometry, FatGeometry::of(plan.volume.size_bytes, plan.volume.sector_size));
  plan.stamp = stamp_of(plan.volume.timestamp);
  for (const FatEntry& entry : entries) TRY_DO(add(plan.root, entry));
  plan.in_order.push_back(&plan.root);
  list(plan.root, plan.in_order);
  // Directories first, each kind in the order that it had.
  std::vector<Node*> files;
  std::ranges::copy_if(plan.in_order, std::back_inserter(files),
                       [](const Node* node) { return !node->is_directory(); });
  std::erase_if(plan.in_order, [](const Node* node) { return !node->is_directory(); });
  plan.in_order.insert(plan.in_order.end(), files.begin(), files.end());
  for (Node* node : plan.in_order) {
    if (node->is_directory()) TRY_DO(name_children(*node));
  }
  return allocate(plan);
}

// The bytes.

/// The volume as a part of the device.
class Target {
 public:
  Target(base::BlockDevice& device, std::uint64_t offset) : device_(device), offset_(offset) {}

  Result<> write(std::uint64_t at, ByteView bytes) { return device_.write(offset_ + at, bytes); }

 private:
  base::BlockDevice& device_;
  std::uint64_t offset_;
};

void put_text(std::byte* to, std::string_view text) {
  std::ranges::copy(base::bytes_of(text), to);
}

std::string padded_label(std::string_view label) {
  std::string text(label.empty() ? "NO NAME" : label);
  text.resize(label_size, ' ');
  return text;
}

constexpr std::uint16_t sector_signature = 0xaa55;
constexpr std::size_t at_sector_signature = 510;  // whatever the size of a sector

Bytes boot_sector(const Plan& plan) {
  const FatGeometry& geometry = plan.geometry;
  Bytes raw(geometry.sector_size);
  put_text(&raw[0], "\xeb\x58\x90");   // x86: jump to offset 90
  put_text(&raw[3], "MSWIN4.1");       // fatgen103 recommends it: some readers look
  put_text(&raw[90], "\xf4\xeb\xfd");  // x86: halt, again and again
  store_le(&raw[11], static_cast<std::uint16_t>(geometry.sector_size));
  store_le(&raw[13], static_cast<std::uint8_t>(geometry.sectors_per_cluster));
  store_le(&raw[14], static_cast<std::uint16_t>(geometry.reserved_sectors));
  store_le(&raw[16], std::uint8_t{2});  // tables
  store_le(&raw[21], fixed_medium);
  store_le(&raw[24], std::uint16_t{63});  // sectors per track and heads: as every disk says that has neither
  store_le(&raw[26], std::uint16_t{255});
  store_le(&raw[32], geometry.total_sectors);
  store_le(&raw[36], geometry.table_sectors);
  store_le(&raw[44], FatGeometry::first_cluster);  // of the root directory
  store_le(&raw[48], info_sector);
  store_le(&raw[50], backup_sector);
  store_le(&raw[64], std::uint8_t{0x80});  // a fixed disk
  store_le(&raw[66], std::uint8_t{0x29});  // the next three fields are there
  store_le(&raw[67], plan.volume.id);
  put_text(&raw[71], padded_label(plan.volume.label));
  put_text(&raw[82], "FAT32   ");
  store_le(&raw[at_sector_signature], sector_signature);
  return raw;
}

Bytes info_sector_of(const Plan& plan) {
  constexpr std::uint32_t unknown = UINT32_MAX;
  const auto used = static_cast<std::uint32_t>(plan.used_clusters);
  Bytes raw(plan.geometry.sector_size);
  put_text(&raw[0], "RRaA");
  put_text(&raw[484], "rrAa");
  store_le(&raw[488], plan.geometry.clusters - used);
  store_le(&raw[492], used == plan.geometry.clusters ? unknown : FatGeometry::first_cluster + used);
  store_le(&raw[at_sector_signature], sector_signature);
  return raw;
}

Result<> write_reserved_sectors(const Plan& plan, Target& to) {
  const Bytes boot = boot_sector(plan);
  const Bytes info = info_sector_of(plan);
  for (const std::uint64_t first : {std::uint64_t{0}, std::uint64_t{backup_sector}}) {
    TRY_DO(to.write(first * plan.geometry.sector_size, boot));
    TRY_DO(to.write((first + info_sector) * plan.geometry.sector_size, info));
  }
  return ok();
}

/// The used part of a table in whole sectors, in memory: 512 KiB for a full ESP of 512 MiB.
Bytes table_of(const Plan& plan) {
  std::vector<std::uint32_t> next{table_entry_0, table_entry_1};
  next.reserve(plan.used_clusters + 2);
  for (const Node* node : plan.in_order) {
    for (std::uint32_t i = 1; i < node->run.count; ++i) next.push_back(node->run.first + i);
    if (node->run.count != 0) next.push_back(end_of_chain);
  }
  const std::uint64_t sector = plan.geometry.sector_size;
  Bytes raw(divide_rounding_up(next.size() * sizeof(std::uint32_t), sector) * sector);
  for (std::size_t i = 0; i < next.size(); ++i) store_le(&raw[i * sizeof(std::uint32_t)], next[i]);
  return raw;
}

void append_entry(Bytes& to, std::string_view short_name, std::uint8_t attributes, std::uint8_t case_flags,
                  const Stamp& stamp, const Run& run, std::uint64_t size_bytes) {
  std::array<std::byte, entry_size> entry{};
  put_text(entry.data(), short_name);
  store_le(&entry[11], attributes);
  store_le(&entry[12], case_flags);
  store_le(&entry[13], stamp.hundredths);  // created
  store_le(&entry[14], stamp.time);
  store_le(&entry[16], stamp.date);
  store_le(&entry[18], stamp.date);  // read
  store_le(&entry[20], static_cast<std::uint16_t>(run.first >> 16U));
  store_le(&entry[22], stamp.time);  // written
  store_le(&entry[24], stamp.date);
  store_le(&entry[26], static_cast<std::uint16_t>(run.first & 0xffffU));
  store_le(&entry[28], static_cast<std::uint32_t>(size_bytes));
  to.insert(to.end(), entry.begin(), entry.end());
}

Bytes directory_bytes(const Plan& plan, const Node& directory) {
  Bytes raw;
  if (directory.parent != nullptr) {
    // ".." of a directory in the root says 0, not the root's own cluster.
    const Run up = directory.parent->parent == nullptr ? Run{} : directory.parent->run;
    append_entry(raw, ".          ", directory_attribute, 0, plan.stamp, directory.run, 0);
    append_entry(raw, "..         ", directory_attribute, 0, plan.stamp, up, 0);
  } else if (!plan.volume.label.empty()) {
    append_entry(raw, padded_label(plan.volume.label), volume_label_attribute, 0, plan.stamp, {}, 0);
  }
  auto name = directory.child_names.begin();
  for (const auto& [text, child] : directory.children) {
    append_long_name(raw, *name);
    const std::string_view short_name(name->short_name.data(), name->short_name.size());
    append_entry(raw, short_name, child->is_directory() ? directory_attribute : archive_attribute, name->case_flags,
                 plan.stamp, child->run, child->is_directory() ? 0 : child->content->size_bytes());
    ++name;
  }
  return raw;
}

Result<> copy(const FatContent& content, Target& to, std::uint64_t at) {
  Bytes piece(std::min<std::uint64_t>(piece_size, content.size_bytes()));
  for (std::uint64_t done = 0; done < content.size_bytes();) {
    const MutableByteView part(piece.data(), std::min<std::uint64_t>(piece.size(), content.size_bytes() - done));
    TRY_DO(content.read(done, part));
    TRY_DO(to.write(at + done, part));
    done += part.size();
  }
  return ok();
}

Result<> write_node(const Plan& plan, const Node& node, Target& to) {
  if (node.run.count == 0) return ok();
  const std::uint64_t at = plan.geometry.cluster_offset(node.run.first);
  if (node.is_directory()) return to.write(at, directory_bytes(plan, node));
  TRY_DO(copy(*node.content, to, at), "writing \"" + node.path + "\"");
  return ok();
}

}  // namespace

FatContent FatContent::view(ByteView bytes) {
  return {bytes.size(), [bytes](std::uint64_t offset, MutableByteView into) {
            std::ranges::copy(bytes.subspan(offset, into.size()), into.begin());
            return ok();
          }};
}

FatContent FatContent::owned(std::string text) {
  const std::size_t size = text.size();
  return {size, [text = std::move(text)](std::uint64_t offset, MutableByteView into) {
            std::ranges::copy(base::bytes_of(text).subspan(offset, into.size()), into.begin());
            return ok();
          }};
}

FatContent FatContent::source(std::uint64_t size_bytes, Read read) {
  return {size_bytes, std::move(read)};
}

Result<FatSummary> write_fat(const FatVolume& volume, std::span<const FatEntry> entries, base::BlockDevice& to,
                             std::uint64_t offset) {
  Plan plan{.volume = volume};
  TRY_DO(make_plan(plan, entries));
  if (offset > to.size_bytes() || volume.size_bytes > to.size_bytes() - offset) {
    return fail(Kind::no_space, "a FAT32 volume of " + std::to_string(volume.size_bytes) + " bytes at offset " +
                                    std::to_string(offset) + " does not fit on " + to.name() + " of " +
                                    std::to_string(to.size_bytes()) + " bytes");
  }
  Target target(to, offset);
  TRY_DO(write_reserved_sectors(plan, target));
  const Bytes table = table_of(plan);
  for (const unsigned copy_number : {0U, 1U}) TRY_DO(target.write(plan.geometry.table_offset(copy_number), table));
  for (const Node* node : plan.in_order) TRY_DO(write_node(plan, *node, target));
  return FatSummary{plan.geometry.cluster_bytes(), plan.geometry.clusters, plan.used_clusters};
}

}  // namespace image
