#include "builder/diff/image_view.hpp"

#include <fcntl.h>

#include <fmt/format.h>

#include "base/file.hpp"
#include "base/human.hpp"
#include "image/erofs/reader.hpp"
#include "image/release.hpp"

namespace builder::diff {

using base::fail;
using base::Kind;
using base::Result;

namespace {

void take_uki(ImageView& view, const image::PeFacts& uki) {
  for (const image::PeSectionFacts& section : uki.sections) {
    view.sections[section.name] =
        fmt::format("{} bytes, {}", section.size_bytes, base::to_hex(section.sha256).substr(0, 16));
  }
  view.cmdline = uki.cmdline.value_or("");
  if (uki.uname) view.facts["kernel"] = *uki.uname;
}

Result<> take_root(ImageView& view, std::shared_ptr<const base::BlockDevice> device) {
  TRY(view.root, image::erofs::read_image(std::move(device)));
  TRY(view.packages, outputs::installed_packages(*view.root));
  return base::ok();
}

Result<> take_disk(ImageView& view, const std::shared_ptr<base::BlockDevice>& disk) {
  TRY(const image::DiskFacts facts, image::inspect_disk(*disk));
  view.facts["disk size"] = base::human_bytes(disk->size_bytes());
  for (const image::Partition& partition : facts.table.table.partitions) {
    view.partitions[fmt::format("{}", partition.number)] =
        fmt::format("{} {}, {}", partition.label, partition.type.text(), base::human_bytes(partition.size_bytes));
  }
  for (const image::SlotFacts& slot : facts.slots) {
    if (slot.slot.slot != image::Slot::a) continue;
    view.facts["version"] = slot.slot.root.label;
    view.facts["root hash"] = slot.slot.root_hash().hex();
    if (slot.root) view.facts["root size"] = base::human_bytes(slot.root->size_bytes());
    TRY(base::DeviceRange range, image::partition_device(*disk, slot.slot.root));
    auto device = std::make_shared<base::DeviceRange>(std::move(range));
    view.devices = {disk, device};
    TRY_DO(take_root(view, device));
  }
  if (facts.esp && *facts.esp) {
    for (const image::UkiFacts& uki : (**facts.esp).ukis) {
      if (uki.pe) take_uki(view, *uki.pe);
    }
  }
  return base::ok();
}

Result<> take_release(ImageView& view, const std::string& path) {
  TRY(const std::string text, base::read_file(path, image::max_release_bytes));
  TRY(const image::Release release, image::parse_release(text));
  view.facts["version"] = release.identity.label();
  view.facts["root hash"] = release.root_hash.hex();
  view.facts["commit"] = base::to_hex(release.commit);
  view.facts["root size"] = base::human_bytes(release.image_bytes);
  view.facts["slot size"] = base::human_bytes(release.slot_bytes);
  if (const auto* uki = std::get_if<image::UkiFromParts>(&release.uki)) {
    view.cmdline = uki->cmdline;
    view.facts["kernel"] = uki->uname;
    for (const auto& [name, part] : {std::pair(".linux", &uki->kernel),
                                     {".initrd", &uki->initrd},
                                     {".osrel", &uki->os_release},
                                     {"stub", &uki->stub}}) {
      view.sections[name] = fmt::format("{} bytes, {}", part->size_bytes, base::to_hex(part->sha256).substr(0, 16));
    }
  }
  return base::ok();
}

Result<> take(ImageView& view) {
  TRY(auto device, base::FileDevice::open(view.path, base::Access::read_only));
  std::shared_ptr<base::BlockDevice> file = std::move(device);
  TRY(const image::FileKind kind, image::recognise(*file));
  switch (kind) {
    case image::FileKind::disk:
      return take_disk(view, file);
    case image::FileKind::erofs:
      view.devices = {file};
      view.facts["root size"] = base::human_bytes(file->size_bytes());
      return take_root(view, file);
    case image::FileKind::pe: {
      if (file->size_bytes() > image::max_pe_bytes) return fail(Kind::invalid_input, "it is too large for a UKI");
      base::Bytes bytes(file->size_bytes());
      TRY_DO(file->read(0, bytes));
      TRY(const image::PeFacts uki, image::inspect_pe(bytes));
      take_uki(view, uki);
      return base::ok();
    }
    case image::FileKind::release:
      return take_release(view, view.path);
    case image::FileKind::qcow2:
      return fail(Kind::unsupported,
                  "it is a qcow2 image; compare the raw disk, or convert it: qemu-img convert -O raw");
    default:
      return fail(Kind::unsupported, "it is no disk, root image, UKI or release");
  }
}

}  // namespace

Result<ImageView> open_view(const std::string& path) {
  ImageView view{.path = path};
  TRY_DO(take(view), path);
  return view;
}

}  // namespace builder::diff
