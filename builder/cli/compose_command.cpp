#include "builder/cli/compose_command.hpp"

#include <memory>
#include <optional>
#include <string>

#include <fmt/format.h>

#include "base/human.hpp"
#include "builder/cli/verity_files.hpp"
#include "image/compose.hpp"
#include "image/directory_source.hpp"
#include "image/identifiers.hpp"
#include "image/ostree/commit.hpp"

namespace builder {

using base::fail;
using base::Kind;
using base::Result;

namespace {

struct ComposeOptions {
  std::string tree;
  std::string repository;
  std::string commit;
  bool bare_tree = false;
  bool trust_objects = false;
  std::string image_id;
  std::string image_version;
  std::string output;
  std::string hash_tree;
  std::string uuid;
  std::string salt;
  std::optional<std::uint64_t> time;
  unsigned composer_version = image::erofs::composer_version;
  unsigned threads = 0;
  std::string compression = "none";
  std::uint32_t cluster_size = image::erofs::Options().cluster_size;
};

/// What is composed, and the time that it brings along.
struct Source {
  image::SourcedTree root;
  std::uint64_t time = 0;
  std::string commit;
};

Result<Source> read_source(const ComposeOptions& options) {
  if (options.repository.empty()) {
    TRY(image::SourcedTree root, image::read_directory(options.tree));
    return Source{std::move(root)};
  }
  TRY(const image::ostree::Repository repository, image::ostree::Repository::open(options.repository));
  TRY(std::string commit, repository.resolve(options.commit));
  TRY(image::CommitTree tree,
      image::read_commit(repository, commit,
                         options.bare_tree ? image::EmbeddedRepository::none : image::EmbeddedRepository::bare,
                         options.trust_objects ? image::ContentCheck::none : image::ContentCheck::checksums));
  return Source{std::move(tree.root), tree.facts.time, std::move(commit)};
}

/// Identifiers as the image's name and version give them, or else as the options say.
Result<image::RootOptions> root_options_of(const ComposeOptions& options) {
  image::RootOptions result;
  result.durability = base::Durability::none;  // like any build's output, it can be made again
  if (!options.image_id.empty()) {
    TRY(const auto identity, image::ImageIdentity::of(options.image_id, options.image_version));
    result.erofs.uuid = image::derive_uuid(identity, image::role::root_filesystem);
    result.hash_uuid = image::derive_uuid(identity, image::role::verity_superblock);
    result.salt = image::derive_verity_salt(identity);
  }
  if (!options.uuid.empty()) {
    TRY(result.erofs.uuid, base::Uuid::parse(options.uuid));
  }
  if (!options.salt.empty()) {
    TRY(result.salt, salt_from(options.salt));
  }
  return result;
}

Result<> compose(const ComposeOptions& options, const Console& console) {
  if (options.tree.empty() && options.repository.empty()) {
    return fail(Kind::invalid_input, "nothing to compose: give --tree DIR, or --repo REPO and --commit REF");
  }
  if (options.composer_version != image::erofs::composer_version) {
    return fail(Kind::unsupported, fmt::format("composer version {}; this program knows version {}",
                                               options.composer_version, image::erofs::composer_version));
  }
  TRY(image::RootOptions root_options, root_options_of(options));
  TRY(const Source input, read_source(options));
  const image::SourcedTree& source = input.root;
  root_options.erofs.time = options.time.value_or(input.time);
  root_options.erofs.cluster_size = options.cluster_size;
  if (options.compression == "lz4hc") root_options.erofs.compression = image::erofs::Compression::lz4hc;
  std::uint64_t bytes = 0;
  for (const image::Inode& inode : source.tree.inodes) bytes += inode.size;
  image::ComposedRoot composed;
  {
    base::Progress progress(console.progress_style(), "composing", bytes);
    root_options.effort = {options.threads, progress.advancer()};
    TRY(composed,
        image::compose_root(source.tree, *source.contents, root_options, {options.output, options.hash_tree}));
  }
  FactSheet facts;
  facts.add("image", options.output);
  facts.add("size", composed.image.size_bytes,
            fmt::format("{} ({} bytes)", base::human_bytes(composed.image.size_bytes), composed.image.size_bytes));
  facts.add("inodes", composed.image.inodes, fmt::format("{}", composed.image.inodes));
  facts.add("composer_version", options.composer_version, fmt::format("{}", options.composer_version));
  if (root_options.erofs.compression != image::erofs::Compression::none) {
    facts.add("compression", options.compression);
    facts.add("cluster_size", std::uint64_t{options.cluster_size}, fmt::format("{}", options.cluster_size));
    facts.add("compressor", image::erofs::compressor_version());
  }
  if (!input.commit.empty()) facts.add("commit", input.commit);
  if (composed.root_hash) {
    facts.add("hash_tree", options.hash_tree);
    facts.add("root_hash", composed.root_hash->hex());
  }
  console.show(facts);
  return base::ok();
}

}  // namespace

void add_compose_command(CLI::App& app, const Console& console, Verb& chosen) {
  auto options = std::make_shared<ComposeOptions>();
  CLI::App& verb = add_verb(app, console, chosen, "compose",
                            "Compose an EROFS image of a commit or directory, and its hash tree", &compose, options);
  CLI::Option& tree = *verb.add_option("--tree", options->tree, "A directory, taken as it is");
  CLI::Option& repository = *verb.add_option("--repo", options->repository, "An OSTree repository of any mode");
  CLI::Option& commit = *verb.add_option("--commit", options->commit, "A commit in it, by checksum or ref");
  tree.excludes(&repository);
  repository.needs(&commit);
  commit.needs(&repository);
  verb.add_flag("--no-embedded-repo", options->bare_tree, "Leave /ostree/repo out: no node can update from such a root")
      ->needs(&repository);
  verb.add_flag("--trust-objects", options->trust_objects,
                "Do not check files against their checksums: for who compares the root hash")
      ->needs(&repository);
  CLI::Option& id = *verb.add_option("--image-id", options->image_id, "Derive UUIDs and salt from this name");
  CLI::Option& version = *verb.add_option("--image-version", options->image_version, "... and this version");
  id.needs(&version);
  version.needs(&id);
  verb.add_option("-o,--out", options->output, "The image to write")->required();
  verb.add_option("--verity", options->hash_tree, "Write the dm-verity hash tree there, in the same pass");
  verb.add_option("--uuid", options->uuid, "The file system's UUID (default: zero)");
  verb.add_option("--salt", options->salt, "The hash tree's salt, in hexadecimal; - or nothing: none");
  verb.add_option("--time", options->time,
                  "The time of everything in the image, in seconds since 1970 (default: the commit's, or 0)");
  verb.add_option("--composer-version", options->composer_version, "The version of the format's composer (default 1)");
  verb.add_option("--compression", options->compression, "none or lz4hc (default none)")
      ->check(CLI::IsMember({"none", "lz4hc"}));
  verb.add_option("--cluster-size", options->cluster_size,
                  "Bytes that one read of a compressed file takes: 4096 to 1048576 (default 65536)");
  verb.add_option("--threads", options->threads, "How many processors to use (default: all)")
      ->check(CLI::Range(1, 1024));
  verb.footer(
      "The same commit (or tree) and options give the same bytes, on every host; with\n"
      "lz4hc, on every host with this liblz4. Of a commit the image also holds /ostree/repo,\n"
      " a bare repository of exactly this commit over the same inodes.\n\n"
      "Example: keelson compose --repo repo --commit os --out root.erofs --verity root.verity\n"
      "Example: keelson compose --tree rootfs --out root.erofs --verity root.verity");
}

}  // namespace builder
