#include "builder/manifest/document.hpp"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <cassert>
#include <istream>
#include <optional>
#include <streambuf>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace builder::manifest {

using base::Kind;
using base::Result;

std::string Place::text() const {
  const std::string name = file ? *file : "";
  return line > 0 ? fmt::format("{}:{}:{}", name, line, column) : name;
}

const Value* Value::find(std::string_view key) const {
  const auto found = std::ranges::find(entries, key, &Entry::key);
  return found == entries.end() ? nullptr : &found->value;
}

Value* Value::find(std::string_view key) {
  return const_cast<Value*>(std::as_const(*this).find(key));  // NOLINT: the object itself is not const
}

const char* to_string(Value::Kind kind) {
  switch (kind) {
    case Value::Kind::null:
      return "nothing";
    case Value::Kind::scalar:
      return "text";
    case Value::Kind::list:
      return "list";
    case Value::Kind::map:
      return "map";
  }
  return "";
}

void Complaints::add(const Place& place, const std::string& what) {
  lines_.push_back(place.text() + ": " + what);
}

base::Error Complaints::error() const {
  return {Kind::invalid_input, fmt::format("{}", fmt::join(lines_, "\n"))};
}

namespace {

/// Ends the reading; the only exception that crosses yaml-cpp, which throws through its own frames too.
struct Enough {};

/// Builds the tree from the parser's events, which have places where its own nodes have none.
class Builder final : public YAML::EventHandler {
 public:
  Builder(std::shared_ptr<const std::string> file, Complaints& complaints)
      : file_(std::move(file)), complaints_(complaints) {}

  std::optional<Value> take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& /*mark*/) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    plain(mark, "", anchor);
    add(value(mark, Value::Kind::null));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override {
    complaints_.add(place(mark), "aliases are not part of the language; use variables or include");
    add(value(mark, Value::Kind::null));
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    plain(mark, tag, anchor);
    // yaml-cpp has "?" for what was written without quotes.
    const bool null = tag == "?" && (text.empty() || text == "~" || text == "null");
    Value made = value(mark, null ? Value::Kind::null : Value::Kind::scalar);
    made.scalar = text;
    add(std::move(made));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    plain(mark, tag, anchor);
    open(value(mark, Value::Kind::list));
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*style*/) override {
    plain(mark, tag, anchor);
    open(value(mark, Value::Kind::map));
  }
  void OnMapEnd() override { close(); }

 private:
  struct Open {
    Value value;
    std::optional<std::pair<std::string, Place>> key;  // of a map, when its value is next
  };

  Place place(const YAML::Mark& mark) const { return {file_, mark.line + 1, mark.column + 1}; }

  Value value(const YAML::Mark& mark, Value::Kind kind) {
    if (++nodes_ > max_nodes) {
      complaints_.add(place(mark), fmt::format("there are more than {} values", max_nodes));
      throw Enough{};
    }
    Value made;
    made.kind = kind;
    made.place = place(mark);
    return made;
  }

  void plain(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    if (anchor != 0) complaints_.add(place(mark), "anchors are not part of the language; use variables or include");
    if (!tag.empty() && tag != "?" && tag != "!") complaints_.add(place(mark), "the tag " + tag + " is not known");
  }

  void open(Value made) {
    if (static_cast<int>(open_.size()) >= max_depth) {
      complaints_.add(made.place, fmt::format("values are nested deeper than {}", max_depth));
      throw Enough{};
    }
    open_.push_back({std::move(made), {}});
  }

  void close() {
    Value done = std::move(open_.back().value);
    open_.pop_back();
    add(std::move(done));
  }

  void add(Value made) {
    if (open_.empty()) {
      root_ = std::move(made);
      return;
    }
    Open& parent = open_.back();
    if (parent.value.kind == Value::Kind::list) {
      parent.value.items.push_back(std::move(made));
    } else if (!parent.key) {
      if (made.kind != Value::Kind::scalar) complaints_.add(made.place, "a key must be a text");
      parent.key.emplace(made.scalar, made.place);
    } else {
      auto [key, key_place] = std::move(*parent.key);
      parent.key.reset();
      if (const auto before = std::ranges::find(parent.value.entries, key, &Entry::key);
          before != parent.value.entries.end()) {
        complaints_.add(key_place,
                        fmt::format("\"{}\" stands here a second time; first in line {}", key, before->place.line));
        return;
      }
      parent.value.entries.push_back({std::move(key), std::move(key_place), std::move(made)});
    }
  }

  std::shared_ptr<const std::string> file_;
  Complaints& complaints_;
  std::vector<Open> open_;
  std::optional<Value> root_;
  std::size_t nodes_ = 0;
};

/// Text as a stream, without a copy.
class ViewBuffer final : public std::streambuf {
 public:
  explicit ViewBuffer(std::string_view text) {
    char* const begin = const_cast<char*>(text.data());  // NOLINT: a stream's buffer that is only read
    setg(begin, begin, begin + text.size());
  }
};

}  // namespace

Result<Value> read_document(std::string_view text, const std::string& file) {
  Complaints complaints;
  const auto name = std::make_shared<const std::string>(file);
  if (text.size() > max_document_bytes) {
    complaints.add({name}, fmt::format("the file has {} bytes; {} are the most", text.size(), max_document_bytes));
    return std::unexpected(complaints.error());
  }
  std::optional<Value> root;
  try {
    ViewBuffer buffer(text);
    std::istream stream(&buffer);
    YAML::Parser parser(stream);
    Builder builder(name, complaints);
    if (parser.HandleNextDocument(builder)) root = builder.take();
    Builder second(name, complaints);
    if (complaints.none() && parser.HandleNextDocument(second)) {
      const auto extra = second.take();
      if (extra) complaints.add(extra->place, "a second document begins here; a manifest is one");
    }
  } catch (const YAML::Exception& error) {
    const bool marked = error.mark.line >= 0;
    complaints.add({name, marked ? error.mark.line + 1 : 0, marked ? error.mark.column + 1 : 0}, error.msg);
  } catch (const Enough&) {
    assert(!complaints.none());  // the reading ended because of one
  }
  if (!complaints.none()) return std::unexpected(complaints.error());
  if (!root) {
    Value empty;
    empty.place = {name, 1, 1};
    return empty;
  }
  return *std::move(root);
}

}  // namespace builder::manifest
