#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "builder/manifest/document.hpp"

namespace builder::manifest {

/// What `later` makes of `earlier`: maps merge, lists append, of texts the later counts, and nothing (~) removes.
Value merged(Value earlier, Value later);

/// One `--set image.version=1.2.0`: the path's keys with dots between, and a value as YAML writes it.
struct Setting {
  std::string path;
  std::string value;
};
/// All of a command line, in its order: the later counts. Fails: invalid_input (no "=", an empty key).
base::Result<std::vector<Setting>> parse_settings(const std::vector<std::string>& arguments);

/// How the files are read: by path. Fails: as base::read_file().
using ReadFile = std::function<base::Result<std::string>(const std::string& path)>;

struct LoadOptions {
  std::vector<Setting> settings;
  ReadFile read_file;  // empty: from disk
};

/// A manifest with all that it includes, its settings, its conditions and its variables put in: the effective one. What
/// it says is not looked at, beyond `include`, `variables`, `per_arch` and `image.arch`.
///
/// - include: [a.yaml, b.yaml]: read first, in this order, each merged into what the earlier ones gave; paths are
/// relative
///   to the file that has them.
/// - --set: merged on top.
/// - per_arch: {x86-64: {...}}: what stands under image.arch is merged on top of that.
/// - variables: {name: text}: ${name} in any text, also ${image.id}, ${image.version}, ${image.arch}; $${ is "${".
///
/// Fails: invalid_input (all complaints, a line each), not_found, permission, io.
base::Result<Value> load_effective(const std::string& path, const LoadOptions& options = {});

}  // namespace builder::manifest
