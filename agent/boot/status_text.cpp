#include <string_view>
#include <utility>
#include <vector>

#include "agent/boot/commands.hpp"

namespace agent::boot {

namespace {

std::string or_nothing(const std::string& text) {
  return text.empty() ? "nothing" : text;
}

/// A text in JSON. What a firmware says is UTF-8 by now, so only this needs an escape.
std::string quoted(std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string json(1, '"');
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      json += {'\\', c};
    } else if (static_cast<unsigned char>(c) < 0x20) {
      json += std::string("\\u00") + digits[static_cast<unsigned char>(c) >> 4] + digits[c & 0xf];
    } else {
      json += c;
    }
  }
  return json + '"';
}

std::string quoted_or_null(const std::string& text) {
  return text.empty() ? "null" : quoted(text);
}

std::string list_of(const std::vector<std::string>& texts) {
  std::string json;
  for (const std::string& text : texts) json += (json.empty() ? "" : ",") + quoted(text);
  return "[" + json + "]";
}

using Members = std::vector<std::pair<std::string, std::string>>;

std::string object_of(const Members& members) {
  std::string json;
  for (const auto& [name, value] : members) json += (json.empty() ? "" : ",") + quoted(name) + ":" + value;
  return "{" + json + "}\n";
}

}  // namespace

std::string text_of(const std::optional<Status>& status) {
  if (!status) return "there are no EFI variables\n";
  const boot_loader::LoaderReport& loader = status->loader;
  return "started:   " + or_nothing(loader.selected) + "\ncounted:   " + or_nothing(loader.counted) +
         "\nbless:     " + (status->bless_refusal ? "no: " + *status->bless_refusal : "yes") +
         "\nnext once: " + or_nothing(loader.one_shot) + "\nfallback:  " + status->fallback.entry.value_or("none") +
         " (" + status->fallback.reason +
         ")\nstarts:    " + (status->starts ? std::to_string(*status->starts) : "unknown") + "\n";
}

std::string json_of(const std::optional<Status>& status) {
  if (!status) return object_of({{"efi", "false"}});
  const boot_loader::LoaderReport& loader = status->loader;
  Members members = {{"efi", "true"},
                     {"selected", quoted_or_null(loader.selected)},
                     {"entries", list_of(loader.entries)},
                     {"counted", quoted_or_null(loader.counted)},
                     {"may_bless", status->bless_refusal ? "false" : "true"}};
  if (status->bless_refusal) members.emplace_back("bless_refusal", quoted(*status->bless_refusal));
  members.emplace_back("one_shot", quoted_or_null(loader.one_shot));
  members.emplace_back("fallback", quoted_or_null(status->fallback.entry.value_or("")));
  members.emplace_back("fallback_reason", quoted(status->fallback.reason));
  members.emplace_back("starts", status->starts ? std::to_string(*status->starts) : "null");
  return object_of(members);
}

}  // namespace agent::boot
