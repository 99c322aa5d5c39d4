#include "image/verify_image.hpp"

#include <algorithm>
#include <iterator>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/human.hpp"
#include "image/authenticode.hpp"
#include "image/discoverable_partitions.hpp"
#include "image/inspect.hpp"
#include "image/kernel_cmdline.hpp"
#include "image/pe.hpp"
#include "verity/hash_tree.hpp"
#include "verity/root_hash_signature.hpp"

namespace image {

using base::Bytes;
using base::fail;
using base::Kind;
using base::ok;
using base::Result;

namespace {

constexpr std::string_view fallback_loader = "EFI/BOOT/BOOTX64.EFI";
constexpr std::string_view usual_loader = "EFI/systemd/systemd-bootx64.efi";

/// What the image is to blame for; everything else is the machine's fault, and ends the verification.
bool blames_the_image(Kind kind) {
  return kind != Kind::io && kind != Kind::permission && kind != Kind::cancelled;
}

std::string signed_by(const verity::Certificate& signer) {
  return "signed by " + signer.subject();
}

std::string name_of(const SlotOnDisk& slot) {
  return std::string("slot ") + to_string(slot.slot);
}

/// What a UKI's command line names.
struct NamedRoot {
  verity::RootHash root_hash;
  std::optional<base::Sha256Digest> signature_digest;
};
Result<NamedRoot> root_in_uki(base::ByteView uki) {
  TRY(const PeHeaders headers, read_pe_headers(uki));
  constexpr std::string_view section = ".cmdline";
  if (std::ranges::count(headers.sections, section, &PeSection::name) != 1) {
    return fail(Kind::corrupt, "it has not exactly one section .cmdline");
  }
  const std::string_view cmdline = base::text_of(content_of(*headers.find(section), uki));
  NamedRoot named;
  TRY(named.root_hash, root_hash_in(cmdline));
  TRY(named.signature_digest, signature_digest_in(cmdline));
  return named;
}

/// The identity that a label "<id>_<version>" names.
Result<ImageIdentity> identity_of(const std::string& label) {
  const std::size_t underscore = label.find('_');
  if (underscore == std::string::npos) return fail(Kind::corrupt, "the label \"" + label + "\" is no <id>_<version>");
  return ImageIdentity::of(label.substr(0, underscore), label.substr(underscore + 1));
}

Result<> check_salt(const verity::Superblock& superblock, const std::string& label) {
  TRY(const ImageIdentity identity, identity_of(label));
  const Bytes wanted = derive_verity_salt(identity);
  if (superblock.params.salt == wanted) return ok();
  return fail(Kind::corrupt,
              fmt::format("it is {}; {} follows from the image's id \"{}\"",
                          superblock.params.salt.empty() ? "empty" : base::to_hex(superblock.params.salt),
                          base::to_hex(wanted), identity.id()));
}

Result<verity::Certificate> check_root_hash_signature(const verity::SignaturePartition& content,
                                                      const verity::RootHash& root_hash,
                                                      const std::vector<verity::Certificate>& trusted) {
  TRY(verity::Certificate signer, verity::verify_root_hash_signature(root_hash, content.signature, trusted));
  if (content.certificate_fingerprint && *content.certificate_fingerprint != signer.fingerprint()) {
    return fail(Kind::corrupt, fmt::format("the partition names the certificate {}, but {} signed, {}",
                                           *content.certificate_fingerprint, signer.fingerprint(), signer.subject()));
  }
  return signer;
}

std::string first_of(const verity::VerifyReport& report, const std::string& data, const std::string& tree) {
  std::string text = fmt::format("{} block{} not match the root hash, first {}", report.bad_block_count,
                                 report.bad_block_count == 1 ? " does" : "s do",
                                 verity::describe(report.bad_blocks.front(), data, tree));
  if (report.data_blocks_unknown > 0) {
    text += fmt::format("; of {} data blocks below bad hash blocks nothing can be said", report.data_blocks_unknown);
  }
  return text;
}

class Verification {
 public:
  Verification(base::BlockDevice& disk, const Trust& trust, const VerifyImageOptions& options)
      : disk_(disk), trust_(trust), options_(options) {}

