#include "builder/cli/new_command.hpp"

#include <filesystem>
#include <memory>
#include <string>

#include <fmt/format.h>

#include "base/file.hpp"
#include "base/partial_file.hpp"
#include "builder/manifest/manifest.hpp"
#include "image/identifiers.hpp"

namespace builder {

using base::fail;
using base::Kind;
using base::Result;

namespace {

struct NewOptions {
  std::string directory;
  std::string id;
};

constexpr const char* manifest_template = R"(# An image of your own. Build it, and boot what comes out:
#
#   keelson build {0}.yaml
#   keelson run out/{0}_1.0.0.raw
#
# What may stand here: keelson check --schema, or an editor that reads it.
keelson: 1

image:
  id: {0}            # names disk, partitions and updates: it stays for ever
  version: 1.0.0     # a-z 0-9 . -

packages:
  debian:
    suite: bookworm
    # From this machine's own apt sources. Essential packages come by themselves, and so does what these need;
    # kernel and boot loader, too. {0}.yaml.lock keeps exactly which versions: commit it.
    install: [systemd, systemd-sysv, systemd-resolved, dbus, udev, kmod, e2fsprogs, iproute2]

kernel:
  cmdline: ["console=tty0", "console=ttyS0", quiet]

# Files that the image brings. What belongs to the version goes below /usr, defaults of a host's own settings into /etc.
files:
  - path: /etc/motd
    content: "This is {0}.\n"
  - path: /usr/lib/systemd/network/80-dhcp.network
    content: |
      [Match]
      Type=ether
      [Network]
      DHCP=yes

# Directories or archives that are laid over the root:
# trees: [overlay/]

# users:
#   - name: me
#     groups: [sudo]
#     ssh_keys: ["ssh-ed25519 AAAA..."]

units:
  enable: [systemd-networkd.service, systemd-resolved.service]

partitions:
  root: 1GiB         # each of the two slots: a promise for the life of your hosts
)";

Result<> run(const NewOptions& options, const Console& console) {
  namespace fs = std::filesystem;
  const fs::path directory = fs::path(options.directory).lexically_normal();
  std::string id = options.id.empty() ? fs::absolute(directory / "x").parent_path().filename().string() : options.id;
  if (auto identity = image::ImageIdentity::of(id, "1.0.0"); !identity) {
    if (options.id.empty()) id = "image";  // the directory's name cannot be one
    TRY_DO(image::ImageIdentity::of(id, "1.0.0"));
  }
  TRY_DO(base::make_directories(directory));
  const std::string path = directory / (id + ".yaml");
  if (fs::exists(path)) return fail(Kind::invalid_input, path + " is there already");
  TRY_DO(base::replace_file(path, base::bytes_of(fmt::format(manifest_template, id))));
  const std::string ignored = directory / ".gitignore";
  if (!fs::exists(ignored)) TRY_DO(base::replace_file(ignored, base::bytes_of(std::string_view("out/\nkeys/\n"))));
  console.show(fmt::format("{}\n\nNext: keelson build {}\n", path, path), base::Json{{"manifest", path}});
  return base::ok();
}

}  // namespace

void add_new_command(CLI::App& app, const Console& console, Verb& chosen) {
  auto options = std::make_shared<NewOptions>();
  CLI::App& verb = add_verb(app, console, chosen, "new", "Begin an image: a small manifest that works", &run, options);
  verb.add_option("directory", options->directory, "Where; made if it is not there")->required();
  verb.add_option("--id", options->id, "The image's id (default: the directory's name)");
  verb.footer("Example: keelson new web && keelson build web/web.yaml");
}

}  // namespace builder
