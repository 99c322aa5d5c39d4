#include "builder/cli/verity_command.hpp"

namespace builder {

void add_verity_command(CLI::App& app, const Console& console, Verb& chosen) {
  CLI::App& verity = *app.add_subcommand("verity", "dm-verity hash trees: make, check, show, sign, repair");
  verity.require_subcommand(1);
  verity.footer("Options and files are veritysetup's; nothing is random: the same data gives the same bytes.");
  add_verity_tree_verbs(verity, console, chosen);
  add_verity_signature_verbs(verity, console, chosen);
}

}  // namespace builder
