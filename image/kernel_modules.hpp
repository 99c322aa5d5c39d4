#pragma once

#include <functional>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace image {

/// Reads a file of a kernel's module directory, usr/lib/modules/<version>, by its path in it: "modules.dep",
/// "kernel/fs/erofs/erofs.ko.xz". A seam: the directory may be one of a file system or of a commit.
using KernelFiles = std::function<base::Result<base::Bytes>(const std::string& path)>;

/// From a directory of the file system.
KernelFiles kernel_files_in(std::string directory);

/// What depmod(8) wrote about a kernel's modules. In names "-" and "_" are equal.
class ModuleIndex {
 public:
  /// Reads modules.dep and modules.builtin. Fails: as parse does, and as `files` does.
  static base::Result<ModuleIndex> load(const KernelFiles& files);
  /// Fails: corrupt, with the line.
  static base::Result<ModuleIndex> parse(std::string_view modules_dep, std::string_view modules_builtin);

  /// The files of these modules and of all that they depend on, in the order in which the kernel takes them: as
  /// modprobe would, one name after the other. Names that are built into the kernel give no file. Soft dependencies are
  /// not followed (whoever wants crc32c-intel below libcrc32c names it).
  /// Fails: not_found for a name (with what may be meant); corrupt for a dependency that is not there or on itself.
  base::Result<std::vector<std::string>> load_order(std::span<const std::string> names) const;

  /// All names, built-in ones too, sorted.
  std::vector<std::string> names() const;

 private:
  struct Module {
    std::string path;
    std::vector<std::string> dependencies;  // paths, the first to be loaded last
  };
  struct Walk;

  base::Result<> add_dependencies_line(std::string_view line);
  base::Result<> add_built_in_line(std::string_view line);
  base::Result<> visit(const std::string& name, Walk& walk) const;

  std::map<std::string, Module> modules_;
  std::set<std::string> built_in_;
};

/// Which devices a module is for, by the patterns that depmod has found in it: "pci:v*d*sv*sd*bc01sc06i01*"; "*", "?"
/// and
/// "[...]" are as in fnmatch(3). What names no bus (file systems, algorithms) is no device's.
std::vector<std::string> device_patterns(std::string_view modules_alias, std::string_view module);

/// "dm_verity" for "kernel/drivers/md/dm-verity.ko.xz".
std::string module_name(std::string_view path);

/// The module as the kernel's finit_module(2) takes it under Secure Boot: decompressed, otherwise to the bit as it was
/// signed. Fails: corrupt (damaged, no ELF file), unsupported (another compression than xz and zstd), no_space (more
/// than 64 MiB), and as `files` does.
base::Result<base::Bytes> read_module(const KernelFiles& files, const std::string& path);

}  // namespace image
