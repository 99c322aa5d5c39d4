#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "base/human.hpp"
#include "base/partial_file.hpp"
#include "builder/cli/verity_command.hpp"
#include "builder/cli/verity_files.hpp"
#include "verity/fec.hpp"
#include "verity/hash_tree.hpp"
#include "verity/repair.hpp"
#include "verity/superblock.hpp"

namespace builder {

using base::fail;
using base::Kind;
using base::Result;

namespace {

std::string salt_text(const verity::HashTreeParams& params) {
  return params.salt.empty() ? "-" : base::to_hex(params.salt);
}

void add_geometry(FactSheet& facts, const verity::Geometry& geometry) {
  const auto& params = geometry.params();
  facts.add("data_blocks", geometry.data_blocks(), fmt::format("{}", geometry.data_blocks()));
  facts.add("data_block_size", params.data_block_size, fmt::format("{} bytes", params.data_block_size));
  facts.add("hash_block_size", params.hash_block_size, fmt::format("{} bytes", params.hash_block_size));
  facts.add("hash_blocks", geometry.tree_blocks(),
            fmt::format("{} in {} levels, {}", geometry.tree_blocks(), geometry.levels().size(),
                        base::human_bytes(geometry.tree_bytes())));
  facts.add("salt", salt_text(params));
}

/// The same data with the same tree always gets the same superblock: its UUID comes from the root hash.
base::Uuid default_uuid(const verity::RootHash& root) {
  return base::Uuid::from_digest(root.bytes);
}

struct FecOptions {
  std::string device;
  verity::FecParams params;

