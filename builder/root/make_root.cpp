#include "builder/root/make_root.hpp"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <set>
#include <span>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/bytes.hpp"
#include "base/digest.hpp"
#include "base/file.hpp"
#include "base/json.hpp"
#include "base/lines.hpp"
#include "base/version.hpp"
#include "builder/root/accounts.hpp"
#include "builder/root/boot_assessment.hpp"
#include "builder/root/containers.hpp"
#include "builder/root/draft.hpp"
#include "builder/root/oci_archive.hpp"
#include "builder/root/units.hpp"
#include "builder/root/var_rules.hpp"
#include "image/canonical_form.hpp"
#include "image/directory_source.hpp"
#include "image/initrd.hpp"
#include "image/tar_source.hpp"
#include "image/tree_edit.hpp"
#include "image/uki.hpp"

namespace builder::root {

using base::fail;
using base::Kind;
using base::Result;

namespace {

namespace fs = std::filesystem;

constexpr std::size_t max_file_bytes = std::size_t{1} << 30;
constexpr std::size_t max_module_bytes = std::size_t{256} << 20;
constexpr const char* modules_directory = "/usr/lib/modules";
constexpr const char* boot_directory = "/usr/lib/keelson/boot";
constexpr const char* loader_directory = "/usr/lib/systemd/boot/efi";
constexpr std::string_view oci_prefix = "oci-archive:";

/// What an initrd loads on every machine: device mapper and the file systems of its root and /var; loop, upon which
/// systemd-repart makes a file system; first what libcrc32c and ext4 only find when it is there (a soft dependency).
/// Those that this kernel does not have are left out.
constexpr std::array<std::string_view, 6> usual_modules = {"crc32c_generic", "dm_verity", "erofs",
                                                           "loop",           "ext4",      "efivarfs"};
/// And what only some have: the buses and disks of virtual machines and of common hardware, watchdogs, and what makes
/// dm-verity faster.
constexpr std::array<std::string_view, 14> usual_drivers = {
    "sha256_ssse3", "crc32c_intel", "virtio_pci", "virtio_blk", "virtio_scsi",  "nvme",     "ahci",
    "ata_piix",     "sd_mod",       "hv_storvsc", "vmw_pvscsi", "xen_blkfront", "i6300esb", "iTCO_wdt"};

std::string path_beside(const std::string& path, const RootInputs& inputs) {
  return fs::path(path).is_absolute() ? path : (fs::path(inputs.manifest_directory) / path).lexically_normal().string();
}

Result<std::string> text_of(const manifest::Content& content, const RootInputs& inputs) {
  if (!content.source) return content.text;
  auto text = base::read_file(path_beside(*content.source, inputs), max_file_bytes);
  if (!text) return std::unexpected(std::move(text).error().while_doing(content.place.text()));
  return text;
}

Result<image::SourcedTree> read_tree(const manifest::Tree& tree, const RootInputs& inputs) {
  if (tree.source.starts_with(oci_prefix)) {
    TRY(OciImage image, read_oci_archive(path_beside(tree.source.substr(oci_prefix.size()), inputs)));
    return std::move(image.root);
  }
  const std::string path = path_beside(tree.source, inputs);
  if (fs::is_directory(path)) return image::read_directory(path);
  TRY(const base::File file, base::File::open(path, O_RDONLY));
  return image::read_tar(file.fd(), path);
}

Result<> add_trees(Draft& root, const manifest::Manifest& manifest, const RootInputs& inputs) {
  for (const manifest::Tree& tree : manifest.trees) {
    TRY(image::SourcedTree source, read_tree(tree, inputs), tree.place.text());
    if (fs::is_directory(path_beside(tree.source, inputs))) {
      // Whoever keeps them in a directory of his own means the image's root, not himself.
      for (image::Inode& inode : source.tree.inodes) inode.uid = inode.gid = 0;
    }
    TRY_DO(root.lay_over(std::move(source), tree.target), tree.place.text());
  }
  return base::ok();
}

Result<> add_files(Draft& root, const manifest::Manifest& manifest, const Accounts& accounts,
                   const RootInputs& inputs) {
  for (const manifest::File& file : manifest.files) {
    TRY(std::string text, text_of(file.content, inputs));
    const auto owner = find_user(accounts, file.owner);
    const auto group = find_group(accounts, file.group);
    if (!owner || !group) {
      return fail(Kind::invalid_input,
                  fmt::format("{}: {}: the root has no {} {}", file.content.place.text(), file.path,
                              owner ? "group" : "user", owner ? file.group : file.owner));
    }
    TRY_DO(root.write(file.path, std::move(text), {file.mode, owner->uid, *group}), file.content.place.text());
  }
  return base::ok();
}

Result<> add_all_units(Draft& root, const manifest::Manifest& manifest, const RootInputs& inputs) {
  std::vector<std::string> contents;
  contents.reserve(manifest.units.files.size());
  for (const manifest::UnitFile& file : manifest.units.files) {
    TRY(std::string text, text_of(file.content, inputs));
    contents.push_back(std::move(text));
  }
  return add_units(root, manifest.units, contents);
}

Result<> add_containers(Draft& root, const manifest::Manifest& manifest, const RootInputs& inputs) {
  for (const manifest::Container& container : manifest.containers) {
    TRY(OciImage image, read_oci_archive(path_beside(container.image.substr(oci_prefix.size()), inputs)),
        container.place.text());
    TRY_DO(add_container(root, container, std::move(image)));
  }
  return base::ok();
}

/// A value of os-release(5), quoted as a shell reads it.
std::string quoted(const std::string& value) {
  const bool plain = !value.empty() && std::ranges::all_of(value, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
           c == '_';
  });
  if (plain) return value;
  std::string text = "\"";
  for (const char c : value) {
    if (c == '"' || c == '\\' || c == '$' || c == '`') text += '\\';
    text += c;
  }
  return text + "\"";
}

/// The distribution's os-release, with who we are in front: of a variable that is there twice the last counts, so the
/// old ones go.
Result<> write_identity(Draft& root, const manifest::Manifest& manifest) {
  std::map<std::string, std::string> ours = {
      {"IMAGE_ID", manifest.id},
      {"IMAGE_VERSION", manifest.version},
      {"PRETTY_NAME", manifest.pretty_name.empty() ? manifest.id + " " + manifest.version : manifest.pretty_name}};
  for (const auto& [key, value] : manifest.os_release) ours[key] = value;
  TRY(const auto there, root.read("/usr/lib/os-release"));
  const std::string before = there.value_or("ID=linux\n");
  std::string text;
  for (const std::string_view line : base::lines_of(before)) {
    if (!ours.contains(std::string(line.substr(0, line.find('='))))) text += std::string(line) + "\n";
  }
  for (const auto& [key, value] : ours) text += key + "=" + quoted(value) + "\n";
  TRY_DO(root.write("/usr/lib/os-release", std::move(text)));
  TRY_DO(root.link("/etc/os-release", "../usr/lib/os-release"));
  if (!manifest.hostname.empty()) TRY_DO(root.write("/etc/hostname", manifest.hostname + "\n"));
  return base::ok();
}

const char* name_of(manifest::CheckKind kind) {
  switch (kind) {
    case manifest::CheckKind::unit:
      return "unit";
    case manifest::CheckKind::http:
      return "http";
    case manifest::CheckKind::command:
      return "command";
    case manifest::CheckKind::file:
      return "file";
    case manifest::CheckKind::dbus:
      return "dbus";
  }
  return "";
}

/// What systemd-repart makes of the room behind the slots, when keelson-init asks it to; its own unit would only look
/// again at each boot.
Result<> write_var_definition(Draft& root) {
  TRY_DO(root.link("/usr/lib/systemd/system/systemd-repart.service", "/dev/null"));
  return root.write("/usr/lib/repart.d/50-keelson-var.conf",
                    "# Made by keelson: what a host keeps.\n"
                    "[Partition]\nType=linux-generic\nLabel=var\nFormat=ext4\nSizeMinBytes=256M\n");
}

/// A root that cannot be written needs a /tmp in memory: without one systemd cannot even set up what isolates services.
Result<> add_tmp(Draft& root) {
  constexpr const char* unit = "/usr/lib/systemd/system/tmp.mount";
  if (!root.has(unit)) {
    TRY(const auto debians, root.read("/usr/share/systemd/tmp.mount"));
    TRY_DO(root.write(unit, debians.value_or("[Unit]\nDescription=Temporary Directory /tmp\n"
                                             "DefaultDependencies=no\nConflicts=umount.target\n"
                                             "Before=local-fs.target umount.target\nAfter=swap.target\n\n"
                                             "[Mount]\nWhat=tmpfs\nWhere=/tmp\nType=tmpfs\n"
                                             "Options=mode=1777,strictatime,nosuid,nodev,size=50%,nr_inodes=1m\n")));
  }
  return root.link("/usr/lib/systemd/system/local-fs.target.wants/tmp.mount", "../tmp.mount");
}

/// What the agent on the host is told by its image.
Result<> write_agent_configuration(Draft& root, const manifest::Manifest& manifest) {
  base::Json configuration = {{"format", 1}, {"boot_tries", manifest.boot_tries}};
  if (!manifest.update_url.empty()) {
    configuration["update"] = {{"url", manifest.update_url}, {"channel", manifest.update_channel}};
  }
  base::Json checks = base::Json::array();
  for (const manifest::HealthCheck& check : manifest.health_checks) {
    checks.push_back({{name_of(check.kind), check.subject}, {"timeout_ms", check.timeout.count()}});
  }
  configuration["health"] = {{"soak_ms", manifest.soak.count()}, {"checks", checks}};
  base::Json rules = base::Json::array();
  for (const manifest::EtcRule& rule : manifest.etc) rules.push_back({{"path", rule.path}, {"policy", rule.policy}});
  configuration["etc"] = rules;
  return root.write("/usr/lib/keelson/host.json", configuration.dump(2) + "\n");
}

Result<base::Bytes> bytes_in(const Draft& root, const std::string& path, std::size_t max_bytes) {
  TRY(const auto text, root.read(path, max_bytes));
  if (!text) return fail(Kind::not_found, fmt::format("the root has no {}", path));
  const base::ByteView bytes = base::bytes_of(*text);
  return base::Bytes(bytes.begin(), bytes.end());
}

/// Those of the usual ones that this kernel has.
std::vector<std::string> usual(std::span<const std::string_view> names, const std::vector<std::string>& known) {
  std::vector<std::string> found;
  for (const std::string_view name : names) {
    if (std::ranges::binary_search(known, name)) found.emplace_back(name);
  }
  return found;
}

Result<> add_boot_parts(Draft& root, const manifest::Manifest& manifest, const RootInputs& inputs) {
  TRY(const BootParts parts, boot_parts_of(root.tree()));
  const std::string modules = fmt::format("{}/{}", modules_directory, parts.kernel_release);
  const image::KernelFiles files = [&](const std::string& path) {
    return bytes_in(root, modules + "/" + path, max_module_bytes);
  };
  TRY(const image::ModuleIndex index, image::ModuleIndex::load(files), "the kernel's modules");
  const std::vector<std::string> known = index.names();
  std::vector<std::string> names = usual(usual_modules, known);
  names.insert(names.end(), manifest.initrd_modules.begin(), manifest.initrd_modules.end());
  TRY(const std::string init, base::read_file(inputs.init, max_file_bytes), "the initrd's program");
  TRY(const image::Initrd initrd,
      image::build_initrd({.init = base::bytes_of(init),
                           .modules = std::move(names),
                           .drivers = usual(usual_drivers, known),
                           .kernel_files = files}),
      "the initrd");
  TRY_DO(root.write(parts.initrd, std::string(base::text_of(initrd.archive))));
  const std::string stub_path = std::string(loader_directory) + "/linuxx64.efi.stub";
  if (!root.has(stub_path) || !root.has(parts.boot_loader)) {
    return fail(Kind::invalid_input, fmt::format("the root has no {}, of the package systemd-boot-efi", stub_path));
  }
  TRY(const base::Bytes stub, bytes_in(root, stub_path, max_module_bytes));
  TRY(const base::Bytes extended,
      image::extend_sbat(stub, fmt::format("keelson,1,Keelson,keelson,{},-\n", base::version)), stub_path);
  return root.write(parts.stub, std::string(base::text_of(extended)));
}

/// Feeds everything below a path into a digest: names, kinds, modes and bytes.
Result<> digest_path(base::Sha256& sha, const std::string& path) {
  const auto add = [&](std::string_view text) {
    sha.update(base::bytes_of(text));
    sha.update(base::bytes_of(std::string_view("\0", 1)));
  };
  std::set<std::string> files;
  if (fs::is_directory(fs::symlink_status(path))) {
    for (const auto& entry : fs::recursive_directory_iterator(path)) files.insert(entry.path());
  } else {
    files.insert(path);
  }
  for (const std::string& file : files) {
    const fs::file_status status = fs::symlink_status(file);
    add(file.substr(path.size()));
    add(fmt::format("{} {:o}", static_cast<int>(status.type()), static_cast<unsigned>(status.permissions())));
    if (status.type() == fs::file_type::symlink) add(fs::read_symlink(file).string());
    if (status.type() != fs::file_type::regular) continue;
    TRY(const base::File opened, base::File::open(file, O_RDONLY));
    TRY(const std::uint64_t size, opened.size());
    add(fmt::format("{}", size));
    TRY_DO(sha.update(opened));
  }
  return base::ok();
}

}  // namespace

