#include "image/kernel_modules.hpp"

#include <algorithm>
#include <array>
#include <ranges>
#include <utility>

#include "base/file.hpp"
#include "base/lines.hpp"
#include "base/suggest.hpp"
#include "image/compression.hpp"

namespace image {

using base::Bytes;
using base::ByteView;
using base::fail;
using base::Kind;
using base::ok;
using base::Result;

namespace {

constexpr std::size_t max_file_bytes = std::size_t{64} << 20;  // the largest module of Debian's 6.12 has 13 MiB
constexpr std::size_t max_depth = 64;
constexpr std::array<std::string_view, 4> suffixes = {".ko", ".ko.xz", ".ko.zst", ".ko.gz"};

std::string normalised(std::string_view name) {
  std::string result(name);
  std::ranges::replace(result, '-', '_');
  return result;
}

/// A path of a module that stays in its directory.
bool is_module_path(std::string_view path) {
  const bool is_module = std::ranges::any_of(suffixes, [&](std::string_view suffix) { return path.ends_with(suffix); });
  const bool printable = std::ranges::all_of(path, [](char c) { return c > ' ' && c < '\x7f'; });
  return is_module && printable && !path.starts_with('/') && !path.starts_with("../") && !path.contains("/../") &&
         !module_name(path).empty();
}

/// Calls `take` for each line that is not empty. Adds the number of the line to what it fails with.
template <class Take>
Result<> for_each_line(std::string_view text, const std::string& file, const Take& take) {
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    if (end != 0) TRY_DO(take(text.substr(0, end)), file + ":" + std::to_string(number));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return ok();
}

Result<Bytes> decompressed(std::string_view path, Bytes file) {
  if (path.ends_with(".xz")) return decompress_xz(file, max_file_bytes);
  if (path.ends_with(".zst")) return decompress_zstd(file, max_file_bytes);
  if (path.ends_with(".gz")) return fail(Kind::unsupported, "modules compressed with gzip are not read");
  return file;
}

}  // namespace

KernelFiles kernel_files_in(std::string directory) {
  return [directory = std::move(directory)](const std::string& path) -> Result<Bytes> {
    TRY(const std::string text, base::read_file(directory + "/" + path, max_file_bytes));
    const ByteView bytes = base::bytes_of(text);
    return Bytes(bytes.begin(), bytes.end());
  };
}

std::string module_name(std::string_view path) {
  std::string_view file = path.substr(path.rfind('/') + 1);
  for (const std::string_view suffix : suffixes) {
    if (file.ends_with(suffix)) {
      file.remove_suffix(suffix.size());
      break;
    }
  }
  return normalised(file);
}

std::vector<std::string> device_patterns(std::string_view modules_alias, std::string_view module) {
  constexpr std::string_view begin = "alias ";
  const std::string end = " " + normalised(module);
  std::vector<std::string> patterns;
  for (std::string_view line : base::lines_of(modules_alias)) {
    if (!line.starts_with(begin) || !line.ends_with(end) || line.size() <= begin.size() + end.size()) continue;
    line = line.substr(begin.size(), line.size() - begin.size() - end.size());
    if (line.contains(':') && !line.contains(' ')) patterns.emplace_back(line);
  }
  return patterns;
}

/// How far load_order has come.
struct ModuleIndex::Walk {
  std::vector<std::string> order;
  std::set<std::string> done;
  std::vector<std::string> open;  // modules whose dependencies are being visited
};

Result<ModuleIndex> ModuleIndex::load(const KernelFiles& files) {
  TRY(const Bytes dependencies, files("modules.dep"), "reading what depmod has written");
  TRY(const Bytes built_in, files("modules.builtin"), "reading which modules are built in");
  return parse(base::text_of(dependencies), base::text_of(built_in));
}

Result<ModuleIndex> ModuleIndex::parse(std::string_view modules_dep, std::string_view modules_builtin) {
  ModuleIndex index;
  TRY_DO(for_each_line(modules_dep, "modules.dep",
                       [&](std::string_view line) { return index.add_dependencies_line(line); }));
  TRY_DO(for_each_line(modules_builtin, "modules.builtin",
                       [&](std::string_view line) { return index.add_built_in_line(line); }));
  return index;
}

Result<> ModuleIndex::add_dependencies_line(std::string_view line) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return fail(Kind::corrupt, "no \":\" behind a module");
  Module module{.path = std::string(line.substr(0, colon)), .dependencies = {}};
  if (!is_module_path(module.path)) return fail(Kind::corrupt, "what precedes the \":\" is no path of a module");
  for (std::string_view rest = line.substr(colon + 1); !rest.empty();) {
    const std::size_t end = std::min(rest.find(' '), rest.size());
    const std::string_view word = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (word.empty()) continue;
    if (!is_module_path(word)) return fail(Kind::corrupt, "a dependency is no path of a module");
    module.dependencies.emplace_back(word);
  }
  const std::string name = module_name(module.path);
  if (!modules_.emplace(name, std::move(module)).second) return fail(Kind::corrupt, "a second module " + name);
  return ok();
}

Result<> ModuleIndex::add_built_in_line(std::string_view line) {
  if (!is_module_path(line)) return fail(Kind::corrupt, "not the path of a module");
  built_in_.insert(module_name(line));
  return ok();
}

std::vector<std::string> ModuleIndex::names() const {
  std::set<std::string> all = built_in_;
  for (const auto& [name, module] : modules_) all.insert(name);
  return {all.begin(), all.end()};
}

Result<> ModuleIndex::visit(const std::string& name, Walk& walk) const {
  if (walk.done.contains(name)) return ok();
  const auto found = modules_.find(name);
  if (found == modules_.end()) return fail(Kind::corrupt, "modules.dep does not know the dependency " + name);
  if (std::ranges::find(walk.open, name) != walk.open.end())
    return fail(Kind::corrupt, "the module " + name + " depends on itself");
  if (walk.open.size() == max_depth)
    return fail(Kind::corrupt, "the dependencies of " + walk.open.front() + " have no end");
  walk.open.push_back(name);
  // depmod lists what is to be loaded first last.
  for (const std::string& path : found->second.dependencies | std::views::reverse) {
    TRY_DO(visit(module_name(path), walk));
  }
  walk.open.pop_back();
  walk.done.insert(name);
  walk.order.push_back(found->second.path);
  return ok();
}

Result<std::vector<std::string>> ModuleIndex::load_order(std::span<const std::string> wanted) const {
  Walk walk;
  for (const std::string& given : wanted) {
    const std::string name = normalised(given);
    if (modules_.contains(name)) {
      TRY_DO(visit(name, walk));
    } else if (!built_in_.contains(name)) {
      const auto meant = base::did_you_mean(name, names());
      return fail(Kind::not_found, "the kernel has no module \"" + given + "\"" +
                                       (meant ? "; did you mean \"" + *meant + "\"?" : std::string()));
    }
  }
  return std::move(walk.order);
}

Result<Bytes> read_module(const KernelFiles& files, const std::string& path) {
  TRY(Bytes file, files(path), "the module " + path);
  TRY(Bytes module, decompressed(path, std::move(file)), "the module " + path);
  if (!base::text_of(module).starts_with("\x7f"
                                         "ELF"))
    return fail(Kind::corrupt, "the module " + path + " is no ELF file");
  return module;
}

}  // namespace image