  Result<ImageReport> run() {
    TRY(const TableOnDisk table, read_partition_table(disk_));
    check_table(table);
    slots_ = slots_of(table.table);
    const bool both = slots_.size() == 2;
    add("slots", disk_.name(), both ? Outcome::ok : Outcome::failed,
        both ? "A and B are there" : "partitions 2 to 7 are not two slots of root, root-verity and root-verity-sig");
    TRY_DO(check_esp(table.table));
    for (const SlotOnDisk& slot : slots_) TRY_DO(check_slot(slot));
    return std::move(report_);
  }

 private:
  void add(std::string name, std::string object, Outcome outcome, std::string detail) {
    report_.checks.push_back({std::move(name), std::move(object), outcome, std::move(detail)});
  }
  void skip(std::string name, std::string object, std::string why) {
    add(std::move(name), std::move(object), Outcome::skipped, std::move(why));
  }
  /// Takes up how a check went; the value, where there is one. Fails: as `result` did, when the machine is to blame.
  template <class T, class Detail>
  Result<std::optional<T>> take_up(const char* name, const std::string& object, Result<T> result, Detail detail) {
    if (result) {
      add(name, object, Outcome::ok, detail(*result));
      return std::optional<T>(*std::move(result));
    }
    if (!blames_the_image(result.error().kind())) return std::unexpected(std::move(result).error());
    add(name, object, Outcome::failed, result.error().message());
    return std::optional<T>();
  }

  void check_table(const TableOnDisk& table) {
    switch (table.copies) {
      case TableCopies::agree:
        return add("partition-table", disk_.name(), Outcome::ok, "both copies are sound and agree");
      case TableCopies::differ:
        return add("partition-table", disk_.name(), Outcome::failed, "both copies are sound, but they differ");
      case TableCopies::backup_damaged:
        return add("partition-table", disk_.name(), Outcome::failed, "the backup is damaged: " + table.damage);
      case TableCopies::primary_damaged:
        return add("partition-table", disk_.name(), Outcome::failed, "the primary is damaged: " + table.damage);
    }
  }

  Result<> check_esp(const PartitionTable& table) {
    const auto partition = std::ranges::find(table.partitions, partition_type::esp, &Partition::type);
    if (partition == table.partitions.end()) {
      add("esp", disk_.name(), Outcome::failed, "there is no EFI System Partition");
      return ok();
    }
    TRY(const base::DeviceRange device, partition_device(disk_, *partition));
    auto reader = FatReader::open(device);
    auto listed = reader ? reader->list() : Result<std::vector<FatNode>>(std::unexpected(reader.error()));
    TRY(const auto nodes, take_up("esp", device.name(), std::move(listed),
                                  [](const auto& found) { return fmt::format("{} entries", found.size()); }));
    if (!nodes) return ok();
    TRY_DO(check_boot_loaders(*reader, *nodes));
    return check_ukis(*reader, *nodes);
  }

  /// The firmware starts the one in EFI/BOOT; the other may be named by a boot variable.
  Result<> check_boot_loaders(const FatReader& esp, const std::vector<FatNode>& nodes) {
    bool found = false;
    for (const FatNode& node : nodes) {
      const bool fallback = same_fat_path(node.path, fallback_loader);
      if (node.is_directory || (!fallback && !same_fat_path(node.path, usual_loader))) continue;
      found = found || fallback;
      TRY_DO(check_signature("boot-loader", esp, node));
    }
    if (!found) add("boot-loader", std::string(fallback_loader), Outcome::failed, "it is not there");
    return ok();
  }

  /// The file's content, when it could be read.
  Result<std::optional<Bytes>> check_signature(const char* name, const FatReader& esp, const FatNode& node) {
    auto content = esp.read(node, max_pe_bytes);
    auto signer = content ? verify_pe(*content, trust_.secure_boot)
                          : Result<verity::Certificate>(std::unexpected(content.error()));
    TRY_DO(take_up(name, node.path, std::move(signer), signed_by));
    if (!content) return std::optional<Bytes>();
    return std::optional<Bytes>(*std::move(content));
  }