Result<image::SourcedTree> make_root(image::SourcedTree packages, const manifest::Manifest& manifest,
                                     const RootInputs& inputs) {
  Draft root(std::move(packages));
  TRY_DO(add_trees(root, manifest, inputs));
  TRY(const Accounts accounts, add_accounts(root, manifest));
  TRY_DO(add_files(root, manifest, accounts, inputs));
  TRY_DO(add_all_units(root, manifest, inputs));
  TRY_DO(add_containers(root, manifest, inputs));
  TRY_DO(write_identity(root, manifest));
  TRY_DO(write_agent_configuration(root, manifest));
  TRY(std::string boot, base::read_file(inputs.boot, max_file_bytes), "the program for the boot loader");
  TRY_DO(add_boot_assessment(root, manifest.boot_tries, std::move(boot)));
  TRY_DO(write_var_definition(root));
  TRY_DO(add_tmp(root));
  image::SourcedTree made = std::move(root).finish();
  made.tree = image::in_canonical_form(made.tree);
  Draft canonical(std::move(made));
  TRY_DO(add_boot_parts(canonical, manifest, inputs));
  TRY_DO(canonical.write(var_rules_path, var_rules(canonical.tree())));
  made = std::move(canonical).finish();

  const auto& allowed = manifest.budget.setuid;
  const image::CanonicalRules rules{
      allowed ? std::set<std::string>(allowed->begin(), allowed->end()) : std::set<std::string>(),
      !allowed.has_value()};
  if (const auto wrong = image::canonical_form_violations(made.tree, rules); !wrong.empty()) {
    return fail(Kind::invalid_input, fmt::format("the root cannot be an image:\n  {}", fmt::join(wrong, "\n  ")));
  }
  return made;
}

