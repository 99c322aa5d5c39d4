#include "builder/root/units.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <set>

#include <fmt/format.h>

#include "base/lines.hpp"
#include "base/suggest.hpp"
#include "image/tree_edit.hpp"

namespace builder::root {

using base::fail;
using base::Kind;
using base::Result;

namespace {

constexpr const char* host_units = "/etc/systemd/system";
constexpr std::array unit_directories = {"/etc/systemd/system", "/usr/local/lib/systemd/system",
                                         "/usr/lib/systemd/system"};

struct UnitName {
  std::string prefix;    // "getty" of "getty@tty1.service"
  std::string instance;  // "tty1"
  std::string suffix;    // ".service"
  bool has_at = false;

  std::string whole() const { return prefix + (has_at ? "@" + instance : "") + suffix; }
  std::string file() const { return prefix + (has_at ? "@" : "") + suffix; }
};
UnitName parse_unit_name(const std::string& name) {
  const std::size_t dot = name.rfind('.');
  const std::size_t at = name.find('@');
  UnitName parsed{.suffix = name.substr(dot)};
  parsed.has_at = at != std::string::npos && at < dot;
  parsed.prefix = name.substr(0, parsed.has_at ? at : dot);
  if (parsed.has_at) parsed.instance = name.substr(at + 1, dot - at - 1);
  return parsed;
}

/// The few specifiers that [Install] sections use.
std::string expanded(std::string text, const UnitName& unit) {
  for (const auto& [specifier, value] : {std::pair<std::string_view, std::string>("%i", unit.instance),
                                         {"%I", unit.instance},
                                         {"%j", unit.prefix.substr(unit.prefix.rfind('-') + 1)},
                                         {"%p", unit.prefix},
                                         {"%n", unit.whole()},
                                         {"%%", "%"}}) {
    for (std::size_t at = text.find(specifier); at != std::string::npos; at = text.find(specifier, at + value.size())) {
      text.replace(at, specifier.size(), value);
    }
  }
  return text;
}

class UnitEditor {
 public:
  explicit UnitEditor(Draft& root) : root_(root) {}

  Result<> enable(const std::string& name) {
    if (!done_.insert(name).second) return base::ok();
    UnitName unit = parse_unit_name(name);
    TRY(const std::string path, path_of(unit));
    TRY(const auto text, root_.read(path));
    const InstallSection install = parse_install(text.value_or(""));
    if (install.empty()) {
      return fail(
          Kind::invalid_input,
          fmt::format("units.enable: {} says in no [Install] section what would start it; it needs no enabling, "
                      "or another unit that wants it",
                      name));
    }
    if (unit.has_at && unit.instance.empty()) unit.instance = install.default_instance;
    root_.remove(fmt::format("{}/{}", host_units, unit.whole()));  // a mask of a package's
    for (const auto& [targets, kind] :
         {std::pair(&install.wanted_by, "wants"), std::pair(&install.required_by, "requires"),
          std::pair(&install.upheld_by, "upholds")}) {
      for (const std::string& target : *targets) {
        TRY_DO(root_.link(fmt::format("{}/{}.{}/{}", host_units, expanded(target, unit), kind, unit.whole()), path));
      }
    }
    for (const std::string& alias : install.aliases) {
      TRY_DO(root_.link(fmt::format("{}/{}", host_units, expanded(alias, unit)), path));
    }
    for (const std::string& also : install.also) {
      if (has(parse_unit_name(expanded(also, unit)))) TRY_DO(enable(expanded(also, unit)));
    }
    return base::ok();
  }

  Result<> disable(const std::string& name) {
    TRY_DO(path_of(parse_unit_name(name)));
    const auto top = root_.find(host_units);
    if (top) drop_links(*top, name);
    return base::ok();
  }

  Result<> mask(const std::string& name) {
    const auto top = root_.find(host_units);
    if (top) drop_links(*top, name);
    return root_.link(fmt::format("{}/{}", host_units, name), "/dev/null");
  }

 private:
  bool has(const UnitName& unit) const {
    return std::ranges::any_of(unit_directories, [&](const char* directory) {
      return root_.has(fmt::format("{}/{}", directory, unit.whole())) ||
             root_.has(fmt::format("{}/{}", directory, unit.file()));
    });
  }

