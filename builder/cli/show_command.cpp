#include "builder/cli/show_command.hpp"

#include <memory>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "base/block_device.hpp"
#include "base/file.hpp"
#include "base/human.hpp"
#include "base/lines.hpp"
#include "builder/effective_yaml.hpp"
#include "builder/manifest/manifest.hpp"
#include "image/discoverable_partitions.hpp"
#include "image/inspect.hpp"

namespace builder {

using base::fail;
using base::Json;
using base::Kind;
using base::Result;

namespace {

struct ShowOptions {
  std::string path;
};

std::string size_text(std::uint64_t bytes) {
  return fmt::format("{} ({} bytes)", base::human_bytes(bytes), bytes);
}

/// The error of something inside of what is shown.
template <class T>
Json error_json(const Result<T>& failed) {
  return {{"error", {{"kind", to_string(failed.error().kind())}, {"message", failed.error().message()}}}};
}

// --- EROFS -----------------------------------------------------------------------------------------------------------

Json json_of(const image::erofs::SuperblockInfo& info) {
  return {{"uuid", info.uuid.text()},
          {"volume_name", info.volume_name},
          {"time", info.time},
          {"size_bytes", info.size_bytes()},
          {"blocks", info.blocks},
          {"inodes", info.inodes},
          {"compatible_features", info.compatible_features},
          {"incompatible_features", info.incompatible_features}};
}

Result<> show_erofs(const base::BlockDevice& file, const Console& console) {
  TRY(const image::erofs::SuperblockInfo info, image::erofs::read_superblock(file));
  FactSheet facts;
  facts.add("type", "EROFS image");
  facts.add("uuid", info.uuid.text());
  facts.add("volume_name", Json(info.volume_name), printable(info.volume_name));
  facts.add("time", info.time, fmt::format("{} s since 1970", info.time));
  facts.add("size_bytes", info.size_bytes(), size_text(info.size_bytes()));
  facts.add("blocks", info.blocks, fmt::format("{} of {} bytes", info.blocks, image::erofs::block_size));
  facts.add("inodes", info.inodes, fmt::format("{}", info.inodes));
  facts.add("compatible_features", info.compatible_features, fmt::format("{:#x}", info.compatible_features));
  facts.add("incompatible_features", info.incompatible_features, fmt::format("{:#x}", info.incompatible_features));
  console.show(facts);
  return base::ok();
}

// --- PE and UKI ------------------------------------------------------------------------------------------------------

std::string joined(const std::vector<std::string>& texts) {
  std::string text;
  for (const std::string& one : texts) text += (text.empty() ? "" : "; ") + printable(one);
  return text;
}

std::string sections_text(const std::vector<image::PeSectionFacts>& sections, std::string_view indent) {
  std::string text;
  for (const auto& section : sections) {
    text +=
        fmt::format("\n{}{:<8}  {:>10}  {}", indent, section.name, section.size_bytes, base::to_hex(section.sha256));
  }
  return text;
}

void add_pe(FactSheet& facts, const image::PeFacts& pe, std::string_view indent) {
  facts.add("size_bytes", pe.size_bytes, size_text(pe.size_bytes));
  facts.add("sha256", base::to_hex(pe.sha256));
  facts.add("claimed_signers", Json(pe.claimed_signers),
            pe.claimed_signers.empty() ? "none: not signed" : joined(pe.claimed_signers) + " (not verified)");
  if (pe.os_release) {
    Json values = Json::object();
    for (const char* variable : {"PRETTY_NAME", "ID", "IMAGE_ID", "IMAGE_VERSION", "VERSION", "VERSION_ID"}) {
      if (auto value = image::os_release_value(*pe.os_release, variable)) values[variable] = *std::move(value);
    }
    std::string text;
    for (const auto& [variable, value] : values.items()) {
      text += fmt::format("{}{}={}", text.empty() ? "" : ", ", variable, printable(value.get<std::string>()));
    }
    facts.add("os_release", std::move(values), std::move(text));
  }
  if (pe.uname) facts.add("uname", Json(*pe.uname), printable(*pe.uname));
  if (pe.cmdline) facts.add("cmdline", Json(*pe.cmdline), printable(*pe.cmdline));
  Json sections = Json::array();
  for (const auto& section : pe.sections) {
    sections.push_back(
        {{"name", section.name}, {"size_bytes", section.size_bytes}, {"sha256", base::to_hex(section.sha256)}});
  }
  facts.add("sections", std::move(sections), sections_text(pe.sections, indent));
}

Result<> show_pe(const base::BlockDevice& file, const Console& console) {
  if (file.size_bytes() > image::max_pe_bytes) {
    return fail(Kind::invalid_input, fmt::format("{} has {} bytes; a PE file of at most {} is read", file.name(),
                                                 file.size_bytes(), image::max_pe_bytes));
  }
  base::Bytes content(static_cast<std::size_t>(file.size_bytes()));
  TRY_DO(file.read(0, content));
  TRY(const image::PeFacts pe, image::inspect_pe(content), file.name());
  FactSheet facts;
  facts.add("type", pe.cmdline ? "Unified Kernel Image" : "PE file");
  add_pe(facts, pe, "  ");
  console.show(facts);
  return base::ok();
}

// --- Disk ------------------------------------------------------------------------------------------------------------

std::string type_name(const base::Uuid& type) {
  namespace types = image::partition_type;
  const std::pair<base::Uuid, const char*> known[] = {{types::esp, "esp"},
                                                      {types::root_x86_64, "root-x86-64"},
                                                      {types::root_verity_x86_64, "root-x86-64-verity"},
                                                      {types::root_verity_signature_x86_64, "root-x86-64-verity-sig"},
                                                      {types::var, "var"},
                                                      {types::linux_generic, "linux-generic"}};
  for (const auto& [uuid, name] : known) {
    if (uuid == type) return name;
  }
  return type.text();
}

const char* to_string(image::TableCopies copies) {
  switch (copies) {
    case image::TableCopies::agree:
      return "agree";
    case image::TableCopies::differ:
      return "differ";
    case image::TableCopies::backup_damaged:
      return "backup_damaged";
    case image::TableCopies::primary_damaged:
      return "primary_damaged";
  }
  return "differ";
}

void add_table(FactSheet& facts, const image::TableOnDisk& found) {
  facts.add("disk_uuid", found.table.disk_uuid.text());
  facts.add("sector_size", found.table.sector_size, fmt::format("{} bytes", found.table.sector_size));
  facts.add("table_copies", Json(to_string(found.copies)),
            fmt::format("{}{}{}", to_string(found.copies), found.damage.empty() ? "" : ": ", found.damage));
  Json list = Json::array();
  std::string text;
  for (const image::Partition& one : found.table.partitions) {
    list.push_back({{"number", one.number},
                    {"label", one.label},
                    {"type", type_name(one.type)},
                    {"type_uuid", one.type.text()},
                    {"uuid", one.uuid.text()},
                    {"offset_bytes", one.offset_bytes},
                    {"size_bytes", one.size_bytes},
                    {"flags", one.flags}});
    text += fmt::format("\n  {:>3}  {:<20}  {:<22}  {:>9}  {}", one.number, printable(one.label), type_name(one.type),
                        base::human_bytes(one.size_bytes), one.uuid.text());
  }
  facts.add("partitions", std::move(list), std::move(text));
}

std::string signature_text(const image::SlotFacts& slot) {
  if (!slot.signature) return printable(slot.signature.error().message());
  const bool same = slot.signature->root_hash == slot.slot.root_hash();
  return fmt::format("{}, {} bytes, certificate {} (not verified)", same ? "of this root hash" : "of another root hash",
                     slot.signature->signature.size(), slot.signature->certificate_fingerprint.value_or("not named"));
}

Json signature_json(const image::SlotFacts& slot) {
  if (!slot.signature) return error_json(slot.signature);
  Json json = {{"root_hash", slot.signature->root_hash.hex()}, {"size_bytes", slot.signature->signature.size()}};
  if (slot.signature->certificate_fingerprint)
    json["certificate_fingerprint"] = *slot.signature->certificate_fingerprint;
  return json;
}

Json hash_tree_json(const image::SlotFacts& slot) {
  if (!slot.hash_tree) return error_json(slot.hash_tree);
  return {{"uuid", slot.hash_tree->uuid.text()},
          {"salt", base::to_hex(slot.hash_tree->params.salt)},
          {"data_blocks", slot.hash_tree->data_blocks}};
}

void add_slot(FactSheet& facts, const image::SlotFacts& slot) {
  const std::string key = slot.slot.slot == image::Slot::a ? "slot_a" : "slot_b";
  const std::string root_text =
      slot.root ? fmt::format("EROFS, {}, {} inodes", size_text(slot.root->size_bytes()), slot.root->inodes)
                : printable(slot.root.error().message());
  facts.add(key,
            {{"label", slot.slot.root.label},
             {"root_hash", slot.slot.root_hash().hex()},
             {"root", slot.root ? json_of(*slot.root) : error_json(slot.root)},
             {"hash_tree", hash_tree_json(slot)},
             {"signature", signature_json(slot)}},
            fmt::format("{}\n  root hash  {}\n  root       {}\n  signature  {}", printable(slot.slot.root.label),
                        slot.slot.root_hash().hex(), root_text, signature_text(slot)));
}

const char* to_string(image::BootAssessment assessment) {
  switch (assessment) {
    case image::BootAssessment::good:
      return "good";
    case image::BootAssessment::indeterminate:
      return "on trial";
    case image::BootAssessment::bad:
      return "bad";
  }
  return "bad";
}

std::string tries_text(const Result<image::UkiName>& name) {
  if (!name) return "a name that is not ours";
  const char* assessment = to_string(name->assessment());
  if (!name->tries) return assessment;
  return fmt::format("{}, {} tries left, {} done", assessment, name->tries->left, name->tries->done);
}

Json uki_json(const image::UkiFacts& uki) {
  Json json = {{"path", uki.file.path}};
  if (uki.name) {
    json["id"] = uki.name->id;
    json["version"] = uki.name->version;
    json["assessment"] = to_string(uki.name->assessment());
    if (uki.name->tries) {
      json["tries_left"] = uki.name->tries->left;
      json["tries_done"] = uki.name->tries->done;
    }
  }
  if (!uki.pe) {
    json.update(error_json(uki.pe));
    return json;
  }
  FactSheet facts;
  add_pe(facts, *uki.pe, "");
  json.update(facts.json());
  return json;
}

/// A table inside of a table.
std::string indented(const std::string& text) {
  std::string result;
  for (const std::string_view line : base::lines_of(text)) result.append("\n    ").append(line);
  return result;
}

std::string uki_text(const image::UkiFacts& uki) {
  const std::string head = fmt::format("\n  {} ({})", printable(uki.file.path), tries_text(uki.name));
  if (!uki.pe) return head + ": " + printable(uki.pe.error().message());
  FactSheet facts;
  add_pe(facts, *uki.pe, "  ");
  return head + indented(facts.table());
}

void add_esp(FactSheet& facts, const Result<image::EspFacts>& esp) {
  if (!esp) {
    facts.add("esp", error_json(esp), printable(esp.error().message()));
    return;
  }
  Json files = Json::array();
  std::string files_text;
  for (const image::FatNode& file : esp->files) {
    files.push_back({{"path", file.path}, {"size_bytes", file.size_bytes}});
    files_text += fmt::format("\n  {:>10}  {}", file.size_bytes, printable(file.path));
  }
  facts.add("esp", {{"volume_id", fmt::format("{:08x}", esp->volume_id)}, {"files", std::move(files)}}, files_text);
  Json ukis = Json::array();
  std::string ukis_text;
  for (const image::UkiFacts& uki : esp->ukis) {
    ukis.push_back(uki_json(uki));
    ukis_text += uki_text(uki);
  }
  facts.add("ukis", std::move(ukis), esp->ukis.empty() ? "none" : std::move(ukis_text));
}

Result<> show_disk(base::BlockDevice& disk, const Console& console) {
  TRY(const image::DiskFacts found, image::inspect_disk(disk));
  FactSheet facts;
  facts.add("type", "disk image");
  facts.add("size_bytes", disk.size_bytes(), size_text(disk.size_bytes()));
  add_table(facts, found.table);
  for (const image::SlotFacts& slot : found.slots) add_slot(facts, slot);
  if (found.esp) add_esp(facts, *found.esp);
  console.show(facts);
  return base::ok();
}

// --- Release ---------------------------------------------------------------------------------------------------------

std::string uki_text(const image::Release& release) {
  if (const auto* whole = std::get_if<image::WholeUki>(&release.uki)) {
    return fmt::format("whole: {}, {}", whole->name, size_text(whole->size_bytes));
  }
  const auto& parts = std::get<image::UkiFromParts>(release.uki);
  std::string text = fmt::format("from parts, {}, {}", size_text(parts.size_bytes),
                                 parts.signature.empty() ? "not signed" : "signed (not verified)");
  for (const image::FileInCommit* part : {&parts.stub, &parts.os_release, &parts.initrd, &parts.kernel}) {
    text += fmt::format("\n  {}  {:>10}  {}", base::to_hex(part->sha256), part->size_bytes, part->path);
  }
  return text + "\n  uname    " + parts.uname + "\n  cmdline  " + parts.cmdline;
}

Result<> show_release(const std::string& path, const Console& console) {
  TRY(const std::string text, base::read_file(path, image::max_release_bytes));
  TRY(const image::Release release, image::parse_release(text), path);
  TRY(Json json, base::parse_json(image::to_json(release), {.max_bytes = 2 * image::max_release_bytes}));
  FactSheet facts;
  const auto add = [&](const char* key, const char* member, std::string value) {
    facts.add(key, json[member], std::move(value));
  };
  facts.add("type", "release");
  add("image", "image", release.identity.label());
  add("commit", "commit", base::to_hex(release.commit));
  add("composer", "composer",
      fmt::format("version {}, {}, clusters of {}", release.composer.version,
                  json["composer"]["compression"].get<std::string>(),
                  base::human_bytes(release.composer.cluster_bytes)));
  add("root", "root",
      fmt::format("{}\n  image      {}\n  hash tree  {}\n  slot       {}\n  signature  {} bytes (not verified)",
                  release.root_hash.hex(), size_text(release.image_bytes), size_text(release.hash_tree_bytes),
                  size_text(release.slot_bytes), release.root_hash_signature.size()));
  add("erofs", "erofs", fmt::format("{}, {} s since 1970", release.erofs_uuid.text(), release.erofs_time));
  add("uki", "uki", uki_text(release));
  add("full_image", "full_image",
      fmt::format("{}, {}", release.full_image.name, size_text(release.full_image.size_bytes)));
  add("agent", "agent", release.minimum_agent_version + " or later");
  console.show(facts);
  return base::ok();
}

/// The effective manifest, each value with where it came from.
Result<> show_manifest(const std::string& path, const Console& console) {
  TRY(const manifest::Value effective, manifest::load_effective(path));
  TRY_DO(manifest::manifest_of(effective));
  console.show(printable(to_yaml(effective, Places::shown), LineFeeds::keep),
               Json{{"manifest", path}, {"effective", to_yaml(effective, Places::hidden)}});
  return base::ok();
}

Result<> show(const ShowOptions& options, const Console& console) {
  if (options.path.ends_with(".yaml") || options.path.ends_with(".yml")) return show_manifest(options.path, console);
  TRY(const auto file, base::FileDevice::open(options.path, base::Access::read_only));
  TRY(const image::FileKind kind, image::recognise(*file));
  switch (kind) {
    case image::FileKind::disk:
      return show_disk(*file, console);
    case image::FileKind::erofs:
      return show_erofs(*file, console);
    case image::FileKind::pe:
      return show_pe(*file, console);
    case image::FileKind::release:
      return show_release(options.path, console);
    case image::FileKind::hash_tree:
      return fail(Kind::unsupported, options.path + " is a hash tree; keelson verity dump shows it");
    case image::FileKind::qcow2:
      return fail(Kind::unsupported,
                  options.path + " is a qcow2 image; qemu-img convert -O raw makes one that can be shown");
    case image::FileKind::unknown:
      break;
  }
  return fail(Kind::invalid_input,
              options.path + " is no disk image with a GPT, no EROFS image, no PE file and no release");
}

}  // namespace

void add_show_command(CLI::App& app, const Console& console, Verb& chosen) {
  auto options = std::make_shared<ShowOptions>();
  CLI::App& verb =
      add_verb(app, console, chosen, "show",
               "Say what is inside a disk image, an EROFS image, a UKI, a release or a manifest", &show, options);
  verb.add_option("PATH", options->path,
                  "A file or block device; its kind is recognised by its content, a manifest by its name (.yaml)")
      ->required();
  verb.footer(
      "Tells what the file says about itself and verifies nothing; see keelson verify.\n\n"
      "Example: keelson show node.raw");
}

}  // namespace builder