Result<BootParts> boot_parts_of(const image::FileTree& root) {
  std::vector<std::string> releases;
  if (const auto modules = image::find(root, modules_directory)) {
    for (const image::DirectoryEntry& entry : root.inodes[*modules].entries) {
      if (image::find(root, fmt::format("{}/{}/vmlinuz", modules_directory, entry.name)))
        releases.push_back(entry.name);
    }
  }
  if (releases.size() != 1) {
    return fail(Kind::invalid_input, releases.empty() ? "the root has no kernel; see kernel.package"
                                                      : fmt::format("the root has {} kernels ({}); an image has one",
                                                                    releases.size(), fmt::join(releases, ", ")));
  }
  return BootParts{.kernel_release = releases.front(),
                   .kernel = fmt::format("{}/{}/vmlinuz", modules_directory, releases.front()),
                   .initrd = std::string(boot_directory) + "/initrd",
                   .stub = std::string(boot_directory) + "/linuxx64.efi.stub",
                   .boot_loader = std::string(loader_directory) + "/systemd-bootx64.efi",
                   .os_release = "/usr/lib/os-release"};
}

Result<std::string> digest_of_inputs(const manifest::Manifest& manifest, const RootInputs& inputs) {
  base::Sha256 sha;
  TRY_DO(digest_path(sha, inputs.init));
  TRY_DO(digest_path(sha, inputs.boot));
  TRY_DO(digest_path(sha, inputs.keelson));
  const auto add = [&](const std::string& path) { return digest_path(sha, path_beside(path, inputs)); };
  for (const manifest::File& file : manifest.files) {
    if (file.content.source) TRY_DO(add(*file.content.source), file.content.place.text());
  }
  for (const manifest::UnitFile& file : manifest.units.files) {
    if (file.content.source) TRY_DO(add(*file.content.source), file.content.place.text());
  }
  for (const manifest::Tree& tree : manifest.trees) {
    TRY_DO(add(tree.source.starts_with(oci_prefix) ? tree.source.substr(oci_prefix.size()) : tree.source),
           tree.place.text());
  }
  for (const manifest::Container& container : manifest.containers) {
    TRY_DO(add(container.image.substr(oci_prefix.size())), container.place.text());
  }
  return base::to_hex(sha.finish());
}

}  // namespace builder::root
