#include "image/inspect.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "base/lines.hpp"
#include "image/authenticode.hpp"
#include "image/discoverable_partitions.hpp"
#include "image/pe.hpp"

namespace image {

using base::Bytes;
using base::ByteView;
using base::fail;
using base::Kind;
using base::Result;

namespace {

constexpr std::uint64_t max_signature_partition = std::uint64_t{16} << 20;
constexpr std::string_view uki_directory = "EFI/Linux/";
constexpr std::string_view efi_suffix = ".efi";

std::optional<std::string> text_in(const PeHeaders& headers, ByteView file, std::string_view section_name) {
  const PeSection* section = headers.find(section_name);
  if (section == nullptr) return std::nullopt;
  return std::string(base::text_of(content_of(*section, file)));
}

Result<UkiFacts> inspect_uki(const FatReader& esp, const FatNode& file) {
  auto content = esp.read(file, max_pe_bytes);
  auto pe = content ? inspect_pe(*content) : Result<PeFacts>(std::unexpected(content.error()));
  return UkiFacts{file, parse_uki_file_name(file_name_of(file.path)), std::move(pe)};
}

Result<EspFacts> inspect_esp(base::BlockDevice& disk, const Partition& partition) {
  TRY(const base::DeviceRange device, partition_device(disk, partition));
  TRY(const FatReader esp, FatReader::open(device));
  TRY(std::vector<FatNode> nodes, esp.list());
  EspFacts facts{.volume_id = esp.volume_id()};
  for (FatNode& node : nodes) {
    if (node.is_directory) continue;
    if (is_uki_path(node.path)) {
      TRY(UkiFacts uki, inspect_uki(esp, node));
      facts.ukis.push_back(std::move(uki));
    }
    facts.files.push_back(std::move(node));
  }
  return facts;
}

Result<SlotFacts> inspect_slot(base::BlockDevice& disk, const SlotOnDisk& slot) {
  TRY(const base::DeviceRange root, partition_device(disk, slot.root));
  TRY(const base::DeviceRange tree, partition_device(disk, slot.verity));
  TRY(const base::DeviceRange signature, partition_device(disk, slot.signature));
  return SlotFacts{slot, erofs::read_superblock(root), verity::read_superblock(tree, 0),
                   read_signature_partition(signature)};
}

}  // namespace

Result<FileKind> recognise(const base::BlockDevice& file) {
  const auto table = read_partition_table(file);
  if (table || table.error().kind() != Kind::not_found) return FileKind::disk;
  Bytes head(static_cast<std::size_t>(std::min<std::uint64_t>(file.size_bytes(), 2048)));
  TRY_DO(file.read(0, head));
  const std::string_view text = base::text_of(head);
  if (text.starts_with("MZ")) return FileKind::pe;
  if (text.starts_with(std::string_view("verity\0\0", 8))) return FileKind::hash_tree;
  if (text.starts_with("QFI\xfb")) return FileKind::qcow2;
  if (head.size() >= erofs::superblock_offset + 4 &&
      base::load_le<std::uint32_t>(&head[erofs::superblock_offset]) == erofs::magic) {
    return FileKind::erofs;
  }
  const std::size_t start = text.find_first_not_of(" \t\r\n");
  if (start != std::string_view::npos && text[start] == '{') return FileKind::release;
  return FileKind::unknown;
}

Result<PeFacts> inspect_pe(ByteView file) {
  TRY(const PeHeaders headers, read_pe_headers(file));
  PeFacts facts{.size_bytes = file.size()};
  facts.sha256 = base::sha256(file);
  for (const PeSection& section : headers.sections) {
    const ByteView content = content_of(section, file);
    const base::Sha256Digest digest = base::sha256(content);
    facts.sections.push_back({section.name, content.size(), digest});
  }
  TRY(facts.claimed_signers, claimed_pe_signers(file));
  facts.cmdline = text_in(headers, file, ".cmdline");
  facts.uname = text_in(headers, file, ".uname");
  facts.os_release = text_in(headers, file, ".osrel");
  return facts;
}

std::optional<std::string> os_release_value(std::string_view text, std::string_view variable) {
  for (std::string_view line : base::lines_of(text)) {
    if (!line.starts_with(variable) || line.substr(variable.size(), 1) != "=") continue;
    line.remove_prefix(variable.size() + 1);
    const bool quoted =
        line.size() >= 2 && line.front() == line.back() && (line.front() == '"' || line.front() == '\'');
    return std::string(quoted ? line.substr(1, line.size() - 2) : line);
  }
  return std::nullopt;
}

Result<DiskFacts> inspect_disk(base::BlockDevice& disk) {
  TRY(TableOnDisk found, read_partition_table(disk));
  DiskFacts facts{.table = std::move(found)};
  for (const SlotOnDisk& slot : slots_of(facts.table.table)) {
    if (slot.is_empty()) continue;
    TRY(SlotFacts one, inspect_slot(disk, slot));
    facts.slots.push_back(std::move(one));
  }
  for (const Partition& partition : facts.table.table.partitions) {
    if (partition.type != partition_type::esp) continue;
    facts.esp = inspect_esp(disk, partition);
    break;
  }
  return facts;
}

Result<base::DeviceRange> partition_device(base::BlockDevice& disk, const Partition& partition) {
  std::string label = partition.label;
  std::ranges::replace_if(label, [](unsigned char c) { return c < ' ' || c > '~'; }, '?');
  return base::DeviceRange::of(disk, partition.offset_bytes, partition.size_bytes,
                               "partition " + std::to_string(partition.number) + " (" + label + ")");
}

bool is_uki_path(std::string_view path) {
  return path.size() > uki_directory.size() + efi_suffix.size() &&
         same_fat_path(path.substr(0, uki_directory.size()), uki_directory) &&
         same_fat_path(path.substr(path.size() - efi_suffix.size()), efi_suffix) &&
         !path.substr(uki_directory.size()).contains('/');
}

std::string_view file_name_of(std::string_view path) {
  return path.substr(path.rfind('/') + 1);  // npos + 1 is 0
}

Result<verity::SignaturePartition> read_signature_partition(const base::BlockDevice& partition) {
  if (partition.size_bytes() > max_signature_partition) {
    return fail(Kind::unsupported, partition.name() + " has " + std::to_string(partition.size_bytes()) +
                                       " bytes; 16 MiB are enough for any signature");
  }
  Bytes raw(static_cast<std::size_t>(partition.size_bytes()));
  TRY_DO(partition.read(0, raw));
  TRY(verity::SignaturePartition content, verity::SignaturePartition::decode(raw), partition.name());
  return content;
}

}  // namespace image
