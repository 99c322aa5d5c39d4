#include "image/initrd.hpp"

#include <utility>

#include "image/compression.hpp"
#include "image/cpio.hpp"

namespace image {

using base::Bytes;
using base::fail;
using base::Kind;
using base::Result;

namespace {

struct Module {
  std::string name;  // "dm-verity.ko"
  Bytes content;
};

/// The name of the file without compression, as the distribution spells it.
std::string file_name_of(std::string_view path) {
  constexpr std::string_view suffix = ".ko";
  const std::string_view file = path.substr(path.rfind('/') + 1);
  return std::string(file.substr(0, file.rfind(suffix) + suffix.size()));
}

Result<std::vector<Module>> read_modules(const InitrdSpec& spec) {
  std::vector<Module> modules;
  if (spec.modules.empty()) return modules;
  TRY(const ModuleIndex index, ModuleIndex::load(spec.kernel_files));
  TRY(const std::vector<std::string> paths, index.load_order(spec.modules));
  for (const std::string& path : paths) {
    TRY(Bytes content, read_module(spec.kernel_files, path));
    modules.push_back({file_name_of(path), std::move(content)});
  }
  return modules;
}

std::vector<CpioEntry> entries_of(const InitrdSpec& spec, const std::vector<Module>& modules, std::string_view list) {
  std::vector<CpioEntry> entries;
  for (const char* directory : {"dev", "modules", "proc", "run", "sys", "sysroot"}) {
    entries.push_back({.path = directory, .type = CpioType::directory, .permissions = 0755});
  }
  entries.push_back({.path = "init", .permissions = 0755, .content = spec.init});
  entries.push_back({.path = "modules.list", .content = base::bytes_of(list)});
  for (const Module& module : modules) {
    entries.push_back({.path = "modules/" + module.name, .content = module.content});
  }
  if (spec.device_nodes == InitrdDeviceNodes::console_and_null) {
    // Numbers from Linux, Documentation/admin-guide/devices.txt.
    entries.push_back(
        {.path = "dev/console", .type = CpioType::character_device, .permissions = 0600, .major = 5, .minor = 1});
    entries.push_back(
        {.path = "dev/null", .type = CpioType::character_device, .permissions = 0666, .major = 1, .minor = 3});
  }
  return entries;
}

}  // namespace

Result<Initrd> build_initrd(const InitrdSpec& spec) {
  if (spec.init.empty()) return fail(Kind::invalid_input, "the init of an initrd is empty");
  TRY(const std::vector<Module> modules, read_modules(spec));
  Initrd initrd;
  std::string list;
  for (const Module& module : modules) {
    initrd.modules.push_back(module.name);
    list += module.name + "\n";
  }
  TRY(initrd.archive, write_cpio(entries_of(spec, modules, list)));
  if (spec.compression == InitrdCompression::zstd) {
    TRY(initrd.archive, compress_zstd(initrd.archive), "compressing the initrd");
  }
  return initrd;
}

}  // namespace image