  bool wanted() const { return !device.empty(); }
};

/// Where the parity lies and what it covers. Parity behind the tree on its own device ends what is covered.
Result<verity::FecLayout> fec_layout(const FecOptions& options, const TreeOptions& tree, const TreeFiles& files) {
  const bool shared = same_file(options.device, tree.hash);
  return verity::FecLayout::of(files.geometry, files.tree_offset,
                               shared ? options.params.offset : files.hash.device().size_bytes(), options.params);
}

/// Computes the parity of data and tree, which must be complete. Returns the file to finish, where it has its own.
Result<std::optional<OutputFile>> write_parity(const FecOptions& options, const TreeOptions& tree, TreeFiles& files,
                                               const Console& console, unsigned threads) {
  if (same_file(options.device, tree.data)) {
    return fail(Kind::invalid_input, fmt::format("{} holds the data; parity needs a file of its own, or a place behind "
                                                 "the tree on the hash device",
                                                 options.device));
  }
  const bool shared = same_file(options.device, tree.hash);
  TRY(const verity::FecLayout layout, fec_layout(options, tree, files));
  const std::uint64_t end = options.params.offset + layout.parity_bytes();
  std::optional<OutputFile> own;
  if (shared) {
    TRY_DO(files.hash.device().grow(end));
  } else {
    using enum OutputFile::Existing;
    TRY(own, OutputFile::open(options.device, end, options.params.offset > 0 ? keep : replace));
  }
  base::FileDevice& device = shared ? files.hash.device() : own->device();
  base::Progress progress(console.progress_style(), "parity", layout.covered_bytes());
  TRY_DO(verity::encode_fec(*files.data, files.hash.device(), layout, device, {threads, progress.advancer()}));
  return own;
}

struct FormatOptions {
  TreeOptions tree;
  FecOptions fec;
  std::string uuid;
  std::string root_hash_file;
  unsigned threads = 0;
};

Result<> format(const FormatOptions& options, const Console& console) {
  base::Uuid uuid;
  if (!options.uuid.empty()) {
    TRY(uuid, base::Uuid::parse(options.uuid));
  }
  TRY(TreeFiles files, create_tree(options.tree));
  verity::RootHash root;
  {
    base::Progress progress(console.progress_style(), "hashing", files.geometry.data_bytes());
    TRY(root, verity::build_hash_tree(*files.data, files.geometry, files.hash.device(), files.tree_offset,
                                      {options.threads, progress.advancer()}));
  }
  if (options.uuid.empty()) uuid = default_uuid(root);
  if (!options.tree.no_superblock) {
    const verity::Superblock superblock{uuid, files.geometry.params(), files.geometry.data_blocks()};
    TRY_DO(verity::write_superblock(files.hash.device(), options.tree.hash_offset, superblock));
  }
  if (options.fec.wanted()) {
    TRY(std::optional<OutputFile> parity, write_parity(options.fec, options.tree, files, console, options.threads),
        "the parity");
    if (parity) TRY_DO(parity->finish(), "the parity");
  }
  TRY_DO(files.hash.finish());
  if (!options.root_hash_file.empty()) {
    TRY_DO(base::replace_file(options.root_hash_file, base::bytes_of(root.hex())));
  }

  FactSheet facts;
  facts.add("data", options.tree.data);
  facts.add("hash", options.tree.hash);
  if (!options.tree.no_superblock) facts.add("uuid", uuid.text());
  add_geometry(facts, files.geometry);
  if (options.fec.wanted()) {
    facts.add("parity", options.fec.device);
    facts.add("parity_roots", options.fec.params.roots, fmt::format("{} bytes in 255", options.fec.params.roots));
  }
  facts.add("root_hash", root.hex());
  console.show(facts);
  return base::ok();
}

struct VerifyOptions {
  TreeOptions tree;
  FecOptions fec;
  std::string root_hash;
  std::string root_hash_file;
  unsigned threads = 0;
};

base::Json to_json(const std::vector<verity::BadBlock>& blocks) {
  base::Json list = base::Json::array();
  for (const verity::BadBlock& bad : blocks) {
    base::Json item = {{"area", bad.area == verity::BadBlock::Area::data ? "data" : "hash"},
                       {"block", bad.block},
                       {"offset", bad.offset}};
    if (bad.area == verity::BadBlock::Area::tree) item["level"] = bad.level;
    list.push_back(std::move(item));
  }
  return list;
}

/// The first of many blocks as lines of a message.
std::string list_blocks(const std::vector<verity::BadBlock>& blocks, std::uint64_t count, const TreeOptions& tree) {
  constexpr std::size_t most = 10;
  std::string text;
  for (std::size_t i = 0; i < std::min(most, blocks.size()); ++i) {
    text += "\n  " + verity::describe(blocks[i], tree.data, tree.hash);
  }
  if (count > most) text += fmt::format("\n  and {} more", count - most);
  return text;
}

base::Error not_intact(const verity::VerifyReport& report, const TreeOptions& tree, const std::string& advice) {
  std::string text =
      fmt::format("{} the root hash:{}",
                  report.bad_block_count == 1 ? "1 block does not match"
                                              : fmt::format("{} blocks do not match", report.bad_block_count),
                  list_blocks(report.bad_blocks, report.bad_block_count, tree));
  if (report.data_blocks_unknown > 0) {
    text += fmt::format("\n  {} data blocks lie below bad hash blocks: nothing can be said of them",
                        report.data_blocks_unknown);
  }
  return {Kind::corrupt, text + advice};
}

void add_report(FactSheet& facts, const verity::VerifyReport& report) {
  facts.add("intact", report.intact(), report.intact() ? "yes" : "no");
  facts.add_hidden("bad_block_count", report.bad_block_count);
  facts.add_hidden("data_blocks_unknown", report.data_blocks_unknown);
  facts.add_hidden("bad_blocks", to_json(report.bad_blocks));
}

/// What the parity could restore, without writing.
Result<verity::RepairReport> rehearse_repair(const FecOptions& options, const TreeOptions& tree, TreeFiles& files,
                                             const verity::RootHash& root, const Console& console, unsigned threads) {
  TRY(const verity::FecLayout layout, fec_layout(options, tree, files));
  TRY(const auto fec, base::FileDevice::open(options.device, base::Access::read_only));
  base::Progress progress(console.progress_style(), "rehearsing repair", files.geometry.data_bytes());
  return verity::repair(*files.data, files.hash.device(), layout, root, *fec, verity::RepairMode::dry_run,
                        {threads, progress.advancer()});
}

Result<> verify(const VerifyOptions& options, const Console& console) {
  TRY(const verity::RootHash root, root_hash_from(options.root_hash, options.root_hash_file));
  TRY(TreeFiles files, open_tree(options.tree, base::Access::read_only));
  TRY(const auto verifier,
      verity::HashTreeVerifier::create(*files.data, files.hash.device(), files.tree_offset, files.geometry, root));
  verity::VerifyReport report;
  {
    base::Progress progress(console.progress_style(), "verifying", files.geometry.data_bytes());
    TRY(report, verifier.verify_all({options.threads, progress.advancer()}));
  }
  FactSheet facts;
  facts.add("data", options.tree.data);
  facts.add("root_hash", root.hex());
  facts.add("data_blocks", report.data_blocks_checked, fmt::format("{} checked", report.data_blocks_checked));
  facts.add("hash_blocks", files.geometry.tree_blocks(), fmt::format("{}", files.geometry.tree_blocks()));
  add_report(facts, report);
  std::string advice;
  if (!report.intact() && options.fec.wanted()) {
    TRY(const verity::RepairReport could,
        rehearse_repair(options.fec, options.tree, files, root, console, options.threads), "the parity");
    facts.add("repairable", could.remaining.intact(), could.remaining.intact() ? "yes" : "no");
    advice = could.remaining.intact() ? "\nThe parity can restore all of it: keelson verity repair"
                                      : fmt::format("\nThe parity can restore {} blocks; {} would stay bad",
                                                    could.repaired.size(), could.remaining.bad_block_count);
  }
  if (report.intact() || console.json) console.show(facts);
  if (report.intact()) return base::ok();
  return std::unexpected(not_intact(report, options.tree, advice));
}

struct RepairOptions {
  VerifyOptions verify;
  bool dry_run = false;
};

Result<> repair(const RepairOptions& options, const Console& console) {
  const TreeOptions& tree = options.verify.tree;
  TRY(const verity::RootHash root, root_hash_from(options.verify.root_hash, options.verify.root_hash_file));
  TRY(TreeFiles files, open_tree(tree, options.dry_run ? base::Access::read_only : base::Access::read_write));
  TRY(const verity::FecLayout layout, fec_layout(options.verify.fec, tree, files), "the parity");
  TRY(const auto fec, base::FileDevice::open(options.verify.fec.device, base::Access::read_only));
  verity::RepairReport report;
  {
    base::Progress progress(console.progress_style(), "repairing", files.geometry.data_bytes());
    TRY(report, verity::repair(*files.data, files.hash.device(), layout, root, *fec,
                               options.dry_run ? verity::RepairMode::dry_run : verity::RepairMode::write,
                               {options.verify.threads, progress.advancer()}));
  }
  FactSheet facts;
  facts.add("data", tree.data);
  facts.add("dry_run", options.dry_run, options.dry_run ? "yes, nothing was written" : "no");
  facts.add("repaired", to_json(report.repaired),
            fmt::format("{} block{}{}", report.repaired.size(), report.repaired.size() == 1 ? "" : "s",
                        list_blocks(report.repaired, report.repaired.size(), tree)));
  add_report(facts, report.remaining);
  console.show(facts);
  if (report.remaining.intact()) return base::ok();
  return std::unexpected(not_intact(report.remaining, tree, "\nThe parity cannot restore them"));
}

struct DumpOptions {
  std::string hash;
  std::uint64_t hash_offset = 0;
};

Result<> dump(const DumpOptions& options, const Console& console) {
  TRY(const auto hash, base::FileDevice::open(options.hash, base::Access::read_only));
  TRY(const verity::Superblock superblock, verity::read_superblock(*hash, options.hash_offset));
  TRY(const auto geometry, verity::Geometry::of(superblock.params, superblock.data_blocks));
  FactSheet facts;
  facts.add("uuid", superblock.uuid.text());
  facts.add("hash_type", 1, "1");
  facts.add("algorithm", "sha256");
  add_geometry(facts, geometry);
  facts.add("data_bytes", geometry.data_bytes(), base::human_bytes(geometry.data_bytes()));
  console.show(facts);
  return base::ok();
}

enum class Params { always, without_superblock };

void add_tree_options(CLI::App& verb, TreeOptions& tree, Params when) {
  verb.add_option("DATA", tree.data, "The data: a file or block device")->required();
  verb.add_option("HASH", tree.hash, "The hash tree: a file or block device")->required();
  verb.add_option("--hash-offset", tree.hash_offset, "Where on HASH the superblock or tree begins, in bytes");
  CLI::Option* none = verb.add_flag("--no-superblock", tree.no_superblock, "The tree has no superblock");
  const std::initializer_list<CLI::Option*> params = {
      verb.add_option("--data-blocks", tree.data_blocks, "How many blocks of DATA to cover (default: all)"),
      verb.add_option("--data-block-size", tree.data_block_size, "Bytes: 512, 1024, 2048 or 4096 (default 4096)"),
      verb.add_option("--hash-block-size", tree.hash_block_size, "Bytes: 512, 1024, 2048 or 4096 (default 4096)"),
      verb.add_option("--salt", tree.salt, "At most 256 bytes in hexadecimal; - or nothing: none")};
  if (when == Params::without_superblock) {
    for (CLI::Option* option : params) option->needs(none);
  }
}

void add_root_hash_options(CLI::App& verb, std::string& root_hash, std::string& file) {
  verb.add_option("ROOT_HASH", root_hash, "64 hexadecimal digits");
  verb.add_option("--root-hash-file", file, "Read the root hash from this file");
}

void add_threads(CLI::App& verb, unsigned& threads) {
  verb.add_option("--threads", threads, "How many processors to use (default: all)")->check(CLI::Range(1, 1024));
}

void add_fec_options(CLI::App& verb, FecOptions& fec, bool required) {
  CLI::Option* device =
      verb.add_option("--fec-device", fec.device, "Reed-Solomon parity that can restore damaged blocks");
  device->required(required);
  verb.add_option("--fec-roots", fec.params.roots, "Parity bytes in each codeword of 255, 2 to 24 (default 2)")
      ->needs(device);
  verb.add_option("--fec-offset", fec.params.offset, "Where on the FEC device the parity begins, in bytes")
      ->needs(device);
}

void add_verify_options(CLI::App& verb, VerifyOptions& options, bool fec_required) {
  add_tree_options(verb, options.tree, Params::without_superblock);
  add_root_hash_options(verb, options.root_hash, options.root_hash_file);
  add_fec_options(verb, options.fec, fec_required);
  add_threads(verb, options.threads);
}

}  // namespace

void add_verity_tree_verbs(CLI::App& verity, const Console& console, Verb& chosen) {
  auto format_options = std::make_shared<FormatOptions>();
  CLI::App& format_verb = add_verb(verity, console, chosen, "format",
                                   "Make the hash tree of DATA and print its root hash", &format, format_options);
  add_tree_options(format_verb, format_options->tree, Params::always);
  format_verb.add_option("--uuid", format_options->uuid, "The superblock's UUID (default: derived from the root hash)");
  format_verb.add_option("--root-hash-file", format_options->root_hash_file, "Write the root hash into this file too");
  add_fec_options(format_verb, format_options->fec, false);
  add_threads(format_verb, format_options->threads);
  format_verb.footer("Example: keelson verity format root.img root.verity --root-hash-file root.hash");

  auto verify_options = std::make_shared<VerifyOptions>();
  CLI::App& verify_verb =
      add_verb(verity, console, chosen, "verify", "Check every block of DATA and of its tree", &verify, verify_options);
  add_verify_options(verify_verb, *verify_options, false);
  verify_verb.footer("Example: keelson verity verify root.img root.verity --root-hash-file root.hash");

  auto dump_options = std::make_shared<DumpOptions>();
  CLI::App& dump_verb =
      add_verb(verity, console, chosen, "dump", "Show the superblock of a hash tree", &dump, dump_options);
  dump_verb.add_option("HASH", dump_options->hash, "The hash tree: a file or block device")->required();
  dump_verb.add_option("--hash-offset", dump_options->hash_offset, "Where on HASH the superblock begins, in bytes");
  dump_verb.footer("Example: keelson verity dump root.verity --json");

  auto repair_options = std::make_shared<RepairOptions>();
  CLI::App& repair_verb =
      add_verb(verity, console, chosen, "repair", "Restore damaged blocks of DATA and of its tree from their parity",
               &repair, repair_options);
  add_verify_options(repair_verb, repair_options->verify, true);
  repair_verb.add_flag("--dry-run", repair_options->dry_run, "Only say what could be restored");
  repair_verb.footer(
      "Only what the tree accepts, from the root hash down, is ever written.\n\n"
      "Example: keelson verity repair root.img root.verity --root-hash-file root.hash --fec-device root.fec");
}

}  // namespace builder
