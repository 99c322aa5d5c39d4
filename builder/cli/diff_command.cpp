#include "builder/cli/diff_command.hpp"

#include <limits>
#include <memory>
#include <string>

#include "builder/diff/differences.hpp"

namespace builder {

using base::Result;

namespace {

struct DiffOptions {
  std::string before;
  std::string after;
  bool all_files = false;
};

Result<> run(const DiffOptions& options, const Console& console) {
  TRY(const diff::ImageView before, diff::open_view(options.before));
  TRY(const diff::ImageView after, diff::open_view(options.after));
  TRY(const diff::Differences differences, diff::compare(before, after));
  constexpr std::size_t some = 40;
  console.show(
      printable(differences.text(options.all_files ? std::numeric_limits<std::size_t>::max() : some), LineFeeds::keep),
      differences.to_json());
  return base::ok();
}

}  // namespace

void add_diff_command(CLI::App& app, const Console& console, Verb& chosen) {
  auto options = std::make_shared<DiffOptions>();
  CLI::App& verb = add_verb(app, console, chosen, "diff", "Say in what two images differ", &run, options);
  verb.add_option("A", options->before, "A raw disk, a root image (.erofs), a UKI or a release")->required();
  verb.add_option("B", options->after, "Another one")->required();
  verb.add_flag("--files", options->all_files, "Show all files that differ (default: the first 40)");
  verb.footer(
      "Packages, units, kernel configuration, initrd, UKI sections, partitions, command line, and each file with its\n"
      "mode, owner and size. Of a disk the root in slot A counts.\n\n"
      "Example: keelson diff out/node_1.0.0.raw out/node_1.0.1.raw");
}

}  // namespace builder
