#include "builder/manifest/merge.hpp"

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <ranges>
#include <utility>

#include <fmt/format.h>

#include "base/file.hpp"
#include "base/suggest.hpp"

namespace builder::manifest {

using base::fail;
using base::Kind;
using base::Result;

namespace {

constexpr std::size_t max_files = 64;
constexpr std::size_t max_text = std::size_t{1} << 20;  // of a text with its variables put in

std::string normal(const std::filesystem::path& path) {
  return path.lexically_normal().string();
}

/// Takes the entry out and returns its value.
std::optional<Value> take(Value& map, std::string_view key) {
  const auto found = std::ranges::find(map.entries, key, &Entry::key);
  if (found == map.entries.end()) return std::nullopt;
  Value value = std::move(found->value);
  map.entries.erase(found);
  return value;
}

class Loader {
 public:
  explicit Loader(const LoadOptions& options) : options_(options) {}

  Result<Value> load(const std::string& path) {
    TRY(Value whole, with_includes(normal(path)));
    for (const Setting& setting : options_.settings) {
      TRY(Value set, value_of(setting));
      whole = merged(std::move(whole), std::move(set));
    }
    choose_architecture(whole);
    put_variables_in(whole);
    if (!complaints_.none()) return std::unexpected(complaints_.error());
    return whole;
  }

 private:
  Result<Value> with_includes(const std::string& path) {
    if (std::ranges::find(chain_, path) != chain_.end()) {
      std::string way;
      for (const std::string& file : chain_) way += file + " -> ";
      return fail(Kind::invalid_input, "the files include each other: " + way + path);
    }
    if (++files_ > max_files) {
      return fail(Kind::invalid_input, fmt::format("more than {} files are included", max_files));
    }
    TRY(const std::string text,
        options_.read_file ? options_.read_file(path) : base::read_file(path, max_document_bytes));
    TRY(Value own, read_document(text, path));
    if (own.kind == Value::Kind::null) own.kind = Value::Kind::map;
    if (own.kind != Value::Kind::map) {
      return fail(Kind::invalid_input,
                  own.place.text() + ": a manifest is a map, and this is a " + to_string(own.kind));
    }
    const std::optional<Value> include = take(own, "include");
    Value whole;
    whole.kind = Value::Kind::map;
    whole.place = own.place;
    if (include) {
      chain_.push_back(path);
      for (const auto& [place, file] : files_of(*include)) {
        TRY(Value included, with_includes(normal(std::filesystem::path(path).parent_path() / file)), place.text());
        whole = merged(std::move(whole), std::move(included));
      }
      chain_.pop_back();
    }
    return merged(std::move(whole), std::move(own));
  }

  std::vector<std::pair<Place, std::string>> files_of(const Value& include) {
    std::vector<std::pair<Place, std::string>> files;
    if (include.kind != Value::Kind::list) {
      complaints_.add(include.place, "\"include\" is a list of files");
      return files;
    }
    for (const Value& item : include.items) {
      if (item.kind == Value::Kind::scalar && !item.scalar.empty()) {
        files.emplace_back(item.place, item.scalar);
      } else {
        complaints_.add(item.place, "\"include\" is a list of files");
      }
    }
    return files;
  }

  static Result<Value> value_of(const Setting& setting) {
    const std::string name = "--set " + setting.path;
    TRY(Value value, read_document(setting.value, name));
    value.place = {std::make_shared<const std::string>(name)};
    std::string_view rest = setting.path;
    std::vector<std::string> keys;
    while (true) {
      const std::size_t dot = rest.find('.');
      keys.emplace_back(rest.substr(0, dot));
      if (dot == std::string_view::npos) break;
      rest.remove_prefix(dot + 1);
    }
    for (const std::string& key : std::views::reverse(keys)) {
      Value map;
      map.kind = Value::Kind::map;
      map.place = value.place;
      map.entries.push_back({key, value.place, std::move(value)});
      value = std::move(map);
    }
    return value;
  }

  void choose_architecture(Value& whole) {
    const std::optional<Value> choices = take(whole, "per_arch");
    if (!choices) return;
    const Value* const image = whole.find("image");
    const Value* const set = image != nullptr ? image->find("arch") : nullptr;
    const std::string arch = set != nullptr ? set->scalar : "x86-64";
    if (choices->kind != Value::Kind::map) {
      complaints_.add(choices->place, "\"per_arch\" is a map from an architecture to what counts there");
      return;
    }
    for (const Entry& entry : choices->entries) {
      if (entry.value.kind != Value::Kind::map) {
        complaints_.add(entry.value.place, "\"per_arch." + entry.key + "\" is a map, like a manifest");
      } else if (entry.key == arch) {
        whole = merged(std::move(whole), entry.value);
      }
    }
  }