  Result<> check_ukis(const FatReader& esp, const std::vector<FatNode>& nodes) {
    std::vector<FatNode> ukis;
    std::ranges::copy_if(nodes, std::back_inserter(ukis),
                         [](const FatNode& node) { return !node.is_directory && is_uki_path(node.path); });
    add("uki", "EFI/Linux", ukis.empty() ? Outcome::failed : Outcome::ok,
        ukis.empty() ? "there is no UKI" : fmt::format("{} there", ukis.size()));
    for (const FatNode& uki : ukis) TRY_DO(check_uki(esp, uki));
    return ok();
  }

  Result<> check_uki(const FatReader& esp, const FatNode& node) {
    TRY(const auto name, take_up("uki-name", node.path, parse_uki_file_name(file_name_of(node.path)),
                                 [](const UkiName& parsed) { return parsed.entry(); }));
    TRY(const auto content, check_signature("uki-signature", esp, node));
    if (!content) {
      skip("uki-root-hash", node.path, "it could not be read");
      skip("uki-slot", node.path, "it could not be read");
      return ok();
    }
    TRY(const auto named, take_up("uki-root-hash", node.path, root_in_uki(*content),
                                  [](const NamedRoot& found) { return found.root_hash.hex(); }));
    if (!named) {
      skip("uki-slot", node.path, "it names no root hash");
      return ok();
    }
    TRY_DO(
        take_up("uki-slot", node.path, slot_for(*named, name), [](const SlotOnDisk* slot) { return name_of(*slot); }));
    return ok();
  }

  /// The one slot with this root hash, whose label must be the UKI's, and whose signature the one that the UKI names.
  /// Remembered as named.
  Result<const SlotOnDisk*> slot_for(const NamedRoot& named, const std::optional<UkiName>& name) {
    const verity::RootHash& root_hash = named.root_hash;
    const auto matches = [&root_hash](const SlotOnDisk& slot) {
      return !slot.is_empty() && slot.root_hash() == root_hash;
    };
    const auto slot = std::ranges::find_if(slots_, matches);
    if (slot == slots_.end()) {
      return fail(Kind::corrupt,
                  fmt::format("no slot has the UUIDs {} and {}, which are cut from its root hash",
                              data_partition_uuid(root_hash).text(), hash_partition_uuid(root_hash).text()));
    }
    if (std::ranges::count_if(slots_, matches) > 1) {
      return fail(Kind::corrupt, "both slots have the UUIDs that are cut from its root hash");
    }
    named_.insert(slot->slot);
    for (const Partition* one : {&slot->root, &slot->verity, &slot->signature}) {
      if (!name || one->label == name->entry()) continue;
      return fail(Kind::corrupt, fmt::format(R"(partition {} of {} has the label "{}" instead of "{}")", one->number,
                                             name_of(*slot), one->label, name->entry()));
    }
    if (named.signature_digest) TRY_DO(check_signature_block(*slot, *named.signature_digest));
    return &*slot;
  }

  /// As keelson-init does at each boot.
  Result<> check_signature_block(const SlotOnDisk& slot, const base::Sha256Digest& expected) {
    TRY(const base::DeviceRange device, partition_device(disk_, slot.signature));
    Bytes block(signature_block_size);
    TRY_DO(device.read(0, block));
    if (base::sha256(block) == expected) return ok();
    return fail(Kind::corrupt, fmt::format("the signature on {} is not the one that its command line names, {}",
                                           device.name(), base::to_hex(expected)));
  }

  Result<> check_slot(const SlotOnDisk& slot) {
    if (slot.is_empty()) {
      add("slot", name_of(slot), Outcome::ok, "empty");
      return ok();
    }
    if (!named_.contains(slot.slot)) {
      add("slot", name_of(slot), Outcome::failed,
          "it is not empty, and no UKI names its root hash " + slot.root_hash().hex());
    }
    TRY_DO(check_data(slot));
    return check_signature_partition(slot);
  }

