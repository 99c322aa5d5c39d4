#include "agent/boot_loader/spare_entries.hpp"

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>
#include <utility>

#include "base/bytes.hpp"

namespace agent::boot_loader {

using base::Bytes;
using base::fail;
using base::Kind;
using base::Result;

namespace {

constexpr std::string_view our_description = "Keelson (spare ";
constexpr std::string_view our_file = R"(\EFI\systemd\systemd-bootx64.efi)";
constexpr std::string_view usual_file = R"(\EFI\BOOT\BOOTX64.EFI)";  // a copy of it, for firmware that knows no better
constexpr const char* order_variable = "BootOrder";
constexpr const char* current_variable = "BootCurrent";
constexpr std::string_view option_prefix = "Boot";

std::string option_variable(std::uint16_t number) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string name(option_prefix);
  for (const unsigned shift : {12U, 8U, 4U, 0U}) name += digits[(number >> shift) & 0xfU];
  return name;
}

/// #### of "Boot####", four upper-case hexadecimal digits.
std::optional<std::uint16_t> option_number(std::string_view name) {
  if (name.size() != option_prefix.size() + 4 || !name.starts_with(option_prefix)) return std::nullopt;
  const std::string_view digits = name.substr(option_prefix.size());
  if (digits.find_first_not_of("0123456789ABCDEF") != std::string_view::npos) return std::nullopt;
  std::uint16_t number = 0;
  (void)std::from_chars(digits.data(), digits.data() + digits.size(), number, 16);
  return number;
}

/// FAT and firmware do not tell capitals from small letters.
bool same_path(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::ranges::equal(a, b, {}, lower, lower);
}

template <class Range, class Value>
bool contains(const Range& range, const Value& value) {
  return std::ranges::find(range, value) != std::ranges::end(range);
}

bool is_ours(const LoadOption& option) {
  return option.description.starts_with(our_description);
}

Result<std::vector<std::uint16_t>> read_numbers(const EfiVariables& variables, const char* name) {
  TRY(const std::optional<Bytes> value, variables.read(Vendor::efi_global, name));
  std::vector<std::uint16_t> numbers;
  if (!value) return numbers;
  if (value->size() % 2 != 0) return fail(Kind::corrupt, std::string(name) + " ends inside a number");
  for (std::size_t at = 0; at < value->size(); at += 2) {
    numbers.push_back(base::load_le<std::uint16_t>(&(*value)[at]));
  }
  return numbers;
}

/// Makes a plan of what the firmware has.
class Planner {
 public:
  Planner(const BootOptions& firmware, const HardDrive& esp, std::span<const base::Uuid> present)
      : firmware_(firmware), esp_(esp), present_(present), order_(firmware.order), taken_(firmware.taken) {}

  SparePlan plan(unsigned wanted) {
    drop_stale();
    plan_.starts = count_starts();
    std::vector<std::uint16_t> added = unlisted();
    const std::size_t missing = wanted > plan_.starts ? wanted - plan_.starts : 0;
    added.resize(std::min(added.size(), missing));
    while (added.size() < missing) added.push_back(create());
    order_.insert(place_for_new(), added.begin(), added.end());
    plan_.starts += static_cast<unsigned>(added.size());
    if (order_ != firmware_.order) plan_.order = order_;
    return std::move(plan_);
  }

 private:
  void drop_stale() {
    for (const BootOption& each : firmware_.options) {
      if (!is_ours(each.option) || !each.option.partition) continue;
      if (contains(present_, each.option.partition->uuid)) continue;
      plan_.remove.push_back(each.number);
      std::erase(order_, each.number);
    }
  }

  unsigned count_starts() const {
    return static_cast<unsigned>(std::ranges::count_if(firmware_.options, [this](const BootOption& each) {
      return leads_to_loader(each.option, esp_.uuid) && contains(order_, each.number);
    }));
  }

