// keelson-boot: what a host that has come up tells its boot loader and its firmware.

#include <charconv>
#include <cstdio>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "agent/boot/commands.hpp"
#include "base/exit_status.hpp"

namespace {

using agent::boot::Machine;
using base::ExitStatus;

constexpr const char* usage =
    "Usage: keelson-boot VERB [OPTION]\n"
    "\n"
    "What a host tells its boot loader and its firmware, so that a version that does not come up is never the end.\n"
    "\n"
    "  complete [--tries N]  the system is up: disarm the fallback that the init has armed, and make sure of boot\n"
    "                        options for N tries of a version (3) and one start more\n"
    "  may-bless             whether systemd-bless-boot may bless this boot; if not, exit with 1 and say why\n"
    "  status [--json]       which entry was started, counted and armed\n"
    "\n"
    "Example: keelson-boot status\n"
    "See keelson-boot(8).\n";

struct Arguments {
  std::string_view verb;
  unsigned tries = 3;
  bool json = false;
};

std::optional<Arguments> parse(std::span<char*> words) {
  if (words.empty()) return std::nullopt;
  Arguments arguments{.verb = words[0]};
  for (std::size_t i = 1; i < words.size(); ++i) {
    const std::string_view word = words[i];
    if (word == "--json" && arguments.verb == "status") {
      arguments.json = true;
    } else if (word == "--tries" && arguments.verb == "complete" && i + 1 < words.size()) {
      const std::string_view number = words[++i];
      const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), arguments.tries);
      constexpr unsigned most = 99;  // as the manifest's boot.tries
      if (error != std::errc() || end != number.data() + number.size() || arguments.tries > most) return std::nullopt;
    } else {
      return std::nullopt;
    }
  }
  return arguments;
}

void complain(const std::string& why) {
  (void)std::fprintf(stderr, "keelson-boot: %s\n", why.c_str());
}

ExitStatus run_complete(const Machine& machine, unsigned tries) {
  const agent::boot::Outcome outcome = agent::boot::complete(machine, tries);
  for (const std::string& line : outcome.lines) (void)std::printf("%s\n", line.c_str());
  for (const base::Error& failure : outcome.failures) complain(failure.message());
  return outcome.failures.empty() ? ExitStatus::success : ExitStatus::failure;
}

/// No other status: systemd takes 1 to 254 of an ExecCondition= for "no".
ExitStatus run_may_bless(const Machine& machine) {
  const auto why_not = agent::boot::why_not_bless(machine);
  if (why_not && !*why_not) return ExitStatus::success;
  complain("not to be blessed: " + (why_not ? **why_not : why_not.error().message()));
  return ExitStatus::failure;
}

ExitStatus run_status(const Machine& machine, bool json) {
  const auto found = agent::boot::status(machine);
  if (!found) {
    complain(found.error().message());
    return ExitStatus::failure;
  }
  (void)std::fputs((json ? json_of(*found) : text_of(*found)).c_str(), stdout);
  return ExitStatus::success;
}

ExitStatus run(std::span<char*> words) {
  const auto arguments = parse(words);
  const Machine machine;
  if (arguments && arguments->verb == "complete") return run_complete(machine, arguments->tries);
  if (arguments && arguments->verb == "may-bless") return run_may_bless(machine);
  if (arguments && arguments->verb == "status") return run_status(machine, arguments->json);
  const bool asked = arguments && (arguments->verb == "--help" || arguments->verb == "-h");
  (void)std::fputs(usage, asked ? stdout : stderr);
  return asked ? ExitStatus::success : ExitStatus::usage;
}

}  // namespace

int main(int argc, char** argv) {
  return static_cast<int>(run(std::span(argv, static_cast<std::size_t>(argc)).subspan(argc > 0 ? 1 : 0)));
}
