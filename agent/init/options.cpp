#include "agent/init/options.hpp"

#include <string>

#include "image/kernel_cmdline.hpp"

namespace agent::init {

using base::fail;
using base::Kind;
using base::Result;

Result<Options> parse_options(std::string_view cmdline) {
  constexpr std::string_view verity_key = "keelson.verity=";
  Options options;
  TRY(options.signature_digest, image::signature_digest_in(cmdline));
  for (const std::string_view word : image::words_of(cmdline)) {
    if (word == "keelson.debug") options.detail = Console::Detail::debug;
    if (word == "keelson.sig.kernel") options.signature_for_kernel = true;
    if (word.starts_with("panic=")) {
      options.failure_wait = word.starts_with("panic=-") ? std::chrono::seconds(0) : Options().failure_wait;
    }
    if (!word.starts_with(verity_key)) continue;
    const std::string_view value = word.substr(verity_key.size());
    if (value != "restart" && value != "panic") {
      return fail(Kind::invalid_input, "the command line says " + std::string(word) + "; it may be restart or panic");
    }
    options.on_corruption = value == "panic" ? verity::OnCorruption::panic : verity::OnCorruption::restart;
  }
  return options;
}

}  // namespace agent::init
