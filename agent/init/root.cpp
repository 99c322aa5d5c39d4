#include "agent/init/root.hpp"

#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>

#include "agent/init/mounts.hpp"
#include "base/block_device.hpp"
#include "verity/device.hpp"
#include "verity/superblock.hpp"

namespace agent::init {

using base::Result;

namespace {

Result<verity::MappedDevice> activate(const disks::RootPartitions& partitions, const verity::RootHash& root_hash,
                                      verity::OnCorruption on_corruption) {
  TRY(const auto hash_device, base::FileDevice::open(partitions.hash, base::Access::read_only));
  TRY(const verity::Superblock superblock, verity::read_superblock(*hash_device, 0));
  TRY(const verity::Geometry geometry, verity::Geometry::of(superblock.params, superblock.data_blocks));
  const std::uint32_t block_size = superblock.params.hash_block_size;
  TRY(const std::uint64_t tree, verity::tree_offset(0, verity::HasSuperblock::yes, block_size));
  verity::Table table{partitions.data, partitions.hash, geometry, tree / block_size, root_hash, {}};
  table.options.on_corruption = on_corruption;
  TRY(const verity::DeviceMapper mapper, verity::DeviceMapper::open());
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

Result<> mount_root(const disks::RootPartitions& partitions, const verity::RootHash& root_hash,
                    verity::OnCorruption on_corruption, const std::string& at) {
  TRY(const verity::MappedDevice device, activate(partitions, root_hash, on_corruption),
      "setting up the root from " + partitions.data + " and " + partitions.hash);
  TRY(const std::string link, link_in_mapper(device));
  return mount_file_system(link, at, "erofs", MS_RDONLY, "");
}

}  // namespace agent::init
