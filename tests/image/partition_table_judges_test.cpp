// Outside judges of the partition tables: libfdisk as sfdisk and fdisk, libblkid as partx, gptfdisk as sgdisk. Debian
// 12's sfdisk and sgdisk take files for disks of 512 byte sectors; fdisk and partx can be told 4096.

#include <cctype>
#include <memory>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "base/json.hpp"
#include "image/disk_layout.hpp"
#include "tests/support/files.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/program.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

using image::mib;
using image::Partition;
using image::PartitionTable;
using support::Holds;
using support::run_program;
using support::Succeeds;
using testing::AllOf;
using testing::Field;
using testing::HasSubstr;
using testing::Not;

std::string upper(std::string text) {
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

std::string run_with_input(std::vector<std::string> argv, std::string input) {
  const std::string name = argv.front();
  const auto result = base::run({.argv = std::move(argv), .input = std::move(input)});
  EXPECT_THAT(result, Succeeds());
  if (!result) return "";
  EXPECT_EQ(result->exit_status, 0) << name << ": " << result->errors;
  return result->output + result->errors;
}

image::DiskLayout layout(const image::LayoutSizes& sizes) {
  const auto identity = *image::ImageIdentity::of("node", "1.0.0");
  const auto root_hash = *verity::RootHash::parse("2e534ef0107d592d1706ac38ad58596b85ef3375d360a6d669f974792df5cb5a");
  auto layout = *image::design_layout(identity, root_hash, mib, sizes);
  layout.table.partitions[0].label = "größe";  // what our labels never have, but others' may
  return layout;
}

class Judges : public testing::Test {
 protected:
  /// A disk image with this layout.
  std::string written(const image::DiskLayout& layout, const char* name = "disk") {
    const std::string path = directory.path(name);
    const auto disk = base::FileDevice::create(path, layout.size_bytes);
    EXPECT_THAT(disk, Succeeds());
    EXPECT_THAT(image::write_partition_table(**disk, layout.table), Succeeds());
    return path;
  }
  base::Result<image::TableOnDisk> read(const std::string& path) {
    TRY(const auto disk, base::FileDevice::open(path, base::Access::read_only));
    return image::read_partition_table(*disk);
  }

  support::TemporaryDirectory directory;
};

/// As libfdisk writes flags above bit 47.
std::string flag_words(std::uint64_t flags) {
  std::string words;
  for (unsigned bit = 48; bit < 64; ++bit) {
    if ((flags >> bit & 1) != 0) words += (words.empty() ? "GUID:" : ",") + std::to_string(bit);
  }
  return words;
}

/// What is not ASCII, as util-linux prints it.
std::string escaped(const std::string& label) {
  std::string text;
  for (const char c : label) {
    const auto byte = static_cast<unsigned char>(c);
    text += byte < 0x80 ? std::string(1, c) : fmt::format("\\x{:02x}", byte);
  }
  return text;
}

/// A line of a dump: "name2 : start= 1050624, size= 4194304, type=..., uuid=..., name="...", attrs="GUID:60"".
std::string script_line(const Partition& one, std::uint32_t sector_size, const std::string& label) {
  std::string line =
      fmt::format("start={:>12}, size={:>12}, type={}, uuid={}, name=\"{}\"", one.offset_bytes / sector_size,
                  one.size_bytes / sector_size, upper(one.type.text()), upper(one.uuid.text()), label);
  if (one.flags != 0) line += ", attrs=\"" + flag_words(one.flags) + "\"";
  return line;
}

std::string dump_line(const Partition& one, std::uint32_t sector_size) {
  return script_line(one, sector_size, escaped(one.label)) + "\n";
}

/// The layout as a script that makes libfdisk write exactly it.
std::string script(const image::DiskLayout& layout) {
  std::string text = fmt::format("label: gpt\nlabel-id: {}\nsector-size: {}\n", layout.table.disk_uuid.text(),
                                 layout.table.sector_size);
  for (const Partition& one : layout.table.partitions) {
    text += fmt::format("{} : {}\n", one.number, script_line(one, layout.table.sector_size, one.label));
  }
  return text;
}

TEST_F(Judges, SfdiskFindsNoErrorAndReadsBackExactlyWhatWeWrote) {
  const image::DiskLayout ours = layout({});
  const std::string disk = written(ours);
  const auto verdict = run_program({"sfdisk", "--verify", disk});
  EXPECT_EQ(verdict.exit_status, 0);
  EXPECT_THAT(verdict.output, HasSubstr("No errors detected.\nHeader version: 1.0\nUsing 7 out of 128 partitions."));
  EXPECT_EQ(verdict.errors, "");

  const auto json = base::parse_json(run_program({"sfdisk", "--json", disk}).output);
  ASSERT_THAT(json, Succeeds());
  const base::Json& table = (*json)["partitiontable"];
  EXPECT_EQ(table["label"], "gpt");
  EXPECT_EQ(table["id"], upper(ours.table.disk_uuid.text()));
  EXPECT_EQ(table["sectorsize"], 512);
  ASSERT_EQ(table["partitions"].size(), ours.table.partitions.size());
  for (std::size_t i = 0; i < ours.table.partitions.size(); ++i) {
    const Partition& one = ours.table.partitions[i];
    const base::Json& theirs = table["partitions"][i];
    EXPECT_EQ(theirs["node"], disk + std::to_string(one.number));
    EXPECT_EQ(theirs["start"], one.offset_bytes / 512);
    EXPECT_EQ(theirs["size"], one.size_bytes / 512);
    EXPECT_EQ(theirs["type"], upper(one.type.text()));
    EXPECT_EQ(theirs["uuid"], upper(one.uuid.text()));
    EXPECT_EQ(theirs["name"], one.label);
    EXPECT_EQ(theirs.value("attrs", ""), flag_words(one.flags));
  }
  const std::string dump = run_program({"sfdisk", "--dump", disk}).output;
  for (const Partition& one : ours.table.partitions) EXPECT_THAT(dump, HasSubstr(dump_line(one, 512)));
}

TEST_F(Judges, FdiskFindsNoErrorAndReadsBackExactlyWhatWeWroteInSectorsOf4096) {
  const image::DiskLayout ours = layout({.sector_size = 4096});
  const std::string dump = directory.path("dump");
  const std::string said = run_with_input({"fdisk", "-b", "4096", written(ours)}, "v\nO\n" + dump + "\nq\n");
  EXPECT_THAT(said, AllOf(HasSubstr("No errors detected.\nHeader version: 1.0\nUsing 7 out of 128 partitions."),
                          Not(HasSubstr("mismatch")), Not(HasSubstr("corrupt"))));
  const std::string text = support::slurp(dump);
  EXPECT_THAT(text, HasSubstr("label-id: " + upper(ours.table.disk_uuid.text())));
  for (const Partition& one : ours.table.partitions) EXPECT_THAT(text, HasSubstr(dump_line(one, 4096)));
}

TEST_F(Judges, PartxSeesTheSamePartitionsWithEitherSectorSize) {
  for (const std::uint32_t sector_size : {512U, 4096U}) {
    const image::DiskLayout ours = layout({.sector_size = sector_size});
    const auto seen = run_program({"partx", "--sector-size", std::to_string(sector_size), "--pairs", "--output",
                                   "NR,START,SECTORS,NAME,UUID,TYPE,FLAGS,SCHEME", written(ours)});
    for (const Partition& one : ours.table.partitions) {
      // partx counts in 512 bytes whatever the sector size.
      EXPECT_THAT(seen.output,
                  HasSubstr(fmt::format(
                      R"(NR="{}" START="{}" SECTORS="{}" NAME="{}" UUID="{}" TYPE="{}" FLAGS="{:#x}" SCHEME="gpt")",
                      one.number, one.offset_bytes / 512, one.size_bytes / 512, escaped(one.label), one.uuid.text(),
                      one.type.text(), one.flags)));
    }
  }
}

TEST_F(Judges, SgdiskFindsNothingToSayAndSeesLabelsUuidsTypesAndFlags) {
  const image::DiskLayout ours = layout({});
  const std::string disk = written(ours);
  const auto verdict = run_program({"sgdisk", "--verify", disk});
  EXPECT_EQ(verdict.exit_status, 0);
  EXPECT_THAT(verdict.output, AllOf(HasSubstr("No problems found."), Not(HasSubstr("Warning"))));
  EXPECT_THAT(run_program({"sgdisk", "-p", disk}).output,
              HasSubstr("Disk identifier (GUID): " + upper(ours.table.disk_uuid.text())));
  for (const Partition& one : ours.table.partitions) {
    EXPECT_THAT(run_program({"sgdisk", "-i", std::to_string(one.number), disk}).output,
                AllOf(HasSubstr("Partition GUID code: " + upper(one.type.text())),
                      HasSubstr("Partition unique GUID: " + upper(one.uuid.text())),
                      HasSubstr(fmt::format("First sector: {} ", one.offset_bytes / 512)),
                      HasSubstr(fmt::format("Last sector: {} ", (one.offset_bytes + one.size_bytes) / 512 - 1)),
                      HasSubstr(fmt::format("Partition size: {} sectors", one.size_bytes / 512)),
                      HasSubstr(fmt::format("Attribute flags: {:016X}", one.flags)),
                      HasSubstr("Partition name: '" + one.label + "'")));
  }
}

TEST_F(Judges, SgdiskWritesTheSameBytes) {
  const image::DiskLayout ours = layout({.esp_bytes = mib, .root_bytes = mib});
  const std::string theirs = directory.path("theirs");
  ASSERT_THAT(base::FileDevice::create(theirs, ours.size_bytes), Succeeds());
  std::vector<std::string> argv = {"sgdisk", "--disk-guid=" + ours.table.disk_uuid.text()};
  for (const Partition& one : ours.table.partitions) {
    const std::string number = std::to_string(one.number) + ":";
    argv.insert(argv.end(), {"--new=" + number + std::to_string(one.offset_bytes / 512) + ":" +
                                 std::to_string((one.offset_bytes + one.size_bytes) / 512 - 1),
                             "--typecode=" + number + one.type.text(), "--partition-guid=" + number + one.uuid.text(),
                             "--change-name=" + number + one.label,
                             "--attributes=" + number + "=:" + fmt::format("{:x}", one.flags)});
  }
  argv.push_back(theirs);
  const auto result = run_program(std::move(argv));
  ASSERT_EQ(result.exit_status, 0) << result.output << result.errors;
  // All but the MBR: sgdisk gives the end of the disk in cylinders, heads and sectors of a geometry that it assumes; we
  // write ff ff ff, "cannot be said", as libfdisk does.
  EXPECT_EQ(run_program({"cmp", "--ignore-initial=512", written(ours), theirs}).output, "");
}

TEST_F(Judges, WeReadWhatSfdiskAndFdiskWrite) {
  const image::DiskLayout small = layout({});
  const std::string disk = directory.path("theirs");
  ASSERT_THAT(base::FileDevice::create(disk, small.size_bytes), Succeeds());
  run_with_input({"sfdisk", disk}, script(small));
  EXPECT_THAT(read(disk), Holds(AllOf(Field(&image::TableOnDisk::table, small.table),
                                      Field(&image::TableOnDisk::copies, image::TableCopies::agree))));

  const image::DiskLayout large = layout({.sector_size = 4096});
  const std::string disk_4096 = directory.path("theirs-4096");
  ASSERT_THAT(base::FileDevice::create(disk_4096, large.size_bytes), Succeeds());
  const std::string file = directory.write("script", script(large));
  run_with_input({"fdisk", "-b", "4096", disk_4096}, "I\n" + file + "\nw\n");
  EXPECT_THAT(read(disk_4096), Holds(AllOf(Field(&image::TableOnDisk::table, large.table),
                                           Field(&image::TableOnDisk::copies, image::TableCopies::agree))));
}

TEST_F(Judges, ATableOfSfdiskThatWeChangedDiffersInNothingElse) {
  const image::DiskLayout ours = layout({});
  const std::string disk = directory.path("theirs");
  ASSERT_THAT(base::FileDevice::create(disk, ours.size_bytes), Succeeds());
  run_with_input({"sfdisk", disk}, script(ours));
  std::string expected = run_program({"sfdisk", "--dump", disk}).output;
  {
    const auto device = base::FileDevice::open(disk, base::Access::read_write);
    const std::vector<image::PartitionChange> changes = {{.number = 1, .label = "boot"}};
    ASSERT_THAT(image::change_partitions(**device, changes), Succeeds());
  }
  const std::string old_label = escaped(ours.table.partitions[0].label);
  ASSERT_THAT(expected, HasSubstr(old_label));
  expected.replace(expected.find(old_label), old_label.size(), "boot");
  EXPECT_EQ(run_program({"sfdisk", "--dump", disk}).output, expected);  // its first-lba of 2048 too
  EXPECT_THAT(run_program({"sfdisk", "--verify", disk}).output, HasSubstr("No errors detected."));
}

TEST_F(Judges, AgreeThatEitherCopyIsEnough) {
  const image::DiskLayout ours = layout({});
  for (const std::uint64_t header : {std::uint64_t{512}, ours.size_bytes - 512}) {
    const std::string disk = written(ours);
    support::flip_byte(disk, header + 40);
    EXPECT_THAT(read(disk), Holds(Field(&image::TableOnDisk::table, ours.table)));
    EXPECT_THAT(run_program({"sfdisk", "--dump", disk}).output, HasSubstr(dump_line(ours.table.partitions[6], 512)));
    const auto device = base::FileDevice::open(disk, base::Access::read_write);
    EXPECT_THAT(image::change_partitions(**device, {}), Succeeds());  // writes both copies anew
    EXPECT_THAT(run_program({"sgdisk", "--verify", disk}).output, HasSubstr("No problems found."));
  }
}

}  // namespace
