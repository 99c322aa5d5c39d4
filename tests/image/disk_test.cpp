#include "image/disk.hpp"

#include <sys/stat.h>

#include <array>
#include <fstream>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "base/json.hpp"
#include "tests/image/disk_data.hpp"
#include "tests/support/files.hpp"
#include "tests/support/program.hpp"
#include "tests/support/small_files.hpp"

namespace {

using base::Kind;
using disk_data::Parts;
using image::assemble_disk;
using support::FailsWith;
using support::run_program;
using support::Succeeds;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

/// Cuts a partition out of the disk into a file.
std::string cut_out(const std::string& disk, const image::Partition& partition, const std::string& to) {
  const auto dd = run_program({"dd", "if=" + disk, "of=" + to, "bs=1M", "status=none",
                               "skip=" + std::to_string(partition.offset_bytes / image::mib),
                               "count=" + std::to_string(partition.size_bytes / image::mib), "conv=sparse"});
  EXPECT_EQ(dd.exit_status, 0) << dd.errors;
  return to;
}

class Disk : public testing::Test {
 protected:
  const Parts parts;
  const std::string disk = parts.disk();
  const image::PartitionTable table =
      image::read_partition_table(**base::FileDevice::open(disk, base::Access::read_only))->table;

  std::string partition(std::uint32_t number) const {
    return cut_out(disk, table.partitions.at(number - 1), parts.directory.path("part" + std::to_string(number)));
  }
};

TEST_F(Disk, PleasesSfdiskAndSgdisk) {
  const auto sfdisk = run_program({"sfdisk", "--verify", disk});
  EXPECT_THAT(sfdisk.output, HasSubstr("No errors detected.\nHeader version: 1.0\nUsing 7 out of 128 partitions."));
  EXPECT_EQ(sfdisk.errors, "");
  EXPECT_THAT(run_program({"sgdisk", "--verify", disk}).output,
              AllOf(HasSubstr("No problems found."), Not(HasSubstr("Warning"))));
}

TEST_F(Disk, HasAnEspThatFsckAndMtoolsAndSbverifyAccept) {
  const std::string esp = partition(image::esp_number);
  const auto fsck = run_program({"/usr/sbin/fsck.vfat", "-n", esp});
  EXPECT_EQ(fsck.exit_status, 0) << fsck.output;
  for (const char* file : {"EFI/Linux/node_1.0.0+3-0.efi", "EFI/BOOT/BOOTX64.EFI"}) {
    const std::string copy = parts.directory.path("copy.efi");
    ASSERT_EQ(run_program({"mcopy", "-n", "-o", "-i", esp, std::string("::/") + file, copy}).exit_status, 0);
    EXPECT_EQ(run_program({"sbverify", "--cert", std::string(disk_data::keys) + "rsa-3072.crt.pem", copy}).exit_status,
              0);
  }
}

TEST_F(Disk, HasARootThatVeritysetupAndFsckErofsAccept) {
  const std::string root = partition(2);
  EXPECT_EQ(support::veritysetup({"verify", root, partition(3), parts.root_hash.hex()}).exit_status, 0);
  EXPECT_EQ(run_program({"fsck.erofs", root}).exit_status, 0);
}

TEST_F(Disk, HasASignatureThatOpensslAccepts) {
  const std::string text = support::slurp(partition(4));
  const auto json = base::parse_json(text.substr(0, text.find('\0')));
  ASSERT_THAT(json, Succeeds());
  EXPECT_EQ((*json)["rootHash"], parts.root_hash.hex());
  const std::string hash = parts.directory.write("hash", parts.root_hash.hex());
  const std::string base64 = parts.directory.write("p7s.b64", (*json)["signature"].get<std::string>());
  const std::string der = parts.directory.path("p7s.der");
  ASSERT_EQ(run_program({"openssl", "base64", "-d", "-A", "-in", base64, "-out", der}).exit_status, 0);
  const std::string certificate = std::string(disk_data::keys) + "rsa-2048.crt.pem";
  const auto verdict = run_program({"openssl", "smime", "-verify", "-binary", "-inform", "der", "-in", der, "-content",
                                    hash, "-certfile", certificate, "-nointern", "-noverify"});
  EXPECT_EQ(verdict.exit_status, 0) << verdict.errors;
}

TEST_F(Disk, IsTakenForABootableImageBySystemdDissect) {
  // Without loop devices it can read the table alone; that the kernel gives us some is not a matter of this test.
  const auto dissect = run_program({"systemd-dissect", "--json=short", disk});
  if (dissect.exit_status != 0) GTEST_SKIP() << "systemd-dissect: " << dissect.errors;
  const auto json = base::parse_json(dissect.output);
  ASSERT_THAT(json, Succeeds());
  const std::string text = json->dump();
  EXPECT_THAT(text, AllOf(HasSubstr("root"), HasSubstr("esp")));
}

TEST_F(Disk, IsSparseAndTheSameEveryTime) {
  struct stat status{};
  ASSERT_EQ(::stat(disk.c_str(), &status), 0);
  EXPECT_EQ(status.st_size, (40 + 2 * (4 + 1 + 1) + 2) * image::mib);
  EXPECT_LT(status.st_blocks * 512, 6 * image::mib);
  EXPECT_EQ(run_program({"cmp", disk, parts.disk("again.raw")}).exit_status, 0);
  const Parts others;  // composed and signed anew
  EXPECT_EQ(run_program({"cmp", disk, others.disk()}).exit_status, 0);
}

TEST_F(Disk, HasNothingInSlotB) {
  for (std::uint32_t number = 5; number <= 7; ++number) {
    EXPECT_EQ(table.partitions[number - 1].label, "_empty");
    EXPECT_EQ(run_program({"cmp", "-n", std::to_string(table.partitions[number - 1].size_bytes), partition(number),
                           "/dev/zero"})
                  .exit_status,
              0);
  }
}

TEST(DiskOf4096, IsReadByTheSameJudges) {
  const Parts parts({.sizes = {.esp_bytes = 260 * image::mib, .root_bytes = 4 * image::mib, .sector_size = 4096}});
  const std::string disk = parts.disk();
  const auto table = image::read_partition_table(**base::FileDevice::open(disk, base::Access::read_only));
  ASSERT_THAT(table, Succeeds());
  EXPECT_EQ(table->table.sector_size, 4096);
  const std::string esp = cut_out(disk, table->table.partitions[0], parts.directory.path("esp"));
  EXPECT_EQ(run_program({"/usr/sbin/fsck.vfat", "-n", esp}).exit_status, 0);
}

TEST(DiskHeadroom, IsCountedFromTheSlot) {
  constexpr std::uint64_t gib = 1024 * image::mib;
  EXPECT_THAT(image::check_headroom(7, 10, 30), Succeeds());
  EXPECT_THAT(image::check_headroom(10, 10, 0), Succeeds());
  EXPECT_THAT(image::check_headroom(1946 * image::mib, 2 * gib, 30),
              FailsWith(Kind::invalid_input,
                        "the root takes 1.9 GiB (2040528896 bytes) of a slot of 2.0 GiB (2147483648 "
                        "bytes): only 4 % is left, 30 % are demanded"));
  EXPECT_THAT(image::check_headroom(8, 10, 30), FailsWith(Kind::invalid_input, HasSubstr("only 20 % is left")));
  EXPECT_THAT(image::check_headroom(11, 10, 0), FailsWith(Kind::invalid_input, HasSubstr("it does not fit")));
  EXPECT_THAT(image::check_headroom(1, 10, 100), FailsWith(Kind::invalid_input, HasSubstr("0 to 99")));
}

TEST(DiskRefuses, WhatDoesNotBelongTogether) {
  const Parts parts;
  const auto other_hash = verity::RootHash::parse(std::string(64, '0')).value();
  struct {
    const char* what;
    std::function<void(image::DiskParts&, image::DiskOptions&)> change;
    Kind kind;
    const char* message;
  } const cases[] = {
      {"headroom", [](auto&, auto& options) { options.headroom_percent = 80; }, Kind::invalid_input, "80 % are"},
      {"slot", [](auto&, auto& options) { options.sizes.root_bytes = 0; }, Kind::invalid_input, "does not fit"},
      {"root hash", [&](auto& one, auto&) { one.root_hash = other_hash; }, Kind::invalid_input, "do not belong"},
      {"signature", [&](auto& one, auto&) { one.signature->root_hash = other_hash; }, Kind::invalid_input,
       "the signature is of the root hash 000"},
      {"hash tree", [](auto& one, auto&) { one.hash_tree = one.root_image; }, Kind::corrupt, "no verity superblock"},
      {"root", [](auto& one, auto&) { one.root_image = one.hash_tree; }, Kind::invalid_input, "is the hash tree of"},
      {"no root", [](auto& one, auto&) { one.root_image += "x"; }, Kind::not_found, "root.erofsx"},
      {"small ESP", [](auto&, auto& options) { options.sizes.esp_bytes = image::mib; }, Kind::invalid_input,
       "the ESP: a FAT32 volume of 1048576 bytes"},
      {"sectors", [](auto&, auto& options) { options.sizes.sector_size = 520; }, Kind::invalid_input, "sectors of 520"},
  };
  for (const auto& one : cases) {
    image::DiskParts changed = parts.parts();
    image::DiskOptions options = parts.options();
    one.change(changed, options);
    EXPECT_THAT(assemble_disk(changed, options, parts.directory.path("disk.raw")),
                FailsWith(one.kind, HasSubstr(one.message)))
        << one.what;
  }
  EXPECT_FALSE(std::filesystem::exists(parts.directory.path("disk.raw")));
}

TEST(DiskRefuses, AFullFileSystemByItsName) {
  const Parts parts;
  const std::string path = parts.directory.path("disk.raw");
  const support::SmallFiles limit(rlim_t{20} << 20);
  EXPECT_THAT(assemble_disk(parts.parts(), parts.options(), path), FailsWith(Kind::no_space, HasSubstr(path)));
  EXPECT_FALSE(std::filesystem::exists(path));
}

}  // namespace
