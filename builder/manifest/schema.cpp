#include "builder/manifest/schema.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/suggest.hpp"

namespace builder::manifest {

using Type = Schema::Type;

Schema text(std::string what, std::string pattern, bool (*fits)(std::string_view)) {
  return {.type = Type::text, .what = std::move(what), .pattern = std::move(pattern), .fits = fits};
}
Schema choice(std::string what, std::vector<std::string> choices) {
  return {.type = Type::choice, .what = std::move(what), .choices = std::move(choices)};
}
Schema boolean() {
  return {.type = Type::boolean, .what = "true or false"};
}
Schema integer(std::string what, std::uint64_t least, std::uint64_t most) {
  return {.type = Type::integer, .what = std::move(what), .least = least, .most = most};
}
Schema size(std::uint64_t least, std::uint64_t most) {
  return {.type = Type::size, .what = "a size such as 512MiB or 2GiB", .least = least, .most = most};
}
Schema duration() {
  return {.type = Type::duration, .what = "a duration such as 90s, 5min or 2h"};
}
Schema percent(std::uint64_t least, std::uint64_t most) {
  return {.type = Type::percent, .what = "a share such as 30%", .least = least, .most = most};
}
Schema list(Schema item) {
  return {.type = Type::list, .what = "a list", .item = {std::move(item)}};
}
Schema map(std::string what, std::vector<Field> fields, std::vector<std::string> exactly_one) {
  return {
      .type = Type::map, .what = std::move(what), .fields = std::move(fields), .exactly_one = std::move(exactly_one)};
}
Schema dictionary(std::string what, Schema item) {
  return {.type = Type::dictionary, .what = std::move(what), .item = {std::move(item)}};
}
Schema either(std::vector<Schema> of) {
  return {.type = Type::either, .item = std::move(of)};
}

std::optional<std::uint64_t> parse_integer(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

/// A number and one of the units behind it.
std::optional<std::uint64_t> parse_with_unit(std::string_view text, std::initializer_list<Unit> units) {
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto number = parse_integer(text.substr(0, digits));
  const auto unit = std::ranges::find(units, text.substr(digits), &Unit::name);
  if (!number || unit == units.end() || *number > ~std::uint64_t{0} / unit->factor) return std::nullopt;
  return *number * unit->factor;
}

Value::Kind kind_of(const Schema& schema) {
  switch (schema.type) {
    case Type::list:
      return Value::Kind::list;
    case Type::map:
    case Type::dictionary:
      return Value::Kind::map;
    default:
      return Value::Kind::scalar;
  }
}

std::string quoted_list(const std::vector<std::string>& words) {
  return fmt::format("{}", fmt::join(words, ", "));
}

std::string meant(const std::string& word, const std::vector<std::string>& known) {
  const auto near = base::did_you_mean(word, known);
  return near ? "; did you mean \"" + *near + "\"?" : "";
}

class Checker {
 public:
  explicit Checker(Complaints& complaints) : complaints_(complaints) {}

  /// `path` is what the value is called: "image.version".
  void check(const Value& value, const Schema& schema, const std::string& path) {
    if (schema.type == Type::either) return check_either(value, schema, path);
    if (value.kind != kind_of(schema)) {
      complaints_.add(value.place,
                      fmt::format("\"{}\" must be {}, and is {}", path, expected(schema), described(value)));
      return;
    }
    switch (schema.type) {
      case Type::list:
        for (std::size_t i = 0; i < value.items.size(); ++i) {
          check(value.items[i], schema.item.front(), fmt::format("{}[{}]", path, i));
        }
        return;
      case Type::dictionary:
        for (const Entry& entry : value.entries) check(entry.value, schema.item.front(), path + "." + entry.key);
        return;
      case Type::map:
        return check_map(value, schema, path);
      default:
        return check_scalar(value, schema, path);
    }
  }

 private:
  static std::string expected(const Schema& schema) {
    switch (schema.type) {
      case Type::choice:
        return "one of " + quoted_list(schema.choices);
      case Type::map:
      case Type::dictionary:
        return schema.what + ", a map";
      default:
        return schema.what;
    }
  }

  static std::string described(const Value& value) {
    if (value.kind == Value::Kind::scalar) return "\"" + value.scalar.substr(0, 80) + "\"";
    return value.kind == Value::Kind::null ? "empty" : std::string("a ") + to_string(value.kind);
  }

  void check_either(const Value& value, const Schema& schema, const std::string& path) {
    std::vector<std::string> allowed;
    for (const Schema& option : schema.item) {
      if (kind_of(option) == value.kind) return check(value, option, path);
      allowed.push_back(expected(option));
    }
    complaints_.add(value.place,
                    fmt::format("\"{}\" must be {}, and is {}", path, fmt::join(allowed, ", or "), described(value)));
  }

  void check_map(const Value& value, const Schema& schema, const std::string& path) {
    const std::string prefix = path.empty() ? "" : path + ".";
    std::vector<std::string> known;
    known.reserve(schema.fields.size());
    for (const Field& field : schema.fields) known.push_back(field.name);
    for (const Entry& entry : value.entries) {
      const auto field = std::ranges::find(schema.fields, entry.key, &Field::name);
      if (field != schema.fields.end()) {
        check(entry.value, field->schema, prefix + entry.key);
      } else {
        complaints_.add(entry.place, fmt::format("\"{}{}\" is not known{}; {} has: {}", prefix, entry.key,
                                                 meant(entry.key, known), schema.what, quoted_list(known)));
      }
    }
    for (const Field& field : schema.fields) {
      if (field.required && value.find(field.name) == nullptr) {
        complaints_.add(value.place, fmt::format("\"{}{}\" is missing: {}", prefix, field.name, field.doc));
      }
    }
    if (schema.exactly_one.empty()) return;
    const auto there =
        std::ranges::count_if(schema.exactly_one, [&](const std::string& name) { return value.find(name) != nullptr; });
    if (there != 1) {
      complaints_.add(value.place, fmt::format("{} has exactly one of {}, and here are {}", schema.what,
                                               quoted_list(schema.exactly_one), there));
    }
  }

  void check_scalar(const Value& value, const Schema& schema, const std::string& path) {
    const auto number = number_of(value.scalar, schema.type);
    const bool numeric = schema.type == Type::integer || schema.type == Type::size || schema.type == Type::percent ||
                         schema.type == Type::duration;
    bool good = true;
    switch (schema.type) {
      case Type::text:
        good = schema.fits == nullptr || schema.fits(value.scalar);
        break;
      case Type::choice:
        good = std::ranges::find(schema.choices, value.scalar) != schema.choices.end();
        break;
      case Type::boolean:
        good = value.scalar == "true" || value.scalar == "false";
        break;
      default:
        good = number.has_value();
        break;
    }
    if (good && numeric && (*number < schema.least || *number > schema.most)) {
      complaints_.add(value.place, fmt::format("\"{}\" is {}; it may be from {} to {}", path, value.scalar,
                                               shown(schema.least, schema.type), shown(schema.most, schema.type)));
      return;
    }
    if (good) return;
    complaints_.add(value.place, fmt::format("\"{}\" must be {}, and is {}{}", path, expected(schema), described(value),
                                             schema.type == Type::choice ? meant(value.scalar, schema.choices) : ""));
  }

  static std::optional<std::uint64_t> number_of(std::string_view text, Type type) {
    switch (type) {
      case Type::size:
        return parse_size(text);
      case Type::duration:
        return parse_duration(text);
      case Type::percent:
        return parse_percent(text);
      default:
        return parse_integer(text);
    }
  }

  static std::string shown(std::uint64_t number, Type type) {
    if (type == Type::percent) return fmt::format("{}%", number);
    if (type != Type::size) return fmt::format("{}", number);
    for (const auto& [name, factor] : {Unit{"GiB", 1U << 30}, Unit{"MiB", 1U << 20}, Unit{"KiB", 1U << 10}}) {
      if (number >= factor && number % factor == 0) return fmt::format("{}{}", number / factor, name);
    }
    return fmt::format("{}", number);
  }

  Complaints& complaints_;
};

base::Json schema_of(const Schema& schema) {
  base::Json json = base::Json::object();
  const auto text_like = [&](std::string_view pattern) {
    // YAML readers of editors turn 10 and 1.5 into numbers; the language takes the text.
    json["type"] = {"string", "number"};
    json["pattern"] = pattern;
  };
  switch (schema.type) {
    case Type::text:
      json["type"] = {"string", "number", "boolean"};
      if (!schema.pattern.empty()) json["pattern"] = schema.pattern;
      break;
    case Type::choice:
      json["enum"] = schema.choices;
      break;
    case Type::boolean:
      json["type"] = "boolean";
      break;
    case Type::integer:
      json["type"] = "integer";
      json["minimum"] = schema.least;
      if (schema.most != ~std::uint64_t{0}) json["maximum"] = schema.most;
      break;
    case Type::size:
      text_like("^[0-9]+([KMGT]iB|B)?$");
      break;
    case Type::duration:
      text_like("^[0-9]+(ms|s|min|h|d)$");
      break;
    case Type::percent:
      text_like("^[0-9]+%$");
      break;
    case Type::list:
      json["type"] = "array";
      json["items"] = schema_of(schema.item.front());
      break;
    case Type::dictionary:
      json["type"] = "object";
      json["additionalProperties"] = schema_of(schema.item.front());
      break;
    case Type::either:
      for (const Schema& option : schema.item) json["anyOf"].push_back(schema_of(option));
      break;
    case Type::map: {
      json["type"] = "object";
      json["additionalProperties"] = false;
      json["properties"] = base::Json::object();
      std::vector<std::string> required;
      for (const Field& field : schema.fields) {
        base::Json property = schema_of(field.schema);
        if (!field.doc.empty()) property["description"] = field.doc;
        json["properties"][field.name] = std::move(property);
        if (field.required) required.push_back(field.name);
      }
      if (!required.empty()) json["required"] = required;
      for (const std::string& name : schema.exactly_one) json["oneOf"].push_back({{"required", {name}}});
      break;
    }
  }
  return json;
}

}  // namespace

std::optional<std::uint64_t> parse_size(std::string_view text) {
  return parse_with_unit(
      text, {{"", 1}, {"B", 1}, {"KiB", 1ULL << 10}, {"MiB", 1ULL << 20}, {"GiB", 1ULL << 30}, {"TiB", 1ULL << 40}});
}

std::optional<std::uint64_t> parse_duration(std::string_view text) {
  return parse_with_unit(text, {{"ms", 1}, {"s", 1000}, {"min", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}});
}

std::optional<std::uint64_t> parse_percent(std::string_view text) {
  return parse_with_unit(text, {{"%", 1}});
}

void check_value(const Value& value, const Schema& schema, Complaints& complaints) {
  Checker(complaints).check(value, schema, "");
}

base::Json json_schema(const Schema& schema, const std::string& title) {
  base::Json json = schema_of(schema);
  json["$schema"] = "https://json-schema.org/draft/2020-12/schema";
  json["title"] = title;
  return json;
}

}  // namespace builder::manifest
