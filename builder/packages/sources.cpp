#include "builder/packages/sources.hpp"

#include <apt-pkg/configuration.h>
#include <apt-pkg/error.h>
#include <apt-pkg/indexfile.h>
#include <apt-pkg/init.h>
#include <apt-pkg/metaindex.h>
#include <apt-pkg/pkgsystem.h>
#include <apt-pkg/sourcelist.h>

#include <algorithm>
#include <mutex>
#include <set>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/bytes.hpp"
#include "base/file.hpp"
#include "base/log.hpp"

namespace builder::packages {

using base::fail;
using base::Kind;
using base::Result;

namespace {

/// What apt has to say, as an error; warnings are logged.
Result<> apt_said(bool good, const std::string& doing) {
  std::vector<std::string> errors;
  std::string text;
  while (!_error->empty()) {
    const bool is_error = _error->PopMessage(text);
    if (is_error) {
      errors.push_back(text);
    } else {
      base::log_debug("apt: {}", text);
    }
  }
  if (good && errors.empty()) return base::ok();
  return fail(Kind::invalid_input, fmt::format("{}: {}", doing, fmt::join(errors, "; ")));
}

/// libapt-pkg's configuration is one of the whole process.
Result<> set_up_apt() {
  static std::once_flag once;
  static bool good = false;
  std::call_once(once, [] { good = pkgInitConfig(*_config) && pkgInitSystem(*_config, _system); });
  return apt_said(good, "reading apt's configuration");
}

/// "bookworm-security", "bookworm-updates" and "bookworm/updates" go with "bookworm".
bool goes_with(std::string_view suite, std::string_view wanted) {
  while (suite.ends_with('/')) suite.remove_suffix(1);
  return suite == wanted || (suite.starts_with(wanted) && suite.size() > wanted.size() &&
                             (suite[wanted.size()] == '-' || suite[wanted.size()] == '/'));
}

bool is_backports(std::string_view suite) {
  return suite.contains("-backports") || suite.contains("-proposed");
}

Source source_of(const metaIndex& index) {
  Source source{.uri = index.GetURI(),
                .suite = index.GetDist(),
                .signed_by = index.GetSignedBy(),
                .trusted = index.GetTrusted() == metaIndex::TRI_YES};
  std::set<std::string> components;
  for (const IndexTarget& target : index.GetIndexTargets()) {
    if (target.Option(IndexTarget::CREATED_BY) == "Packages") components.insert(target.Option(IndexTarget::COMPONENT));
  }
  components.erase("");
  source.components.assign(components.begin(), components.end());
  return source;
}

}  // namespace

Result<std::vector<Source>> read_sources(const std::string& suite,
                                         const std::optional<std::vector<std::string>>& lines) {
  TRY_DO(set_up_apt());
  pkgSourceList list;
  if (lines) {
    TRY(base::File file, base::File::nameless({}));
    TRY_DO(file.write_all(0, base::bytes_of(fmt::format("{}\n", fmt::join(*lines, "\n")))));
    const bool good = list.ReadAppend(fmt::format("/proc/self/fd/{}", file.fd()));
    TRY_DO(apt_said(good, "packages.debian.mirror"));
  } else {
    const bool good = list.ReadMainList();
    TRY_DO(apt_said(good, "reading apt's sources"));
  }
  std::vector<Source> sources;
  std::set<std::string> others;
  for (const metaIndex* index : list) {
    Source source = source_of(*index);
    if (source.components.empty() && !source.suite.ends_with('/')) continue;  // sources of source code
    if (lines || (goes_with(source.suite, suite) && !is_backports(source.suite))) {
      sources.push_back(std::move(source));
    } else {
      others.insert(source.suite);
    }
  }
  if (!sources.empty()) return sources;
  return fail(Kind::invalid_input,
              fmt::format("apt has no source of the suite {}{}; name some in packages.debian.mirror", suite,
                          others.empty() ? "" : fmt::format(", only of {}", fmt::join(others, ", "))));
}

std::string to_deb822(const std::vector<Source>& sources, const std::string& architecture) {
  std::string text;
  for (const Source& source : sources) {
    text += fmt::format("Types: deb\nURIs: {}\nSuites: {}\n", source.uri, source.suite);
    if (!source.components.empty()) text += fmt::format("Components: {}\n", fmt::join(source.components, " "));
    text += fmt::format("Architectures: {}\n", architecture);
    if (!source.signed_by.empty()) {
      std::string value = source.signed_by;
      if (value.starts_with("-----BEGIN")) {  // a key itself: each line of it continues the field
        std::string folded;
        for (const char c : value) folded += c == '\n' ? std::string("\n ") : std::string(1, c);
        value = "\n " + folded;
      }
      text += fmt::format("Signed-By: {}\n", value);
    }
    if (source.trusted) text += "Trusted: yes\n";
    text += '\n';
  }
  return text;
}

Result<std::string> fetch_settings(bool with_checks) {
  TRY_DO(set_up_apt());
  constexpr std::string_view never[] = {"Acquire::IndexTargets", "Acquire::Languages", "Acquire::GzipIndexes",
                                        "Acquire::ForceHash",    "Acquire::By-Hash",   "Acquire::cdrom"};
  constexpr std::string_view checks[] = {"Acquire::Check-",         "Acquire::AllowInsecure", "Acquire::AllowWeak",
                                         "Acquire::AllowDowngrade", "Acquire::Max-",          "Acquire::Min-"};
  const auto begins = [](std::string_view text, const auto& beginnings) {
    return std::ranges::any_of(beginnings, [&](std::string_view each) { return text.starts_with(each); });
  };
  std::string text;
  const Configuration::Item* top = _config->Tree("Acquire");
  for (const Configuration::Item* item = top; item != nullptr;) {
    const std::string tag = item->FullTag();
    const bool wanted = !begins(tag, never) && (with_checks || !begins(tag, checks));
    if (wanted && !item->Value.empty() && item->Value.find_first_of("\"\n\\") == std::string::npos) {
      text += fmt::format("{} \"{}\";\n", tag, item->Value);
    }
    if (item->Child != nullptr) {
      item = item->Child;
      continue;
    }
    while (item != nullptr && item != top && item->Next == nullptr) item = item->Parent;
    if (item == nullptr || item == top) break;
    item = item->Next;
  }
  return text;
}

}  // namespace builder::packages
