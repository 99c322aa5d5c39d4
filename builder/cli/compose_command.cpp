#include "builder/cli/compose_command.hpp"

#include <memory>
#include <optional>
#include <string>

#include <fmt/format.h>

#include "base/human.hpp"
#include "builder/cli/verity_files.hpp"
#include "image/compose.hpp"
#include "image/directory_source.hpp"

namespace builder {

using base::fail;
using base::Kind;
using base::Result;

namespace {

struct ComposeOptions {
  std::string tree;
  std::string output;
  std::string hash_tree;
  std::string uuid;
  std::string salt;
  std::uint64_t time = 0;
  unsigned composer_version = image::erofs::composer_version;
  unsigned threads = 0;
};

Result<> compose(const ComposeOptions& options, const Console& console) {
  if (options.composer_version != image::erofs::composer_version) {
    return fail(Kind::unsupported, fmt::format("composer version {}; this program knows version {}",
                                               options.composer_version, image::erofs::composer_version));
  }
  image::RootOptions root_options;
  root_options.erofs.time = options.time;
  if (!options.uuid.empty()) {
    TRY(root_options.erofs.uuid, base::Uuid::parse(options.uuid));
  }
  TRY(root_options.salt, salt_from(options.salt));
  TRY(const image::SourcedTree source, image::read_directory(options.tree));
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
  CLI::App& verb = add_verb(app, console, chosen, "compose", "Compose an EROFS image of a directory, and its hash tree",
                            &compose, options);
  verb.add_option("--tree", options->tree, "The directory, taken as it is")->required();
  verb.add_option("-o,--out", options->output, "The image to write")->required();
  verb.add_option("--verity", options->hash_tree, "Write the dm-verity hash tree there, in the same pass");
  verb.add_option("--uuid", options->uuid, "The file system's UUID (default: zero)");
  verb.add_option("--salt", options->salt, "The hash tree's salt, in hexadecimal; - or nothing: none");
  verb.add_option("--time", options->time, "The time of everything in the image, in seconds since 1970 (default 0)");
  verb.add_option("--composer-version", options->composer_version, "The version of the format's composer (default 1)");
  verb.add_option("--threads", options->threads, "How many processors to use (default: all)")
      ->check(CLI::Range(1, 1024));
  verb.footer(
      "The same tree and options give the same bytes, on every host.\n\n"
      "Example: keelson compose --tree rootfs --out root.erofs --verity root.verity");
}

}  // namespace builder
