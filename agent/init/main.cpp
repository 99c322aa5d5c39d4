// The first program that the kernel starts, from the initramfs. It ends as systemd, or in a restart.

#include <unistd.h>

#include <cstdlib>
#include <string_view>

#include "agent/init/boot.hpp"

int main() {
  using namespace agent::init;
  if (::getpid() != 1) {
    constexpr std::string_view line = "keelson-init: I am for the kernel to start, from an initramfs\n";
    return ::write(STDERR_FILENO, line.data(), line.size()) < 0 ? EXIT_FAILURE : 2;
  }
  const auto options = begin();
  const Options used = options.value_or(Options());
  const Console console(used.detail);
  give_up(options ? boot(used, console) : options.error(), used, console);
}
