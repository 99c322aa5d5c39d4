#include "builder/packages/dependencies.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <string_view>

namespace builder::packages {

namespace {

/// The names in "libc6 (>= 2.34), a | b:any".
std::vector<std::string> names_in(std::string_view relations) {
  std::vector<std::string> names;
  while (!relations.empty()) {
    const std::size_t end = std::min(relations.find_first_of(",|"), relations.size());
    std::string_view name = relations.substr(0, end);
    relations.remove_prefix(std::min(end + 1, relations.size()));
    while (!name.empty() && (name.front() == ' ' || name.front() == '\n')) name.remove_prefix(1);
    name = name.substr(0, name.find_first_of(" (:\n"));
    if (!name.empty()) names.emplace_back(name);
  }
  return names;
}

}  // namespace

std::set<std::size_t> essential_closure(const std::vector<Paragraph>& controls) {
  std::multimap<std::string, std::size_t> by_name;
  for (std::size_t i = 0; i < controls.size(); ++i) {
    by_name.emplace(controls[i].get("Package"), i);
    for (std::string& name : names_in(controls[i].get("Provides"))) by_name.emplace(std::move(name), i);
  }
  std::set<std::size_t> closure;
  std::vector<std::size_t> open;
  const auto add = [&](std::size_t package) {
    if (closure.insert(package).second) open.push_back(package);
  };
  for (std::size_t i = 0; i < controls.size(); ++i) {
    if (controls[i].get("Essential") == "yes") add(i);
  }
  while (!open.empty()) {
    const Paragraph& control = controls[open.back()];
    open.pop_back();
    for (const char* field : {"Pre-Depends", "Depends"}) {
      for (const std::string& name : names_in(control.get(field))) {
        const auto [begin, end] = by_name.equal_range(name);
        for (auto at = begin; at != end; ++at) add(at->second);
      }
    }
  }
  return closure;
}

}  // namespace builder::packages