  void put_variables_in(Value& whole) {
    std::map<std::string, std::string> known;
    if (const std::optional<Value> variables = take(whole, "variables")) {
      for (const Entry& entry : variables->entries) {
        if (entry.value.kind == Value::Kind::scalar) {
          known[entry.key] = entry.value.scalar;
        } else {
          complaints_.add(entry.value.place, "a variable is a text");
        }
      }
      if (variables->kind != Value::Kind::map) {
        complaints_.add(variables->place, "\"variables\" is a map from names to texts");
      }
    }
    if (const Value* image = whole.find("image")) {
      for (const char* key : {"id", "version", "arch"}) {
        const Value* value = image->find(key);
        if (value != nullptr && value->kind == Value::Kind::scalar) known["image." + std::string(key)] = value->scalar;
      }
    }
    put_in(whole, known);
  }

  void put_in(Value& value, const std::map<std::string, std::string>& known) {
    if (value.kind == Value::Kind::scalar) value.scalar = replaced(value, known);
    for (Value& item : value.items) put_in(item, known);
    for (Entry& entry : value.entries) put_in(entry.value, known);
  }

  std::string replaced(const Value& value, const std::map<std::string, std::string>& known) {
    std::string result;
    std::string_view rest = value.scalar;
    while (!rest.empty() && result.size() <= max_text) {
      if (rest.starts_with("$${")) {
        result += "${";
        rest.remove_prefix(3);
      } else if (rest.starts_with("${")) {
        const std::size_t end = rest.find('}');
        const std::string name(rest.substr(2, end == std::string_view::npos ? end : end - 2));
        if (const auto found = known.find(name); end != std::string_view::npos && found != known.end()) {
          result += found->second;
        } else {
          complain_of_variable(value.place, name, known);
        }
        rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
      } else {
        result += rest.front();
        rest.remove_prefix(1);
      }
    }
    if (result.size() > max_text) complaints_.add(value.place, "the text is longer than 1 MiB with its variables");
    return result;
  }

  void complain_of_variable(const Place& place, const std::string& name,
                            const std::map<std::string, std::string>& known) {
    std::vector<std::string> names;
    names.reserve(known.size());
    for (const auto& [each, text] : known) names.push_back(each);
    const auto meant = base::did_you_mean(name, names);
    complaints_.add(place, fmt::format("there is no variable \"{}\"{}; write $${{ for a plain ${{", name,
                                       meant ? "; did you mean \"" + *meant + "\"?" : ""));
  }

  const LoadOptions& options_;
  Complaints complaints_;
  std::vector<std::string> chain_;  // files that are being read, the outermost first
  std::size_t files_ = 0;
};

Result<Setting> parse_setting(const std::string& argument) {
  const std::size_t equals = argument.find('=');
  const std::string path = argument.substr(0, equals);
  const bool empty_key =
      path.empty() || path.starts_with('.') || path.ends_with('.') || path.find("..") != std::string::npos;
  if (equals == std::string::npos || empty_key) {
    return fail(Kind::invalid_input, "--set \"" + argument + "\": write KEY=VALUE, such as image.version=1.2.0");
  }
  return Setting{path, argument.substr(equals + 1)};
}

}  // namespace

Value merged(Value earlier, Value later) {
  if (earlier.kind != later.kind || later.kind == Value::Kind::scalar || later.kind == Value::Kind::null) return later;
  if (later.kind == Value::Kind::list) {
    std::ranges::move(later.items, std::back_inserter(earlier.items));
    return earlier;
  }
  for (Entry& entry : later.entries) {
    const auto before = std::ranges::find(earlier.entries, entry.key, &Entry::key);
    if (entry.value.kind == Value::Kind::null) {
      if (before != earlier.entries.end()) earlier.entries.erase(before);
    } else if (before == earlier.entries.end()) {
      earlier.entries.push_back(std::move(entry));
    } else {
      before->value = merged(std::move(before->value), std::move(entry.value));
      before->place = std::move(entry.place);
    }
  }
  return earlier;
}

Result<std::vector<Setting>> parse_settings(const std::vector<std::string>& arguments) {
  std::vector<Setting> settings;
  settings.reserve(arguments.size());
  for (const std::string& argument : arguments) {
    TRY(Setting setting, parse_setting(argument));
    settings.push_back(std::move(setting));
  }
  return settings;
}

Result<Value> load_effective(const std::string& path, const LoadOptions& options) {
  return Loader(options).load(path);
}

}  // namespace builder::manifest
