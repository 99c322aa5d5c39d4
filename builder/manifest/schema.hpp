#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "builder/manifest/document.hpp"

namespace builder::manifest {

struct Field;

/// What a value may be. One description serves the reader's checks, the editor's JSON schema and the manual.
struct Schema {
  enum class Type {
    text,        // of the form `pattern`
    choice,      // one of `choices`
    boolean,     // true or false
    integer,     // from `least` to `most`
    size,        // "512MiB": bytes, from `least` to `most`
    duration,    // "90s", "5min"
    percent,     // "30%": from `least` to `most`
    list,        // of `item` (one)
    map,         // of `fields`
    dictionary,  // from any text to `item` (one)
    either,      // of `item`s that differ in their YAML kind
  };

  Type type = Type::text;
  std::string what;                          // what it is, for messages: "an image id"
  std::string pattern;                       // text: a regular expression, for the JSON schema
  bool (*fits)(std::string_view) = nullptr;  // text: the same, for us
  std::vector<std::string> choices;
  std::uint64_t least = 0;
  std::uint64_t most = ~std::uint64_t{0};
  std::vector<Schema> item;
  std::vector<Field> fields;
  std::vector<std::string> exactly_one;  // map: of these fields one is there
};

struct Field {
  std::string name;
  Schema schema;
  bool required = false;
  std::string doc;
};

Schema text(std::string what, std::string pattern = {}, bool (*fits)(std::string_view) = nullptr);
Schema choice(std::string what, std::vector<std::string> choices);
Schema boolean();
Schema integer(std::string what, std::uint64_t least, std::uint64_t most);
Schema size(std::uint64_t least, std::uint64_t most);
Schema duration();
Schema percent(std::uint64_t least, std::uint64_t most);
Schema list(Schema item);
Schema map(std::string what, std::vector<Field> fields, std::vector<std::string> exactly_one = {});
Schema dictionary(std::string what, Schema item);
Schema either(std::vector<Schema> of);

/// "512MiB", "2GiB", "4096": bytes. Nothing for what is no size, or does not fit into 64 bits.
std::optional<std::uint64_t> parse_size(std::string_view text);
/// "500ms", "90s", "5min", "2h", "1d": milliseconds.
std::optional<std::uint64_t> parse_duration(std::string_view text);
/// Decimal digits, with nothing before or behind them.
std::optional<std::uint64_t> parse_integer(std::string_view text);
/// "30%".
std::optional<std::uint64_t> parse_percent(std::string_view text);

/// Complains of everything in `value` that `schema` does not allow: with its place, what is allowed, and what was
/// meant.
void check_value(const Value& value, const Schema& schema, Complaints& complaints);

/// The JSON schema (draft 2020-12) of a manifest of this form.
base::Json json_schema(const Schema& schema, const std::string& title);

}  // namespace builder::manifest
