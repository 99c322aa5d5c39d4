#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/progress.hpp"
#include "base/result.hpp"

namespace builder {

/// Facts in the order in which a person wants them; a table for a terminal and an object for a machine.
class FactSheet {
 public:
  /// `key` is the JSON member; its underscores become spaces in the table. `text` is what the table shows.
  void add(std::string key, base::Json value, std::string text);
  void add(std::string key, const std::string& value);
  /// Only a machine reads it.
  void add_hidden(std::string key, base::Json value);

  /// "root hash  2e53...\n": one line each, the second column aligned.
  std::string table() const;
  const base::Json& json() const { return json_; }

 private:
  struct Row {
    std::string label;
    std::string text;
  };
  std::vector<Row> rows_;
  base::Json json_ = base::Json::object();
};

/// Text that others wrote, as it may go to a terminal: each control character becomes "?". Line feeds too, where they
/// could make a line of a table that is not ours.
enum class LineFeeds { replace, keep };
std::string printable(std::string_view text, LineFeeds line_feeds = LineFeeds::replace);

/// Where a verb's results and progress go. Results to standard output, everything else to standard error.
class Console {
 public:
  bool json = false;
  bool quiet = false;

  base::ProgressStyle progress_style() const;
  void show(const FactSheet& facts) const;
  /// The same result for people and for machines.
  void show(const std::string& table, const base::Json& json) const;
  /// The error as "keelson: error: ..." and, with `json`, as {"error": {"kind", "message"}} on standard output.
  void show(const base::Error& error) const;
};

}  // namespace builder
