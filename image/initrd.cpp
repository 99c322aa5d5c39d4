#include "image/initrd.hpp"

#include <set>
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

struct Modules {
  std::vector<Module> all;
  std::vector<std::string> always;  // names of files, in load order
  std::string drivers;              // /modules.drivers
};

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text.append(text.empty() ? "" : " ").append(word);
  return text;
}

/// The name of the file without compression, as the distribution spells it.
std::string file_name_of(std::string_view path) {
  constexpr std::string_view suffix = ".ko";
  const std::string_view file = path.substr(path.rfind('/') + 1);
  return std::string(file.substr(0, file.rfind(suffix) + suffix.size()));
}

Result<Modules> read_modules(const InitrdSpec& spec) {
  Modules modules;
  if (spec.modules.empty() && spec.drivers.empty()) return modules;
  TRY(const ModuleIndex index, ModuleIndex::load(spec.kernel_files));
  std::vector<std::string> always = spec.modules;
  std::vector<std::pair<std::string, std::vector<std::string>>> asked;  // a driver, the patterns of its devices
  if (!spec.drivers.empty()) {
    TRY(const Bytes aliases, spec.kernel_files("modules.alias"), "reading which devices the modules are for");
    for (const std::string& driver : spec.drivers) {
      std::vector<std::string> patterns = device_patterns(base::text_of(aliases), driver);
      if (patterns.empty()) {
        always.push_back(driver);
      } else {
        asked.emplace_back(driver, std::move(patterns));
      }
    }
  }
  std::set<std::string> taken;
  const auto take = [&](const std::vector<std::string>& paths) -> Result<std::vector<std::string>> {
    std::vector<std::string> names;
    for (const std::string& path : paths) {
      names.push_back(file_name_of(path));
      if (!taken.insert(path).second) continue;
      TRY(Bytes content, read_module(spec.kernel_files, path));
      modules.all.push_back({names.back(), std::move(content)});
    }
    return names;
  };
  TRY(const std::vector<std::string> paths, index.load_order(always));
  TRY(modules.always, take(paths));
  for (const auto& [driver, patterns] : asked) {
    TRY(const std::vector<std::string> needed, index.load_order(std::vector{driver}));
    if (needed.empty()) continue;  // built in
    TRY(const std::vector<std::string> names, take(needed));
    modules.drivers.append(joined(names)).append(" : ").append(joined(patterns)).append("\n");
  }
  return modules;
}

std::vector<CpioEntry> entries_of(const InitrdSpec& spec, const Modules& modules, std::string_view list) {
  std::vector<CpioEntry> entries;
  for (const char* directory : {"dev", "modules", "proc", "run", "sys", "sysroot"}) {
    entries.push_back({.path = directory, .type = CpioType::directory, .permissions = 0755});
  }
  entries.push_back({.path = "init", .permissions = 0755, .content = spec.init});
  entries.push_back({.path = "modules.list", .content = base::bytes_of(list)});
  if (!modules.drivers.empty()) {
    entries.push_back({.path = "modules.drivers", .content = base::bytes_of(modules.drivers)});
  }
  for (const Module& module : modules.all) {
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
  TRY(const Modules modules, read_modules(spec));
  Initrd initrd{.archive = {}, .modules = modules.always};
  std::string list;
  for (const std::string& name : modules.always) list.append(name).append("\n");
  TRY(initrd.archive, write_cpio(entries_of(spec, modules, list)));
  if (spec.compression == InitrdCompression::zstd) {
    TRY(initrd.archive, compress_zstd(initrd.archive), "compressing the initrd");
  }
  return initrd;
}

}  // namespace image
