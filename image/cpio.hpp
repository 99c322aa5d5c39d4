#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace image {

enum class CpioType { directory, regular, symlink, character_device, block_device };

struct CpioEntry {
  std::string path;  // "dev/console": relative, without "." and ".." and empty parts
  CpioType type = CpioType::regular;
  std::uint32_t permissions = 0644;  // at most 07777
  base::ByteView content;            // of a file, or the target of a symlink; whoever made the entry keeps it alive
  std::uint32_t major = 0;           // of a device
  std::uint32_t minor = 0;
};

/// A cpio archive in the "newc" format that the kernel unpacks into its initial RAM file system. The same entries give
/// the same bytes, in whatever order they come: sorted bytewise by path (so that a directory precedes what is in it),
/// inodes numbered from 1 in that order, owner root, device and time 0. Directories that are not given but needed have
/// mode 0755: the kernel makes none by itself. No hard links. The archive ends at a multiple of 4 bytes, so that
/// another may follow at once; cpio(1) pads to 512, which only tapes need.
/// Fails:  invalid_input (a path, permissions, a path given twice, a file of 4 GiB, what the kernel would skip: names
///         and targets beyond 4095 bytes)
/// Source: Linux, Documentation/driver-api/early-userspace/buffer-format.rst and init/initramfs.c
base::Result<base::Bytes> write_cpio(std::vector<CpioEntry> entries);

/// The entries of one archive in their order, as the archive has them; their contents are views into it. Only NUL bytes
/// may follow its trailer. Paths may begin with "./" or be "." as cpio(1) writes them, but cannot lead out.
/// Fails: corrupt (with the offset); unsupported (the "crc" format, sockets and FIFOs)
base::Result<std::vector<CpioEntry>> read_cpio(base::ByteView archive);

}  // namespace image
