#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace builder::manifest {

/// Where something stands, for people: "node.yaml:3:7".
struct Place {
  std::shared_ptr<const std::string> file;  // or "--set image.version"
  int line = 0;                             // from 1; 0: the file as a whole
  int column = 0;

  std::string text() const;
};

struct Entry;

/// A node of a YAML document, with its place. Scalars stay the text that was written: what they mean is the reader's to
/// say, so that neither `no` nor 1.10 becomes something else on the way.
struct Value {
  enum class Kind { null, scalar, list, map };

  Kind kind = Kind::null;
  Place place;
  std::string scalar;
  std::vector<Value> items;
  std::vector<Entry> entries;  // in the order of the file

  const Value* find(std::string_view key) const;
  Value* find(std::string_view key);
};

struct Entry {
  std::string key;
  Place place;
  Value value;
};

/// "text", "list", "map": what a person calls the kind of a value.
const char* to_string(Value::Kind kind);

/// What is wrong with a manifest: all of it, in the order of discovery.
class Complaints {
 public:
  void add(const Place& place, const std::string& what);
  bool none() const { return lines_.empty(); }
  const std::vector<std::string>& lines() const { return lines_; }
  /// invalid_input, with a line for each.
  base::Error error() const;

 private:
  std::vector<std::string> lines_;
};

inline constexpr std::size_t max_document_bytes = std::size_t{1} << 20;
inline constexpr std::size_t max_nodes = 100'000;
inline constexpr int max_depth = 64;

/// Reads one YAML document. Strict: no duplicate keys, keys are scalars, no anchors, aliases, tags or second document.
/// Fails: invalid_input, with all complaints that do not end the reading.
base::Result<Value> read_document(std::string_view text, const std::string& file);

}  // namespace builder::manifest
