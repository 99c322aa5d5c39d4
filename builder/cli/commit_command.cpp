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
#include "image/ostree/commit.hpp"
#include "image/tar_source.hpp"

namespace builder {

using base::fail;
using base::Kind;
using base::Result;

namespace {

struct CommitOptions {
  std::string repository;
  std::string tree;
  std::string tar;
  std::string ref;
  std::string mode;
  bool as_it_is = false;
  std::vector<std::string> set_id_files;
  image::ostree::CommitFacts facts;
  std::string version;
};

Result<image::SourcedTree> read_root(const CommitOptions& options) {
  if (!options.tree.empty()) return image::read_directory(options.tree);
  if (options.tar == "-") return image::read_tar(STDIN_FILENO, "standard input");
  TRY(const base::File file, base::File::open(options.tar, O_RDONLY));
  return image::read_tar(file.fd(), options.tar);
}

/// Without a name: what this user can write.
image::ostree::Mode mode_of(const std::string& name) {
  if (name == "archive") return image::ostree::Mode::archive;
  const bool bare = name == "bare" || (name.empty() && ::geteuid() == 0);
  return bare ? image::ostree::Mode::bare : image::ostree::Mode::bare_user;
}

Result<> commit(const CommitOptions& options, const Console& console) {
  if (options.tree.empty() && options.tar.empty()) {
    return fail(Kind::invalid_input, "nothing to commit: give --tree DIR or --tar FILE");
  }
  TRY(image::SourcedTree root, read_root(options));
  if (!options.as_it_is) {
    root.tree = image::in_canonical_form(root.tree);
    const image::CanonicalRules rules{{options.set_id_files.begin(), options.set_id_files.end()},
                                      options.set_id_files.empty()};
    if (const auto wrong = image::canonical_form_violations(root.tree, rules); !wrong.empty()) {
      return fail(Kind::invalid_input,
                  fmt::format("the root is not in canonical form:\n  {}", fmt::join(wrong, "\n  ")));
    }
  }
  TRY(auto repository, image::ostree::Repository::create(options.repository, mode_of(options.mode)));
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
      "Example: mmdebstrap --variant=minbase bookworm - | keelson commit --repo repo --tar - --ref os");
}

}  // namespace builder
