#include "builder/root/boot_assessment.hpp"

#include <utility>

#include <fmt/format.h>

namespace builder::root {

using base::fail;
using base::Kind;
using base::Result;

namespace {

constexpr const char* program_path = "/usr/lib/keelson/keelson-boot";
constexpr const char* units = "/usr/lib/systemd/system";
constexpr const char* complete_unit = "keelson-boot-complete.service";

// Of multi-user.target it says itself that it comes behind: otherwise systemd would put it in front of the target that
// wants it, and go round in a circle.
constexpr const char* complete_text =
    "# Made by keelson.\n"
    "[Unit]\n"
    "Description=Boot Loader and Firmware Told That the System Is Up\n"
    "Documentation=man:keelson-boot(8)\n"
    "# Also on boots that are not counted, for which nothing else asks: so what boot-complete.target requires, the "
    "checks\n"
    "# of health, is done then, too.\n"
    "Requires=boot-complete.target\n"
    "After=multi-user.target boot-complete.target\n"
    "\n"
    "[Service]\n"
    "Type=oneshot\n"
    "RemainAfterExit=yes\n"
    "ExecStart={} complete --tries {}\n"
    "\n"
    "[Install]\n"
    "WantedBy=multi-user.target\n";

struct DropIn {
  const char* path;
  const char* text;
};

constexpr const char* needs_tpm_library =
    "# Made by keelson. Without the libraries this fails wherever there is a TPM, and tells nobody anything.\n"
    "[Unit]\n"
    "ConditionPathExistsGlob=/usr/lib/*/libtss2-esys.so.0\n"
    "ConditionPathExistsGlob=/usr/lib/*/libtss2-mu.so.0\n"
    "ConditionPathExistsGlob=/usr/lib/*/libtss2-rc.so.0\n"
    "ConditionPathExistsGlob=/usr/lib/*/libtss2-tcti-device.so.0\n";

constexpr DropIn drop_ins[] = {
    {"/usr/lib/systemd/system/boot-complete.target.d/10-keelson.conf",
     "# Made by keelson. A boot is not complete before the services of the host have been started.\n"
     "[Unit]\n"
     "After=multi-user.target\n"},
    {"/usr/lib/systemd/system/systemd-bless-boot.service.d/10-keelson.conf",
     "# Made by keelson. What was counted last need not be what runs: see keelson-boot(8).\n"
     "[Service]\n"
     "ExecCondition=/usr/lib/keelson/keelson-boot may-bless\n"},
    {"/usr/lib/systemd/system/systemd-pcrphase.service.d/10-keelson.conf", needs_tpm_library},
    {"/usr/lib/systemd/system/systemd-pcrphase-sysinit.service.d/10-keelson.conf", needs_tpm_library},
    {"/usr/lib/systemd/system.conf.d/10-keelson-watchdog.conf",
     "# Made by keelson. A host that hangs restarts, and so does one that hangs while it restarts, where there is a\n"
     "# hardware watchdog.\n"
     "[Manager]\n"
     "RuntimeWatchdogSec=30s\n"
     "RebootWatchdogSec=2min\n"},
};

}  // namespace

Result<> add_boot_assessment(Draft& root, unsigned tries, std::string program) {
  for (const char* needed :
       {"/usr/lib/systemd/systemd-bless-boot", "/usr/lib/systemd/system-generators/systemd-bless-boot-generator",
        "/usr/lib/systemd/system/systemd-bless-boot.service"}) {
    if (!root.has(needed)) {
      return fail(Kind::invalid_input, fmt::format("the root has no {}, of the package systemd-boot", needed));
    }
  }
  TRY_DO(root.write(program_path, std::move(program), {.permissions = 0755}));
  TRY_DO(root.write(fmt::format("{}/{}", units, complete_unit),
                    fmt::format(fmt::runtime(complete_text), program_path, tries)));
  TRY_DO(root.link(fmt::format("{}/multi-user.target.wants/{}", units, complete_unit),
                   fmt::format("../{}", complete_unit)));
  for (const DropIn& drop_in : drop_ins) TRY_DO(root.write(drop_in.path, drop_in.text));
  // It would put the root's systemd-boot, which nobody has signed, over the one on the ESP.
  return root.link(fmt::format("{}/systemd-boot-update.service", units), "/dev/null");
}

}  // namespace builder::root