  Result<> check_data(const SlotOnDisk& slot) {
    TRY(const base::DeviceRange data, partition_device(disk_, slot.root));
    TRY(const base::DeviceRange tree, partition_device(disk_, slot.verity));
    std::optional<verity::Superblock> superblock;
    const auto open = [&]() -> Result<verity::HashTreeVerifier> {
      TRY(superblock, verity::read_superblock(tree, 0));
      TRY(verity::Geometry geometry, verity::Geometry::of(superblock->params, superblock->data_blocks));
      TRY(const std::uint64_t offset,
          verity::tree_offset(0, verity::HasSuperblock::yes, geometry.params().hash_block_size));
      return verity::HashTreeVerifier::create(data, tree, offset, std::move(geometry), slot.root_hash());
    };
    TRY(const auto verifier, take_up("superblock", tree.name(), open(), [](const verity::HashTreeVerifier& made) {
          return fmt::format("{} of data", base::human_bytes(made.geometry().data_bytes()));
        }));
    if (superblock) {
      TRY_DO(take_up("salt", tree.name(), check_salt(*superblock, slot.root.label),
                     [](const auto&) { return std::string("the one that follows from the image's id"); }));
    } else {
      skip("salt", tree.name(), "the superblock could not be read");
    }
    if (!verifier) {
      skip("hash-tree", data.name(), "the superblock is not good");
      return ok();
    }
    return check_blocks(*verifier, data.name(), tree.name());
  }

  Result<> check_blocks(const verity::HashTreeVerifier& verifier, const std::string& data, const std::string& tree) {
    verity::Effort effort{.threads = options_.threads};
    if (options_.watch) effort.advance = options_.watch("verifying " + data, verifier.geometry().data_bytes());
    TRY(const verity::VerifyReport report, verifier.verify_all(effort));
    if (report.intact()) {
      add("hash-tree", data, Outcome::ok, fmt::format("{} data blocks match", report.data_blocks_checked));
    } else {
      add("hash-tree", data, Outcome::failed, first_of(report, data, tree));
    }
    return ok();
  }

  Result<> check_signature_partition(const SlotOnDisk& slot) {
    TRY(const base::DeviceRange device, partition_device(disk_, slot.signature));
    const auto read = [&]() -> Result<verity::SignaturePartition> {
      TRY(verity::SignaturePartition content, read_signature_partition(device));
      if (content.root_hash == slot.root_hash()) return content;
      return fail(Kind::corrupt, fmt::format("it is of the root hash {}, the slot's UUIDs say {}",
                                             content.root_hash.hex(), slot.root_hash().hex()));
    };
    TRY(const auto content, take_up("signature-partition", device.name(), read(),
                                    [](const auto&) { return std::string("of this root hash"); }));
    if (!content) {
      skip("root-hash-signature", device.name(), "there is no signature of this root hash");
      return ok();
    }
    TRY_DO(take_up("root-hash-signature", device.name(),
                   check_root_hash_signature(*content, slot.root_hash(), trust_.root_hash), signed_by));
    return ok();
  }

  base::BlockDevice& disk_;
  const Trust& trust_;
  const VerifyImageOptions& options_;
  ImageReport report_;
  std::vector<SlotOnDisk> slots_;
  std::set<Slot> named_;  // by a UKI
};

}  // namespace

bool ImageReport::genuine() const {
  return count(Outcome::ok) == checks.size() && !checks.empty();
}

std::size_t ImageReport::count(Outcome outcome) const {
  return static_cast<std::size_t>(std::ranges::count(checks, outcome, &Check::outcome));
}

Result<ImageReport> verify_image(base::BlockDevice& disk, const Trust& trust, const VerifyImageOptions& options) {
  if (trust.root_hash.empty() || trust.secure_boot.empty()) {
    return fail(Kind::invalid_input, "verifying an image needs a certificate for root hashes and one for Secure Boot");
  }
  TRY(ImageReport report, Verification(disk, trust, options).run(), "verifying " + disk.name());
  return report;
}

}  // namespace image
