#include "builder/outputs/image_files.hpp"

#include <algorithm>
#include <filesystem>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/digest.hpp"
#include "base/partial_file.hpp"
#include "base/version.hpp"
#include "builder/root/make_root.hpp"
#include "image/authenticode.hpp"
#include "image/compose.hpp"
#include "image/convert_disk.hpp"
#include "image/disk.hpp"
#include "image/file_content.hpp"
#include "image/identifiers.hpp"
#include "image/kernel_cmdline.hpp"
#include "image/uki.hpp"
#include "verity/root_hash_signature.hpp"
#include "verity/signature_partition.hpp"

namespace builder::outputs {

using base::Bytes;
using base::ByteView;
using base::fail;
using base::Kind;
using base::Result;

namespace {

constexpr std::size_t max_part_bytes = std::size_t{512} << 20;

Result<std::string> content_at(const image::SourcedTree& root, const std::string& path) {
  TRY(auto content, image::read_file(root, path, max_part_bytes));
  if (!content) return fail(Kind::not_found, "the root has no file " + path);
  return *std::move(content);
}

/// A part of the UKI as the commit has it.
struct Part {
  std::string content;
  image::FileInCommit in_commit;
  ByteView bytes() const { return base::bytes_of(content); }
};
Result<Part> part_at(const image::SourcedTree& root, const std::string& path) {
  Part part;
  TRY(part.content, content_at(root, path));
  part.in_commit = {path.substr(1), part.content.size(), base::sha256(part.bytes())};
  return part;
}

/// The whole kernel command line: what finds the root and its signature, what our init and systemd are told, and the
/// manifest's words. A kernel that panics restarts after 5 s, so that the boot loader's counter decides what is next;
/// of a word that is there twice the manifest's counts, for it is the last.
Result<std::string> command_line(const verity::SignaturePartition& signature, const manifest::Manifest& manifest) {
  TRY(const Bytes partition, signature.encode());
  const ByteView block = ByteView(partition).first(image::signature_block_size);
  return fmt::format("roothash={} {}{} systemd.verity=no panic=5{}{}", signature.root_hash.hex(), image::signature_key,
                     base::to_hex(base::sha256(block)), manifest.cmdline.empty() ? "" : " ",
                     fmt::join(manifest.cmdline, " "));
}

struct Uki {
  Bytes bytes;
  image::UkiFromParts description;
};

Result<Uki> make_uki(const image::SourcedTree& root, const root::BootParts& paths,
                     const verity::SignaturePartition& signature, const manifest::Manifest& manifest,
                     const std::optional<keys::Signer>& signer) {
  TRY(Part stub, part_at(root, paths.stub));
  TRY(Part os_release, part_at(root, paths.os_release));
  TRY(Part initrd, part_at(root, paths.initrd));
  TRY(Part kernel, part_at(root, paths.kernel));
  TRY(const std::string cmdline, command_line(signature, manifest));
  Uki uki;
  TRY(uki.bytes, image::assemble_uki(stub.bytes(), {.os_release = os_release.bytes(),
                                                    .cmdline = base::bytes_of(cmdline),
                                                    .uname = base::bytes_of(paths.kernel_release),
                                                    .initrd = initrd.bytes(),
                                                    .kernel = kernel.bytes()}));
  if (signer) {
    TRY(uki.bytes, image::sign_pe(uki.bytes, signer->key, signer->certificate));
    TRY(const image::DetachedSignature detached, image::detach_signature(uki.bytes));
    uki.description.signature = detached.signature;
  }
  uki.description.size_bytes = uki.bytes.size();
  uki.description.sha256 = base::sha256(uki.bytes);
  uki.description.cmdline = cmdline;
  uki.description.uname = paths.kernel_release;
  uki.description.stub = std::move(stub.in_commit);
  uki.description.os_release = std::move(os_release.in_commit);
  uki.description.initrd = std::move(initrd.in_commit);
  uki.description.kernel = std::move(kernel.in_commit);
  return uki;
}

Result<image::ComposedRoot> compose(const image::CommitTree& root, const manifest::Manifest& manifest,
                                    const image::ImageIdentity& identity, const image::RootFiles& files,
                                    base::ProgressStyle progress) {
  std::uint64_t bytes = 0;
  for (const image::Inode& inode : root.root.tree.inodes) bytes += inode.size;
  base::Progress shown(progress, "composing the root", bytes);
  image::RootOptions options;
  options.erofs.uuid = image::derive_uuid(identity, image::role::root_filesystem);
  options.erofs.time = root.facts.time;
  if (manifest.compression == manifest::Compression::lz4hc)
    options.erofs.compression = image::erofs::Compression::lz4hc;
  options.salt = image::derive_verity_salt(identity);
  options.hash_uuid = image::derive_uuid(identity, image::role::verity_superblock);
  options.durability = base::Durability::none;
  options.file_digest = true;
  options.effort = {0, shown.advancer()};
  return image::compose_root(root.root.tree, *root.root.contents, options, files);
}

image::ComposerSettings composer_settings(const manifest::Manifest& manifest) {
  image::ComposerSettings settings{.version = image::erofs::composer_version};
  if (manifest.compression == manifest::Compression::none) return settings;
  settings.compression = image::erofs::Compression::lz4hc;
  settings.cluster_bytes = image::erofs::Options().cluster_size;
  settings.compressor = image::erofs::compressor_version();
  return settings;
}

Result<base::Sha256Digest> digest_of_hex(const std::string& hex) {
  TRY(const Bytes bytes, base::from_hex(hex));
  base::Sha256Digest digest{};
  if (bytes.size() != digest.size()) return fail(Kind::invalid_input, hex + " is no SHA-256");
  std::ranges::copy(bytes, digest.begin());
  return digest;
}

/// By itself in virtual machines only. systemd-boot before 253 does not know that word; "force" there also enrols at
/// once in virtual machines, and on hardware that somebody has put into setup mode after 15 s in which a key stops it.
image::SecureBootEnroll enrolment(base::ByteView boot_loader) {
  const bool knows = base::text_of(boot_loader).find("if-safe") != std::string_view::npos;
  return knows ? image::SecureBootEnroll::if_safe : image::SecureBootEnroll::force;
}

}  // namespace

FileNames::FileNames(const image::ImageIdentity& identity)
    : root_image(identity.label() + ".root.erofs"),
      hash_tree(identity.label() + ".root.verity"),
      uki(identity.label() + ".efi"),
      release(identity.label() + ".release.json"),
      raw_disk(identity.label() + ".raw"),
      label_(identity.label()) {}

std::string FileNames::disk(manifest::OutputFormat format) const {
  switch (format) {
    case manifest::OutputFormat::raw:
      break;
    case manifest::OutputFormat::qcow2:
      return label_ + ".qcow2";
    case manifest::OutputFormat::vhd:
      return label_ + ".vhd";
    case manifest::OutputFormat::vmdk:
      return label_ + ".vmdk";
  }
  return raw_disk;
}

Result<WrittenImage> write_image(const image::CommitTree& root, const std::string& commit,
                                 const manifest::Manifest& manifest, const Signers& signers,
                                 const std::string& directory, base::ProgressStyle progress) {
  TRY(const auto identity, image::ImageIdentity::of(manifest.id, manifest.version));
  const FileNames names(identity);
  const auto path = [&](const std::string& name) { return directory + "/" + name; };
  std::vector<std::string> files;
  const auto wrote = [&](const std::string& name) { files.push_back(name); };

  TRY(const image::ComposedRoot composed,
      compose(root, manifest, identity, {path(names.root_image), path(names.hash_tree)}, progress));
  wrote(names.root_image);
  wrote(names.hash_tree);
  TRY_DO(image::check_headroom(composed.image.size_bytes, manifest.root_bytes, manifest.headroom_percent),
         "partitions.root");
  const verity::RootHash& root_hash = *composed.root_hash;
  verity::SignaturePartition signature{root_hash, signers.root_hash.certificate.fingerprint(), {}};
  TRY(signature.signature, verity::sign_root_hash(root_hash, signers.root_hash.key, signers.root_hash.certificate));
  TRY(const root::BootParts boot_parts, root::boot_parts_of(root.root.tree));
  TRY(Uki uki, make_uki(root.root, boot_parts, signature, manifest, signers.secure_boot));
  TRY_DO(base::replace_file(path(names.uki), uki.bytes));
  wrote(names.uki);

  TRY(const std::string unsigned_loader, content_at(root.root, boot_parts.boot_loader));
  Bytes signed_loader;
  ByteView boot_loader = base::bytes_of(unsigned_loader);
  if (signers.secure_boot) {
    TRY(signed_loader, image::sign_pe(boot_loader, signers.secure_boot->key, signers.secure_boot->certificate));
    boot_loader = signed_loader;
  }
  const image::DiskParts parts{
      .identity = identity,
      .root_hash = root_hash,
      .root_image = path(names.root_image),
      .hash_tree = path(names.hash_tree),
      .signature = signature,
      .esp = {.boot_loader = boot_loader,
              .loader_conf = {.timeout = manifest.boot_timeout,
                              .secure_boot_enroll =
                                  signers.enroll_keys ? enrolment(boot_loader) : image::SecureBootEnroll::off},
              .enroll_keys = signers.enroll_keys,
              .ukis = {{.name = {manifest.id, manifest.version, image::BootTries{manifest.boot_tries, 0}},
                        .content = image::FatContent::view(uki.bytes)}}},
      .timestamp = std::chrono::sys_seconds(std::chrono::seconds(root.facts.time))};
  {
    base::Progress shown(progress, "writing the disk", composed.image.size_bytes);
    TRY_DO(image::assemble_disk(parts,
                                {.sizes = {.esp_bytes = manifest.esp_bytes,
                                           .root_bytes = manifest.root_bytes,
                                           .sector_size = manifest.sector_size},
                                 .headroom_percent = manifest.headroom_percent,
                                 .durability = base::Durability::none,
                                 .advance = shown.advancer()},
                                path(names.raw_disk)));
  }
  bool keep_raw = false;
  for (const manifest::OutputFormat format : manifest.outputs) {
    const std::string name = names.disk(format);
    switch (format) {
      case manifest::OutputFormat::raw:
        keep_raw = true;
        break;
      case manifest::OutputFormat::qcow2:
        TRY_DO(image::convert_disk(path(names.raw_disk), image::DiskFormat::qcow2, path(name), parts.timestamp));
        break;
      case manifest::OutputFormat::vhd:
        TRY_DO(image::convert_disk(path(names.raw_disk), image::DiskFormat::vhd, path(name), parts.timestamp));
        break;
      case manifest::OutputFormat::vmdk:
        TRY_DO(image::convert_disk(path(names.raw_disk), image::DiskFormat::vmdk, path(name), parts.timestamp));
        break;
    }
    wrote(name);
  }
  if (!keep_raw) std::filesystem::remove(path(names.raw_disk));

  image::FullImage full{
      .name = names.root_image, .size_bytes = composed.image.size_bytes, .sha256 = *composed.file_digest};
  const std::uint64_t hash_tree_bytes = std::filesystem::file_size(path(names.hash_tree));
  TRY(const auto commit_digest, digest_of_hex(commit));
  TRY(const auto certificate, digest_of_hex(signers.root_hash.certificate.fingerprint()));
  image::Release release{.identity = identity,
                         .commit = commit_digest,
                         .composer = composer_settings(manifest),
                         .erofs_uuid = image::derive_uuid(identity, image::role::root_filesystem),
                         .erofs_time = root.facts.time,
                         .root_hash = root_hash,
                         .root_hash_signature = signature.signature,
                         .root_hash_certificate = certificate,
                         .image_bytes = composed.image.size_bytes,
                         .hash_tree_bytes = hash_tree_bytes,
                         .slot_bytes = manifest.root_bytes,
                         .uki = std::move(uki.description),
                         .full_image = std::move(full),
                         .minimum_agent_version = std::string(base::version)};
  TRY_DO(base::replace_file(path(names.release), base::bytes_of(image::to_json(release))));
  wrote(names.release);
  return WrittenImage{std::move(release), std::move(files)};
}

}  // namespace builder::outputs
