#include "agent/init/root.hpp"

#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>

#include "agent/init/mounts.hpp"
#include "agent/init/signature.hpp"
#include "base/block_device.hpp"
#include "verity/device.hpp"
#include "verity/superblock.hpp"

namespace agent::init {

using base::fail;
using base::Kind;
using base::Result;

namespace {

Result<verity::Table> table_for(const disks::RootPartitions& partitions, const verity::RootHash& root_hash,
                                const verity::Superblock& superblock) {
  TRY(const verity::Geometry geometry, verity::Geometry::of(superblock.params, superblock.data_blocks));
  const std::uint32_t block_size = superblock.params.hash_block_size;
  TRY(const std::uint64_t tree, verity::tree_offset(0, verity::HasSuperblock::yes, block_size));
  return verity::Table{partitions.data, partitions.hash, geometry, tree / block_size, root_hash, {}};
}

/// Checks the signature, as the options say. The name of the key by which the kernel knows it; empty: it is not to.
Result<std::string> check_signature(const disks::RootPartitions& partitions, const Options& options,
                                    const Console& console) {
  if (!options.signature_digest) return "";
  if (!partitions.signature) return fail(Kind::not_found, "the root has no partition with its signature");
  TRY(const base::Bytes block, read_signature(*partitions.signature, *options.signature_digest));
  console.debug("the signature on " + *partitions.signature + " is this version's");
  const auto pkcs7 = pkcs7_in(block);
  if (!options.signature_for_kernel || !pkcs7) return "";
  auto key = give_to_kernel(*pkcs7);
  if (!key) console.warning(key.error().message());
  return key.value_or("");
}

/// Whether a kernel that does not want the signature may have the root without one: it has no key (Debian's 6.1 never
/// has), or no such option.
bool can_do_without(const base::Error& refusal) {
  return refusal.kind() == Kind::unsupported || refusal.kind() == Kind::invalid_input;
}

Result<verity::MappedDevice> activate(const disks::RootPartitions& partitions, const verity::RootHash& root_hash,
                                      const Options& options, const Console& console) {
  TRY(const auto hash_device, base::FileDevice::open(partitions.hash, base::Access::read_only));
  TRY(const verity::Superblock superblock, verity::read_superblock(*hash_device, 0));
  TRY(verity::Table table, table_for(partitions, root_hash, superblock));
  table.options.on_corruption = options.on_corruption;
  TRY(table.options.root_hash_signature_key, check_signature(partitions, options, console));
  TRY(const verity::DeviceMapper mapper, verity::DeviceMapper::open());
  if (!table.options.root_hash_signature_key.empty()) {
    auto verified = mapper.activate(root_device_name, superblock.uuid, table);
    if (verified || !can_do_without(verified.error())) return verified;
    console.debug("the kernel does not look at the signature: " + verified.error().message());
    table.options.root_hash_signature_key.clear();
  }
  return mapper.activate(root_device_name, superblock.uuid, table);
}

/// The name that programs show and look for; udev would make it, where there is one.
Result<std::string> link_in_mapper(const verity::MappedDevice& device) {
  std::string link = std::string("/dev/mapper/") + root_device_name;
  const std::string target = ".." + device.path().substr(std::string("/dev").size());
  if (::symlink(target.c_str(), link.c_str()) != 0 && errno != EEXIST) {
    const int error = errno;
    return base::fail_errno(error, "making the link " + link);
  }
  return link;
}

}  // namespace

Result<> mount_root(const disks::RootPartitions& partitions, const verity::RootHash& root_hash, const Options& options,
                    const Console& console, const std::string& at) {
  TRY(const verity::MappedDevice device, activate(partitions, root_hash, options, console),
      "setting up the root from " + partitions.data + " and " + partitions.hash);
  TRY(const std::string link, link_in_mapper(device));
  return mount_file_system(link, at, "erofs", MS_RDONLY, "");
}

}  // namespace agent::init
