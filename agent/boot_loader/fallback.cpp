#include "agent/boot_loader/fallback.hpp"

#include <string_view>
#include <utility>

#include "agent/boot_loader/efi_text.hpp"
#include "agent/boot_loader/entry_name.hpp"

namespace agent::boot_loader {

using base::Bytes;
using base::Result;

namespace {

constexpr const char* selected_variable = "LoaderEntrySelected";
constexpr const char* entries_variable = "LoaderEntries";
constexpr const char* counted_variable = "LoaderBootCountPath";
constexpr const char* one_shot_variable = "LoaderEntryOneShot";
constexpr const char* esp_variable = "LoaderDevicePartUUID";

Result<std::string> read_text(const EfiVariables& variables, const char* name) {
  TRY(const std::optional<Bytes> value, variables.read(Vendor::loader, name));
  if (!value) return "";
  TRY(std::string text, decode_string(*value), name);
  return text;
}

/// The smaller, the better; nothing for what is no fallback.
std::optional<int> rank_of(const std::string& entry, const EntryName& selected) {
  const EntryName name = EntryName::of(entry);
  if (entry.starts_with("auto-") || name.stem == selected.stem) return std::nullopt;
  if (name.tries && name.tries->left == 0) return std::nullopt;
  return (name.image_id() == selected.image_id() ? 0 : 2) + (name.tries ? 1 : 0);
}

}  // namespace

Result<LoaderReport> read_loader_report(const EfiVariables& variables) {
  LoaderReport report;
  TRY(report.selected, read_text(variables, selected_variable));
  TRY(report.counted, read_text(variables, counted_variable));
  TRY(report.one_shot, read_text(variables, one_shot_variable));
  TRY(const std::string esp, read_text(variables, esp_variable));
  if (!esp.empty()) {
    TRY(report.esp, base::Uuid::parse(esp), esp_variable);
  }
  TRY(const std::optional<Bytes> entries, variables.read(Vendor::loader, entries_variable));
  if (entries) {
    TRY(report.entries, decode_strings(*entries), entries_variable);
  }
  return report;
}

Fallback choose_fallback(const std::string& selected, std::span<const std::string> entries) {
  if (selected.empty()) return {{}, "systemd-boot did not start this"};
  const EntryName current = EntryName::of(selected);
  if (current.tries) return {{}, "the starts of " + selected + " are counted"};
  const std::string* best = nullptr;
  std::optional<int> best_rank;
  for (const std::string& entry : entries) {
    const auto rank = rank_of(entry, current);
    if (!rank || (best_rank && *rank >= *best_rank)) continue;
    best = &entry;
    best_rank = rank;
  }
  if (best == nullptr) return {{}, "there is no entry beside " + selected + " that may be started"};
  return {*best, selected + " is no longer counted"};
}

Result<> arm(const EfiVariables& variables, const std::string& entry) {
  TRY(const Bytes value, encode_string(entry));
  TRY_DO(variables.create(Vendor::loader, one_shot_variable, value), "arming the fallback " + entry);
  return base::ok();
}

Result<bool> disarm(const EfiVariables& variables, const std::string& entry) {
  TRY(const std::string armed, read_text(variables, one_shot_variable));
  if (armed != entry) return false;
  TRY_DO(variables.remove(Vendor::loader, one_shot_variable), "disarming the fallback " + entry);
  return true;
}

}  // namespace agent::boot_loader
