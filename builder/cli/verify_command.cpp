#include "builder/cli/verify_command.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/block_device.hpp"
#include "builder/cli/verity_files.hpp"
#include "image/verify_image.hpp"

namespace builder {

using base::Kind;
using base::Result;

namespace {

struct VerifyOptions {
  std::string image;
  std::vector<std::string> certificates;
  std::vector<std::string> secure_boot_certificates;
  unsigned threads = 0;
};

const char* to_string(image::Outcome outcome) {
  switch (outcome) {
    case image::Outcome::ok:
      return "ok";
    case image::Outcome::failed:
      return "failed";
    case image::Outcome::skipped:
      return "skipped";
  }
  return "failed";
}

std::string table_of(const image::ImageReport& report) {
  std::size_t name_width = 0;
  std::size_t object_width = 0;
  for (const image::Check& check : report.checks) {
    name_width = std::max(name_width, check.name.size());
    object_width = std::max(object_width, check.object.size());
  }
  std::string text;
  for (const image::Check& check : report.checks) {
    const char* mark = check.outcome == image::Outcome::failed ? "FAILED" : to_string(check.outcome);
    text += fmt::format("{:<7}  {:<{}}  {:<{}}  {}\n", mark, check.name, name_width, check.object, object_width,
                        printable(check.detail));
  }
  return text;
}

base::Json json_of(const image::ImageReport& report) {
  base::Json checks = base::Json::array();
  for (const image::Check& check : report.checks) {
    checks.push_back({{"check", check.name},
                      {"object", check.object},
                      {"outcome", to_string(check.outcome)},
                      {"detail", check.detail}});
  }
  return {{"genuine", report.genuine()}, {"checks", std::move(checks)}};
}

Result<> verify(const VerifyOptions& options, const Console& console) {
  image::Trust trust;
  TRY(trust.root_hash, certificates_from(options.certificates));
  trust.secure_boot = trust.root_hash;
  if (!options.secure_boot_certificates.empty()) {
    TRY(trust.secure_boot, certificates_from(options.secure_boot_certificates));
  }
  TRY(const auto disk, base::FileDevice::open(options.image, base::Access::read_only));
  std::optional<base::Progress> progress;
  const auto watch = [&](const std::string& what, std::uint64_t bytes) {
    progress.reset();  // ends the line of the one before
    progress.emplace(console.progress_style(), what, bytes);
    return progress->advancer();
  };
  const auto report = image::verify_image(*disk, trust, {.threads = options.threads, .watch = watch});
  progress.reset();
  if (!report) return std::unexpected(report.error());
  console.show(table_of(*report), json_of(*report));
  if (report->genuine()) return base::ok();
  const auto failed = std::ranges::find(report->checks, image::Outcome::failed, &image::Check::outcome);
  return base::fail(Kind::corrupt, fmt::format("{} is not genuine: {} of {} checks failed, first {}: {}: {}",
                                               options.image, report->count(image::Outcome::failed),
                                               report->checks.size(), failed->name, failed->object, failed->detail));
}

}  // namespace

void add_verify_command(CLI::App& app, const Console& console, Verb& chosen) {
  auto options = std::make_shared<VerifyOptions>();
  CLI::App& verb = add_verb(app, console, chosen, "verify",
                            "Check a disk image from the firmware's signature to the last block", &verify, options);
  verb.add_option("IMAGE", options->image, "The disk: a raw image or a block device")->required();
  verb.add_option("--cert", options->certificates, "Who may sign root hashes (PEM or DER); may be repeated")
      ->required()
      ->take_all();
  verb.add_option("--secure-boot-cert", options->secure_boot_certificates,
                  "Who may sign boot loader and UKIs; may be repeated (default: as --cert)")
      ->take_all();
  verb.add_option("--threads", options->threads, "How many processors to use (default: all)")
      ->check(CLI::Range(1, 1024));
  verb.footer(
      "Needs no root, no loop device and no network. All that is wrong is told, not only the first; exit status 3 "
      "when anything is.\n\n"
      "Example: keelson verify node.raw --cert verity.crt --secure-boot-cert db.crt");
}

}  // namespace builder