  /// The file that a unit is in. A link to another unit's counts as that.
  Result<std::string> path_of(const UnitName& unit) const {
    for (const char* directory : unit_directories) {
      for (const std::string& file : {unit.whole(), unit.file()}) {
        std::string path = fmt::format("{}/{}", directory, file);
        const auto at = root_.find(path);
        if (!at) continue;
        const image::Inode& inode = root_.tree().inodes[*at];
        if (inode.type == image::FileType::regular) return path;
        if (inode.type != image::FileType::symlink || inode.target == "/dev/null") continue;
        const std::string target = inode.target.substr(inode.target.rfind('/') + 1);
        if (target != file && target.contains('.')) return path_of(parse_unit_name(target));
      }
    }
    std::vector<std::string> known;
    for (const char* directory : unit_directories) {
      const auto at = root_.find(directory);
      if (!at) continue;
      for (const image::DirectoryEntry& entry : root_.tree().inodes[*at].entries) known.push_back(entry.name);
    }
    const auto meant = base::did_you_mean(unit.whole(), known);
    return fail(Kind::invalid_input, fmt::format("units: the root has no unit {}{}", unit.whole(),
                                                 meant ? fmt::format("; did you mean \"{}\"?", *meant) : ""));
  }

  /// Takes away all links below a directory that make a unit start: those of its name, and aliases of it.
  void drop_links(image::InodeIndex directory, const std::string& name) {
    std::vector<std::string> dropped;
    for (const image::DirectoryEntry& entry : root_.tree().inodes[directory].entries) {
      const image::Inode& inode = root_.tree().inodes[entry.inode];
      if (inode.type == image::FileType::directory && is_link_directory(entry.name)) drop_links(entry.inode, name);
      if (inode.type == image::FileType::symlink && (entry.name == name || inode.target.ends_with("/" + name))) {
        dropped.push_back(entry.name);
      }
    }
    for (const std::string& each : dropped) image::remove_entry(root_.tree(), directory, each);
  }
  static bool is_link_directory(std::string_view name) {
    return name.ends_with(".wants") || name.ends_with(".requires") || name.ends_with(".upholds");
  }

  Draft& root_;
  std::set<std::string> done_;
};

void add_words(std::vector<std::string>& into, std::string_view value) {
  if (base::trimmed(value).empty()) {
    into.clear();
    return;
  }
  for (std::string& word : base::split(base::trimmed(value), ' ')) {
    if (!word.empty()) into.push_back(std::move(word));
  }
}

}  // namespace

InstallSection parse_install(std::string_view unit_file) {
  InstallSection install;
  bool inside = false;
  for (const std::string_view whole : base::lines_of(unit_file)) {
    const std::string_view line = base::trimmed(whole);
    if (line.starts_with('#') || line.starts_with(';')) continue;
    if (line.starts_with('[')) {
      inside = line == "[Install]";
      continue;
    }
    const std::size_t equals = line.find('=');
    if (!inside || equals == std::string_view::npos) continue;
    const std::string_view key = base::trimmed(line.substr(0, equals));
    const std::string_view value = line.substr(equals + 1);
    if (key == "WantedBy") add_words(install.wanted_by, value);
    if (key == "RequiredBy") add_words(install.required_by, value);
    if (key == "UpheldBy") add_words(install.upheld_by, value);
    if (key == "Alias") add_words(install.aliases, value);
    if (key == "Also") add_words(install.also, value);
    if (key == "DefaultInstance") install.default_instance = base::trimmed(value);
  }
  return install;
}

Result<> add_units(Draft& root, const manifest::Units& units, const std::vector<std::string>& contents) {
  for (std::size_t i = 0; i < units.files.size(); ++i) {
    TRY_DO(root.write("/usr/lib/systemd/system/" + units.files[i].name, contents.at(i)),
           units.files[i].content.place.text());
  }
  UnitEditor editor(root);
  std::string preset;
  for (const std::string& name : units.disable) {
    TRY_DO(editor.disable(name));
    preset += "disable " + name + "\n";
  }
  for (const std::string& name : units.enable) {
    TRY_DO(editor.enable(name));
    preset += "enable " + name + "\n";
  }
  for (const std::string& name : units.mask) TRY_DO(editor.mask(name));
  if (preset.empty()) return base::ok();
  return root.write("/usr/lib/systemd/system-preset/10-keelson.preset", preset);
}

}  // namespace builder::root
