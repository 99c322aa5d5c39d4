#include "agent/boot_loader/bless.hpp"

#include "agent/boot_loader/entry_name.hpp"

namespace agent::boot_loader {

std::optional<std::string> refusal_to_bless(const LoaderReport& report, const std::optional<std::string>& running) {
  if (report.counted.empty()) return "systemd-boot has counted nothing";
  if (!running) return "os-release names no image, so what runs cannot be told";
  const EntryName counted = EntryName::of(report.counted.substr(report.counted.find_last_of("\\/") + 1));
  if (!counted.tries) return report.counted + " has no counter";
  if (counted.stem != EntryName::of(report.selected).stem) {
    return report.counted + " was counted, but " + (report.selected.empty() ? "nothing" : report.selected) +
           " was started";
  }
  if (counted.stem != *running) return report.counted + " was counted, but what runs is " + *running;
  return std::nullopt;
}

}  // namespace agent::boot_loader
