#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "image/uki.hpp"
#include "tests/support/files.hpp"
#include "tests/support/pattern.hpp"
#include "tests/support/program.hpp"

/// PE files of other people's making, ways to spoil them, and a UKI's parts.
namespace pe_data {

inline constexpr const char* stub_path = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub";  // package systemd-boot-efi
inline constexpr const char* boot_loader_path = "/usr/lib/systemd/boot/efi/systemd-bootx64.efi";

inline base::Bytes file(const std::string& path) {
  const std::string content = support::slurp(path);
  const base::ByteView bytes = base::bytes_of(content);
  return {bytes.begin(), bytes.end()};
}

inline base::Bytes stub() {
  return file(stub_path);
}

template <class T>
base::Bytes with(base::Bytes bytes, std::size_t offset, T value) {
  base::store_le(&bytes.at(offset), value);
  return bytes;
}

inline base::Bytes cut(base::Bytes bytes, std::size_t size) {
  bytes.resize(size);
  return bytes;
}

inline base::Bytes joined(base::Bytes bytes, base::ByteView more) {
  bytes.insert(bytes.end(), more.begin(), more.end());
  return bytes;
}

/// Lengths that fill a page, a file block and neither.
struct Contents {
  std::string os_release = "ID=keelson\nIMAGE_VERSION=1.0.0\n";
  std::string cmdline = "roothash=2e534ef0107d592d1706ac38ad58596b85ef3375d360a6d669f974792df5cb5a quiet";
  std::string uname = "6.1.0-44-cloud-amd64";
  base::Bytes initrd = support::pattern(8192, 1);
  base::Bytes kernel = support::pattern(123457, 2);

  image::UkiParts parts() const {
    return {.os_release = base::bytes_of(os_release),
            .cmdline = base::bytes_of(cmdline),
            .uname = base::bytes_of(uname),
            .initrd = initrd,
            .kernel = kernel};
  }
};

/// What an outside program prints; a failure fails the test.
inline std::string output_of(std::vector<std::string> argv) {
  const std::string name = argv.front();
  const base::CommandResult result = support::run_program(std::move(argv));
  EXPECT_EQ(result.exit_status, 0) << name << ": " << result.errors;
  return result.output;
}

}  // namespace pe_data
