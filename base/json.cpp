#include "base/json.hpp"

#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>

namespace base {

namespace {

/// Watches the parser's events for what nlohmann lets pass: repeated keys and deep nesting.
class Watcher {
 public:
  explicit Watcher(int max_depth) : max_depth_(max_depth) {}

  bool operator()(int depth, Json::parse_event_t event, const Json& value) {
    using Event = Json::parse_event_t;
    const bool opens = event == Event::object_start || event == Event::array_start;
    if (opens && depth >= max_depth_) objection_ = fmt::format("nested more than {} levels deep", max_depth_);
    if (event == Event::object_start) keys_.emplace_back();
    if (event == Event::object_end) keys_.pop_back();
    if (event == Event::key && !keys_.back().insert(value.get<std::string>()).second) {
      objection_ = fmt::format("the key \"{}\" stands twice in one object", value.get<std::string>());
    }
    return true;
  }

  const std::string& objection() const { return objection_; }

 private:
  int max_depth_;
  std::vector<std::set<std::string>> keys_;
  std::string objection_;
};

}  // namespace

Result<Json> parse_json(std::string_view text, const JsonLimits& limits) {
  if (text.size() > limits.max_bytes) {
    return fail(Kind::invalid_input,
                fmt::format("JSON text of {} bytes; {} are allowed", text.size(), limits.max_bytes));
  }
  Watcher watcher(limits.max_depth);
  try {
    Json value = Json::parse(
        text, [&watcher](int depth, Json::parse_event_t event, Json& at) { return watcher(depth, event, at); });
    if (!watcher.objection().empty()) return fail(Kind::invalid_input, "JSON text: " + watcher.objection());
    return value;
  } catch (const Json::exception& error) {
    return fail(Kind::invalid_input, error.what());
  }
}

Result<std::string> json_text(const Json& object, std::string_view key) {
  const auto member = object.find(std::string(key));
  if (member == object.end()) return fail(Kind::invalid_input, fmt::format("the member \"{}\" is missing", key));
  if (!member->is_string()) return fail(Kind::invalid_input, fmt::format("the member \"{}\" is not a text", key));
  return member->get<std::string>();
}

}  // namespace base