  /// Ours that the order has lost: some firmware writes it anew.
  std::vector<std::uint16_t> unlisted() const {
    std::vector<std::uint16_t> numbers;
    for (const BootOption& each : firmware_.options) {
      if (is_ours(each.option) && leads_to_loader(each.option, esp_.uuid) && !contains(order_, each.number)) {
        numbers.push_back(each.number);
      }
    }
    return numbers;
  }

  std::uint16_t create() {
    std::uint16_t number = 0;
    // Also none that only the order names: it would start what somebody else means by it.
    while (taken_.contains(number) || contains(order_, number)) ++number;
    taken_.insert(number);
    plan_.create.push_back({number,
                            {.attributes = load_option_active,
                             .description = new_description(),
                             .partition = esp_,
                             .file = std::string(our_file)}});
    return number;
  }

  /// Each its own, for people, and for firmware that takes two alike for one.
  std::string new_description() const {
    const auto is_taken = [this](const std::string& description) {
      const auto has_it = [&](const BootOption& each) { return each.option.description == description; };
      return std::ranges::any_of(firmware_.options, has_it) || std::ranges::any_of(plan_.create, has_it);
    };
    for (unsigned n = 1;; ++n) {
      std::string description = std::string(our_description) + std::to_string(n) + ")";
      if (!is_taken(description)) return description;
    }
  }

  std::vector<std::uint16_t>::const_iterator place_for_new() const {
    const auto leads_there = [this](std::uint16_t number) {
      const auto option = std::ranges::find(firmware_.options, number, &BootOption::number);
      return number == firmware_.current ||
             (option != firmware_.options.end() && leads_to_loader(option->option, esp_.uuid));
    };
    auto place = std::ranges::find_if(order_, leads_there);
    return std::ranges::find_if_not(place, order_.end(), leads_there);
  }

  const BootOptions& firmware_;
  const HardDrive& esp_;
  std::span<const base::Uuid> present_;
  std::vector<std::uint16_t> order_;
  std::set<std::uint16_t> taken_;
  SparePlan plan_;
};

}  // namespace

bool leads_to_loader(const LoadOption& option, const base::Uuid& esp) {
  return option.is_active() && option.partition && option.partition->uuid == esp &&
         (same_path(option.file, our_file) || same_path(option.file, usual_file));
}

Result<BootOptions> read_boot_options(const EfiVariables& variables) {
  BootOptions found;
  TRY(const std::vector<std::string> names, variables.names(Vendor::efi_global));
  for (const std::string& name : names) {
    const auto number = option_number(name);
    if (!number) continue;
    found.taken.insert(*number);
    const auto value = variables.read(Vendor::efi_global, name);
    if (!value || !*value) continue;
    // One that cannot be read is the firmware's or another system's, and keeps its place.
    if (auto option = decode_load_option(**value)) found.options.push_back({*number, *std::move(option)});
  }
  TRY(found.order, read_numbers(variables, order_variable));
  TRY(const std::vector<std::uint16_t> current, read_numbers(variables, current_variable));
  if (!current.empty()) found.current = current.front();
  return found;
}

SparePlan plan_spares(const BootOptions& firmware, const HardDrive& esp, std::span<const base::Uuid> present,
                      unsigned wanted) {
  return Planner(firmware, esp, present).plan(std::min(wanted, most_starts));
}

Result<> carry_out(const SparePlan& plan, const EfiVariables& variables) {
  for (const BootOption& each : plan.create) {
    TRY(const Bytes value, encode_load_option(each.option));
    TRY_DO(variables.create(Vendor::efi_global, option_variable(each.number), value), each.option.description);
  }
  if (plan.order) {
    Bytes value(plan.order->size() * 2);
    for (std::size_t i = 0; i < plan.order->size(); ++i) base::store_le(&value[2 * i], (*plan.order)[i]);
    TRY_DO(variables.write(Vendor::efi_global, order_variable, value));
  }
  for (const std::uint16_t number : plan.remove) {
    TRY_DO(variables.remove(Vendor::efi_global, option_variable(number)));
  }
  return base::ok();
}

}  // namespace agent::boot_loader
