#include "builder/cli/console.hpp"

#include <algorithm>
#include <cstdio>
#include <utility>

#include <fmt/format.h>

#include "base/log.hpp"

namespace builder {

void FactSheet::add(std::string key, base::Json value, std::string text) {
  std::string label = key;
  std::ranges::replace(label, '_', ' ');
  rows_.push_back({std::move(label), std::move(text)});
  json_[std::move(key)] = std::move(value);
}

void FactSheet::add(std::string key, const std::string& value) {
  add(std::move(key), base::Json(value), value);
}

void FactSheet::add_hidden(std::string key, base::Json value) {
  json_[std::move(key)] = std::move(value);
}

std::string FactSheet::table() const {
  std::size_t width = 0;
  for (const Row& row : rows_) width = std::max(width, row.label.size());
  std::string text;
  for (const Row& row : rows_) text += fmt::format("{:<{}}  {}\n", row.label, width, row.text);
  return text;
}

base::ProgressStyle Console::progress_style() const {
  if (quiet) return base::ProgressStyle::silent;
  return json ? base::ProgressStyle::json : base::progress_style_here();
}

std::string printable(std::string_view text, LineFeeds line_feeds) {
  std::string result(text);
  std::ranges::replace_if(
      result,
      [line_feeds](unsigned char c) {
        return (c < ' ' && (c != '\n' || line_feeds == LineFeeds::replace)) || c == 0x7f;
      },
      '?');
  return result;
}

void Console::show(const FactSheet& facts) const {
  show(facts.table(), facts.json());
}

void Console::show(const std::string& table, const base::Json& object) const {
  if (json) {
    fmt::print("{}\n", object.dump(2, ' ', false, base::Json::error_handler_t::replace));
  } else if (!quiet) {
    fmt::print("{}", table);
  }
}

void Console::show(const base::Error& error) const {
  base::log_error("{}", printable(error.message(), LineFeeds::keep));
  if (json) {
    const base::Json object = {{"error", {{"kind", to_string(error.kind())}, {"message", error.message()}}}};
    fmt::print("{}\n", object.dump(2, ' ', false, base::Json::error_handler_t::replace));
  }
}

}  // namespace builder
