#include "agent/init/signature.hpp"

#include <linux/keyctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <utility>

#include "agent/init/sha256.hpp"
#include "base/base64.hpp"
#include "base/block_device.hpp"
#include "image/kernel_cmdline.hpp"

namespace agent::init {

using base::Bytes;
using base::ByteView;
using base::fail;
using base::Kind;
using base::Result;

namespace {

constexpr const char* key_name = "keelson:root";

}  // namespace

Result<Bytes> read_signature(const std::string& device, const base::Sha256Digest& expected) {
  TRY(const auto partition, base::FileDevice::open(device, base::Access::read_only));
  Bytes block(image::signature_block_size);
  TRY_DO(partition->read(0, block));
  if (static_sha256(block) != expected) {
    return fail(Kind::untrusted,
                "the root hash signature on " + device + " is not the one this version was signed with");
  }
  return block;
}

std::optional<Bytes> pkcs7_in(ByteView signature_block) {
  constexpr std::string_view begin = R"("signature":")";
  std::string_view text = base::text_of(signature_block);
  const std::size_t at = text.find(begin);
  if (at == std::string_view::npos) return std::nullopt;
  text.remove_prefix(at + begin.size());
  const std::size_t end = text.find('"');
  if (end == std::string_view::npos) return std::nullopt;
  auto pkcs7 = base::from_base64(text.substr(0, end));
  if (!pkcs7 || pkcs7->empty()) return std::nullopt;
  return *std::move(pkcs7);
}

Result<std::string> give_to_kernel(ByteView pkcs7) {
  // The thread's own keyring: request_key() looks there first, and it goes when systemd takes this program's place.
  if (::syscall(SYS_add_key, "user", key_name, pkcs7.data(), pkcs7.size(), KEY_SPEC_THREAD_KEYRING) < 0) {
    const int error = errno;
    return base::fail_errno(error, "giving the root hash's signature to the kernel");
  }
  return key_name;
}

}  // namespace agent::init
