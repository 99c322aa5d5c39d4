#include "builder/cli/commit_command.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/file.hpp"
#include "image/canonical_form.hpp"
#include "image/directory_source.hpp"
#include "image/layered_tree.hpp"
#include "image/ostree/commit.hpp"
#include "image/tar_source.hpp"
#include "image/tree_edit.hpp"

namespace builder {

using base::fail;
using base::Kind;
using base::Result;

namespace {

struct CommitOptions {
  std::string repository;
  std::string tree;
  std::string tar;
  std::string base;
  std::vector<std::string> remove;
  std::string ref;
  std::string mode;
  bool as_it_is = false;
  std::vector<std::string> set_id_files;
  image::ostree::CommitFacts facts;
  std::string version;
};

Result<image::SourcedTree> read_input(const CommitOptions& options) {
  if (!options.tree.empty()) return image::read_directory(options.tree);
  if (options.tar == "-") return image::read_tar(STDIN_FILENO, "standard input");
  TRY(const base::File file, base::File::open(options.tar, O_RDONLY));
  return image::read_tar(file.fd(), options.tar);
}

/// What is to be committed: the input, or what it makes of another commit.
Result<image::SourcedTree> read_root(const CommitOptions& options, const image::ostree::Repository& repository) {
  if (options.base.empty()) return read_input(options);
  TRY(const std::string base, repository.resolve(options.base));
  TRY(image::CommitTree tree, image::read_commit(repository, base, image::EmbeddedRepository::none));
  for (const std::string& path : options.remove) {
    const std::size_t slash = path.rfind('/');
    const auto directory = image::find(tree.root.tree, path.substr(0, slash == std::string::npos ? 0 : slash));
    if (slash == std::string::npos || !directory ||
        !image::remove_entry(tree.root.tree, *directory, path.substr(slash + 1))) {
      return fail(Kind::not_found, fmt::format("there is no {} in {}, to be removed", path, options.base));
    }
  }
  tree.root.tree = image::tidied(tree.root.tree);
  if (options.tree.empty() && options.tar.empty()) return std::move(tree.root);
  TRY(image::SourcedTree changes, read_input(options));
  return image::layered(std::move(tree.root), std::move(changes));
}

/// Without a name: what this user can write.
image::ostree::Mode mode_of(const std::string& name) {
  if (name == "archive") return image::ostree::Mode::archive;
  const bool bare = name == "bare" || (name.empty() && ::geteuid() == 0);
  return bare ? image::ostree::Mode::bare : image::ostree::Mode::bare_user;
}

/// The one that is there, whatever its mode, unless a mode was asked for.
Result<image::ostree::Repository> open_or_make(const CommitOptions& options) {
  if (options.mode.empty()) {
    auto there = image::ostree::Repository::open(options.repository);
    if (there || there.error().kind() != Kind::not_found) return there;
  }
  return image::ostree::Repository::create(options.repository, mode_of(options.mode));
}

Result<> commit(const CommitOptions& options, const Console& console) {
  if (options.tree.empty() && options.tar.empty() && (options.base.empty() || options.remove.empty())) {
    return fail(Kind::invalid_input, "nothing to commit: give --tree DIR or --tar FILE");
  }
  TRY(auto repository, open_or_make(options));
  TRY(image::SourcedTree root, read_root(options, repository));
  if (!options.as_it_is) {
    root.tree = image::in_canonical_form(root.tree);
    const image::CanonicalRules rules{{options.set_id_files.begin(), options.set_id_files.end()},
                                      options.set_id_files.empty()};
    if (const auto wrong = image::canonical_form_violations(root.tree, rules); !wrong.empty()) {
      return fail(Kind::invalid_input,
                  fmt::format("the root is not in canonical form:\n  {}", fmt::join(wrong, "\n  ")));
    }
  }
  image::ostree::CommitFacts facts = options.facts;
  if (!options.version.empty()) facts.metadata["version"] = options.version;
  TRY(const std::string checksum, image::write_commit(repository, root, facts));
  if (!options.ref.empty()) TRY_DO(repository.set_ref(options.ref, checksum));
  FactSheet sheet;
  sheet.add("commit", checksum);
  if (!options.ref.empty()) sheet.add("ref", options.ref);
  sheet.add("inodes", root.tree.inodes.size(), fmt::format("{}", root.tree.inodes.size()));
  console.show(sheet);
  return base::ok();
}

}  // namespace

void add_commit_command(CLI::App& app, const Console& console, Verb& chosen) {
  auto options = std::make_shared<CommitOptions>();
  CLI::App& verb =
      add_verb(app, console, chosen, "commit", "Write a root directory as a commit of OSTree's", &commit, options);
  verb.add_option("--repo", options->repository, "The repository; made if it is not there")->required();
  CLI::Option& tree = *verb.add_option("--tree", options->tree, "The root, as a directory");
  verb.add_option("--tar", options->tar, "The root, as a tar archive; - reads standard input")->excludes(&tree);
  CLI::Option& base =
      *verb.add_option("--base", options->base, "Lay the root over that of this commit, by checksum or ref");
  verb.add_option("--remove", options->remove, "Leave this path of --base out; may be given again")->needs(&base);
  verb.add_option("--ref", options->ref, "Let this ref name the commit");
  verb.add_option(
          "--mode", options->mode,
          "Of a repository that is made: bare (root's default; needs root), bare-user (everybody else's), or archive")
      ->check(CLI::IsMember({"bare", "bare-user", "archive"}));
  verb.add_option("--subject", options->facts.subject, "The commit's subject");
  verb.add_option("--version", options->version, "The commit's version");
  verb.add_option("--time", options->facts.time, "The commit's time, in seconds since 1970 (default 0)");
  verb.add_option("--allow-setid", options->set_id_files,
                  "Only this file may be set-user-ID or set-group-ID; may be given again (default: all may)");
  verb.add_flag("--as-it-is", options->as_it_is, "Do not bring the root into canonical form");
  verb.footer(
      "The root is brought into canonical form: /etc goes to /usr/etc, /var to /usr/share/factory/var, devices and "
      "what\n"
      "lies in /dev, /proc, /run, /sys, /tmp, /boot and /efi are left out. The same root and options give the same\n"
      "checksum.\n\n"
      "Example: mmdebstrap --variant=minbase bookworm - | keelson commit --repo repo --tar - --ref os\n"
      "         keelson commit --repo repo --base os --tree overlay --remove /usr/share/doc --ref os");
}

}  // namespace builder
