#include "agent/boot/commands.hpp"

#include <utility>

#include "agent/boot_loader/bless.hpp"
#include "agent/boot_loader/os_release.hpp"
#include "agent/boot_loader/spare_entries.hpp"
#include "base/file.hpp"
#include "image/kernel_cmdline.hpp"

namespace agent::boot {

using base::fail;
using base::Kind;
using base::Result;
using boot_loader::LoaderReport;

namespace {

constexpr std::size_t max_text = 65536;

/// Where the firmware finds the boot loader, among all partitions that there are.
struct LoaderPlace {
  boot_loader::HardDrive esp;
  std::vector<base::Uuid> partitions;
};

boot_loader::HardDrive hard_drive_of(const image::Partition& partition, std::uint32_t sector_size) {
  return {.number = partition.number,
          .start_sector = partition.offset_bytes / sector_size,
          .sectors = partition.size_bytes / sector_size,
          .uuid = partition.uuid};
}

/// The ESP that the boot loader was started from, on the disk that the root is on.
Result<LoaderPlace> find_loader(const Machine& machine, const LoaderReport& report) {
  TRY(const std::string cmdline, base::read_file(machine.cmdline, max_text));
  TRY(const verity::RootHash root_hash, image::root_hash_in(cmdline));
  TRY(const std::vector<disks::Disk> all, read_disks(machine.devices));
  const auto root = find_root(all, root_hash);
  if (!root) return fail(Kind::not_found, "no disk has the root " + root_hash.hex());
  LoaderPlace place;
  bool found = false;
  for (const disks::Disk& disk : all) {
    if (!disk.table) continue;
    for (const image::Partition& partition : disk.table->partitions) place.partitions.push_back(partition.uuid);
    if (disk.name != root->disk) continue;
    const image::Partition* const esp = find_esp(disk, report.esp);
    if (esp == nullptr) break;
    place.esp = hard_drive_of(*esp, disk.table->sector_size);
    found = true;
  }
  if (!found) return fail(Kind::not_found, "the boot loader was not started from " + root->disk + ", the root's disk");
  return place;
}

Result<boot_loader::SparePlan> plan_for(const Machine& machine, const LoaderReport& report, unsigned wanted) {
  TRY(const LoaderPlace place, find_loader(machine, report));
  TRY(const boot_loader::BootOptions options, read_boot_options(machine.variables));
  return plan_spares(options, place.esp, place.partitions, wanted);
}

Result<std::string> provide_starts(const Machine& machine, const LoaderReport& report, unsigned tries) {
  TRY(const boot_loader::SparePlan plan, plan_for(machine, report, tries + 1));
  TRY_DO(carry_out(plan, machine.variables));
  return std::to_string(plan.starts) + " boot options lead to the boot loader: " +
         (plan.is_empty() ? "nothing to do"
                          : std::to_string(plan.create.size()) + " are new, " + std::to_string(plan.remove.size()) +
                                " old ones are gone");
}

Result<std::string> disarm_fallback(const Machine& machine, const LoaderReport& report) {
  const boot_loader::Fallback fallback = boot_loader::choose_fallback(report.selected, report.entries);
  if (!fallback.entry) return "no fallback to disarm: " + fallback.reason;
  TRY(const bool disarmed, disarm(machine.variables, *fallback.entry));
  return "the fallback " + *fallback.entry + (disarmed ? " is disarmed" : " is not armed");
}

void note(Outcome& outcome, Result<std::string> done, const char* doing) {
  if (done) {
    outcome.lines.push_back(*std::move(done));
  } else {
    outcome.failures.push_back(std::move(done).error().while_doing(doing));
  }
}

}  // namespace

Outcome complete(const Machine& machine, unsigned tries) {
  if (!machine.variables.any()) return {{"there are no EFI variables: nothing to do"}, {}};
  Outcome outcome;
  auto report = read_loader_report(machine.variables);
  if (!report) {
    outcome.failures.push_back(std::move(report).error());
    return outcome;
  }
  note(outcome, disarm_fallback(machine, *report), "disarming the fallback");
  if (report->selected.empty()) return outcome;
  note(outcome, provide_starts(machine, *report, tries), "providing boot options");
  return outcome;
}

Result<std::optional<std::string>> why_not_bless(const Machine& machine) {
  if (!machine.variables.any()) return "there are no EFI variables";
  TRY(const LoaderReport report, read_loader_report(machine.variables));
  TRY(const std::string os_release, base::read_file(machine.os_release, max_text));
  return refusal_to_bless(report, boot_loader::entry_stem_in(os_release));
}

Result<std::optional<Status>> status(const Machine& machine) {
  if (!machine.variables.any()) return std::nullopt;
  Status status;
  TRY(status.loader, read_loader_report(machine.variables));
  TRY(status.bless_refusal, why_not_bless(machine));
  status.fallback = boot_loader::choose_fallback(status.loader.selected, status.loader.entries);
  if (const auto plan = plan_for(machine, status.loader, 0)) status.starts = plan->starts;
  return status;
}

}  // namespace agent::boot
