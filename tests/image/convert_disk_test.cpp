#include "image/convert_disk.hpp"

#include <cstdlib>

#include <gmock/gmock.h>

#include "tests/image/disk_data.hpp"
#include "tests/support/files.hpp"
#include "tests/support/program.hpp"

namespace {

using base::Kind;
using image::convert_disk;
using image::DiskFormat;
using support::FailsWith;
using support::run_program;
using support::Succeeds;
using testing::HasSubstr;

class ConvertDisk : public testing::Test {
 protected:
  std::string converted(DiskFormat format, const std::string& name) const {
    EXPECT_THAT(convert_disk(disk, format, parts.directory.path(name), disk_data::timestamp), Succeeds());
    return parts.directory.path(name);
  }
  /// Converted twice, more than a second apart, into directories of their own.
  void expect_stable(DiskFormat format) const {
    std::filesystem::create_directory(parts.directory.path("again"));
    const std::string name = std::string("disk.") + std::string(image::to_string(format));
    const std::string first = converted(format, name);
    ASSERT_EQ(run_program({"sleep", "1.1"}).exit_status, 0);
    EXPECT_EQ(run_program({"cmp", first, converted(format, "again/" + name)}).exit_status, 0);
  }
  /// qemu-img finds the same content.
  void expect_content(const char* driver, const std::string& path) const {
    const auto compare = run_program({"qemu-img", "compare", "-f", "raw", "-F", driver, disk, path});
    EXPECT_EQ(compare.exit_status, 0) << compare.output << compare.errors;
  }

  const disk_data::Parts parts;
  const std::string disk = parts.disk();
};

TEST_F(ConvertDisk, ToQcow2GivesTheSameBytesThatQemuChecks) {
  expect_stable(DiskFormat::qcow2);
  expect_content("qcow2", parts.directory.path("disk.qcow2"));
  const auto check = run_program({"qemu-img", "check", parts.directory.path("disk.qcow2")});
  EXPECT_THAT(check.output, HasSubstr("No errors were found"));
}

TEST_F(ConvertDisk, ToQcow2DoesNotDependOnHoles) {
  const std::string dense = parts.directory.path("dense.raw");
  ASSERT_EQ(run_program({"cp", "--sparse=never", disk, dense}).exit_status, 0);
  ASSERT_THAT(convert_disk(dense, DiskFormat::qcow2, dense + ".qcow2", disk_data::timestamp), Succeeds());
  EXPECT_EQ(run_program({"cmp", dense + ".qcow2", converted(DiskFormat::qcow2, "disk.qcow2")}).exit_status, 0);
}

TEST_F(ConvertDisk, ToVhdGivesTheSameBytesWithASoundFooter) {
  expect_stable(DiskFormat::vhd);
  const std::string vhd = parts.directory.path("disk.vhd");
  expect_content("vpc", vhd);
  const std::string footer = support::slurp(vhd).substr(std::filesystem::file_size(disk));
  ASSERT_EQ(footer.size(), 512);  // so the disk has its exact size, as Azure wants it
  EXPECT_EQ(footer.substr(0, 8), "conectix");
  // 2026-11-21 less 2000-01-01: 9821 days of 86400 s
  EXPECT_EQ(base::to_hex(base::bytes_of(footer.substr(24, 4))), base::to_hex(base::bytes_of("\x32\x93\x9b\x80")));
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < footer.size(); ++i) sum += i / 4 == 16 ? 0 : static_cast<unsigned char>(footer[i]);
  EXPECT_EQ(base::to_hex(base::bytes_of(footer.substr(64, 4))), fmt::format("{:08x}", ~sum));
}

TEST_F(ConvertDisk, ToVmdkGivesTheSameBytesThatQemuChecks) {
  expect_stable(DiskFormat::vmdk);
  const std::string vmdk = parts.directory.path("disk.vmdk");
  expect_content("vmdk", vmdk);
  EXPECT_THAT(support::slurp(vmdk).substr(512, 512), HasSubstr("SPARSE \"disk.vmdk\""));
  EXPECT_EQ(run_program({"qemu-img", "check", vmdk}).exit_status, 0);
}

TEST_F(ConvertDisk, SaysWhichPackageIsMissing) {
  const std::string path = std::getenv("PATH");
  ASSERT_EQ(::setenv("PATH", "/nonexistent", 1), 0);
  const auto refused = convert_disk(disk, DiskFormat::qcow2, parts.directory.path("out"), disk_data::timestamp);
  ASSERT_EQ(::setenv("PATH", path.c_str(), 1), 0);
  EXPECT_THAT(refused, FailsWith(Kind::not_found, HasSubstr("package qemu-utils")));
  EXPECT_FALSE(std::filesystem::exists(parts.directory.path("out")));
}

TEST_F(ConvertDisk, RefusesWhatIsNoDisk) {
  const std::string no_disk = parts.directory.write("text", std::string(100000, 'x'));
  EXPECT_THAT(convert_disk(no_disk, DiskFormat::vhd, parts.directory.path("out"), disk_data::timestamp),
              FailsWith(Kind::not_found, HasSubstr("there is no GPT")));
}

}  // namespace
