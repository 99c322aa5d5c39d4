#include "builder/effective_yaml.hpp"

#include "base/json.hpp"

namespace builder {

namespace {

void append(const manifest::Value& value, int depth, Places places, std::string& out);

void append_behind_key(const manifest::Value& value, int depth, Places places, std::string& out) {
  if (value.kind == manifest::Value::Kind::scalar) {
    out += " " + base::Json(value.scalar).dump();  // YAML reads JSON's strings
    if (places == Places::shown) out += "  # " + value.place.text();
    out += "\n";
  } else if (value.items.empty() && value.entries.empty()) {
    out += value.kind == manifest::Value::Kind::list ? " []\n" : " {}\n";
  } else {
    out += "\n";
    append(value, depth + 1, places, out);
  }
}

void append(const manifest::Value& value, int depth, Places places, std::string& out) {
  const std::string indent(static_cast<std::size_t>(depth) * 2, ' ');
  for (const manifest::Value& item : value.items) {
    out += indent + "-";
    append_behind_key(item, depth, places, out);
  }
  for (const manifest::Entry& entry : value.entries) {
    out += indent + entry.key + ":";
    append_behind_key(entry.value, depth, places, out);
  }
}

}  // namespace

std::string to_yaml(const manifest::Value& value, Places places) {
  std::string text;
  append(value, 0, places, text);
  return text;
}

}  // namespace builder
