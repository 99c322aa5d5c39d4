#include "image/fat.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "image/fat_geometry.hpp"
#include "image/fat_name.hpp"
#include "tests/support/files.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/pattern.hpp"
#include "tests/support/program.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

using base::Kind;
using image::FatContent;
using image::FatEntry;
using image::FatVolume;
using support::FailsWith;
using support::Holds;
using support::run_program;
using support::Succeeds;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::uint64_t mib = std::uint64_t{1} << 20;

// date -u -d '2026-03-01 12:34:57' +%s
constexpr std::chrono::sys_seconds afternoon{std::chrono::seconds(1772368497)};

FatVolume volume(std::uint64_t size_bytes = 64 * mib, std::uint32_t sector_size = 512) {
  return {
      .id = 0x12345678, .label = "ESP", .size_bytes = size_bytes, .sector_size = sector_size, .timestamp = afternoon};
}

FatEntry file(std::string path, std::string content = "content\n") {
  return {.path = std::move(path), .content = FatContent::owned(std::move(content))};
}

std::vector<FatEntry> files(std::initializer_list<const char*> paths) {
  std::vector<FatEntry> entries;
  for (const char* path : paths) entries.push_back(file(path));
  return entries;
}

/// A volume in a file, judged by other people's tools.
class Image {
 public:
  Image(const FatVolume& volume, const std::vector<FatEntry>& entries, std::uint64_t offset = 0) {
    auto device = base::FileDevice::create(path(), offset + volume.size_bytes);
    const auto result = image::write_fat(volume, entries, **device, offset);
    EXPECT_THAT(result, Succeeds());
    if (result) summary_ = *result;
    drive_ = path() + "@@" + std::to_string(offset);
    // mtools takes sectors of 4096 bytes only without its checks against floppy disks.
    ::setenv("MTOOLS_SKIP_CHECK", "1", 1);
    ::setenv("LC_ALL", "C.UTF-8", 1);
  }

  std::string path() const { return directory_.path("image"); }
  const image::FatSummary& summary() const { return summary_; }

  /// Everything that fsck.vfat says; it must find nothing.
  std::string checked_by_fsck() const {
    const auto result = run_program({"/usr/sbin/fsck.vfat", "-n", "-v", path()});
    EXPECT_EQ(result.exit_status, 0) << result.output << result.errors;
    return result.output;
  }
  /// All paths, each with the ending slash of a directory, as mdir finds them: level by level, each in its order on
  /// disk.
  std::vector<std::string> paths() const {
    const auto result = run_program({"mdir", "-i", drive_, "-/", "-b", "-a", "::"});
    EXPECT_EQ(result.exit_status, 0) << result.errors;
    std::vector<std::string> lines;
    for (std::string_view rest = result.output; !rest.empty();) {
      const std::size_t end = rest.find('\n');
      lines.emplace_back(rest.substr(0, end).substr(std::string_view("::/").size()));
      rest.remove_prefix(end + 1);
    }
    return lines;
  }
  std::string mtool(std::vector<std::string> command) const {
    command.insert(command.begin() + 1, {"-i", drive_});
    const auto result = run_program(command);
    EXPECT_EQ(result.exit_status, 0) << result.errors;
    return result.output;
  }
  std::string content(const std::string& name) const {
    const std::string to = directory_.path("copied");
    mtool({"mcopy", "-n", "-o", "::/" + name, to});
    return support::slurp(to);
  }

 private:
  support::TemporaryDirectory directory_;
  image::FatSummary summary_;
  std::string drive_;
};

/// Remembers only what was written, in order; for volumes too large for a file.
class WriteLog final : public base::BlockDevice {
 public:
  explicit WriteLog(std::uint64_t size_bytes) : size_bytes_(size_bytes) {}

  const std::string& name() const override { return name_; }
  std::uint64_t size_bytes() const override { return size_bytes_; }
  base::Result<> read(std::uint64_t /*offset*/, base::MutableByteView /*into*/) const override {
    return base::fail(Kind::io, "nobody should read");
  }
  base::Result<> write(std::uint64_t offset, base::ByteView from) override {
    EXPECT_LE(offset + from.size(), size_bytes_);
    text_ += std::to_string(offset) + ":" + std::string(base::text_of(from));
    return base::ok();
  }
  base::Result<> flush() override { return base::ok(); }

  const std::string& text() const { return text_; }

 private:
  std::uint64_t size_bytes_;
  std::string name_ = "log";
  std::string text_;
};

base::Result<image::FatSummary> try_to_write(const FatVolume& what, const std::vector<FatEntry>& entries) {
  WriteLog log(what.size_bytes);
  return image::write_fat(what, entries, log, 0);
}

TEST(Fat, IsReadByDosfstoolsAndMtools) {
  const std::string large(3 * mib + 17, 'x');
  const Image image(volume(), {file("loader/loader.conf", "timeout 0\n"), file("EFI/Linux/node_1.0.0+3-0.efi", large),
                               file("EFI/BOOT/BOOTX64.EFI"), file("empty", "")});
  EXPECT_THAT(image.checked_by_fsck(),
              AllOf(HasSubstr("512 bytes per logical sector"), HasSubstr("512 bytes per cluster"), HasSubstr("2 FATs"),
                    HasSubstr(std::to_string(image.summary().used_clusters) + "/" +
                              std::to_string(image.summary().clusters) + " clusters")));
  EXPECT_THAT(image.paths(), ElementsAre("EFI/", "empty", "loader/", "EFI/BOOT/", "EFI/Linux/", "EFI/BOOT/BOOTX64.EFI",
                                         "EFI/Linux/node_1.0.0+3-0.efi", "loader/loader.conf"));
  EXPECT_EQ(image.content("loader/loader.conf"), "timeout 0\n");
  EXPECT_EQ(image.content("EFI/Linux/node_1.0.0+3-0.efi"), large);
  EXPECT_EQ(image.content("empty"), "");
  EXPECT_THAT(image.mtool({"minfo", "::"}),
              AllOf(HasSubstr("disk label=\"ESP        \""), HasSubstr("serial number: 12345678"),
                    HasSubstr("big size: 131072 sectors")));
}

TEST(Fat, HasSectorsOf4096BytesWhereTheDiskHas) {
  const std::string content(10000, 'y');
  const Image image(volume(272 * mib, 4096), {file("EFI/BOOT/BOOTX64.EFI", content)});
  EXPECT_THAT(image.checked_by_fsck(), HasSubstr("4096 bytes per logical sector"));
  EXPECT_EQ(image.content("EFI/BOOT/BOOTX64.EFI"), content);
}

TEST(Fat, LiesAnywhereOnADevice) {
  const Image image(volume(), {file("EFI/BOOT/BOOTX64.EFI", "here")}, mib);
  EXPECT_EQ(image.content("EFI/BOOT/BOOTX64.EFI"), "here");
  EXPECT_EQ(support::slurp(image.path()).substr(0, mib), std::string(mib, '\0'));
}

TEST(Fat, TakesSparseSpaceForWhatIsZero) {
  const Image image(volume(512 * mib), {file("EFI/BOOT/BOOTX64.EFI")});
  struct stat status{};
  ASSERT_EQ(::stat(image.path().c_str(), &status), 0);
  EXPECT_LT(status.st_blocks * 512, 128 * 1024);
  EXPECT_EQ(image.summary().cluster_bytes, 4096);
  image.checked_by_fsck();
}

TEST(Fat, KeepsNamesOfEveryKind) {
  const std::vector<std::string> names = {"$9[name]",      ".hidden",
                                          "BOOTX64.EFI",   "BootX64.efi.sig",
                                          "LOWER.txt",     "MixedCase",
                                          "README.md",     "UPPER",
                                          "a b c",         "a.b.c",
                                          "exactly13char", "grubx64.efi",
                                          "loader.conf",   "node_1.0.0+3-0.efi",
                                          "x,;=[]+.long",  "~1",
                                          "Ünïcodé.txt",   "русский.txt",
                                          "日本語",        std::string(255, 'n'),
                                          "lower8.EXT",    "twenty-six characters...xyz"};
  std::vector<FatEntry> entries;
  for (const std::string& name : names) entries.push_back(file("d/" + name, name));
  const Image image(volume(), entries);
  image.checked_by_fsck();
  std::vector<std::string> expected = {"d/"};
  for (const std::string& name : names) expected.push_back("d/" + name);
  std::ranges::sort(expected);
  EXPECT_EQ(image.paths(), expected);
  const support::TemporaryDirectory copied;
  image.mtool({"mcopy", "-s", "-n", "::/d", copied.path()});
  for (const std::string& name : names) EXPECT_EQ(support::slurp(copied.path("d/" + name)), name);
}

TEST(Fat, FillsADirectoryOfManyClusters) {
  std::vector<FatEntry> entries;
  for (int i = 0; i < 1500; ++i) entries.push_back(file("d/a file with a long name, number " + std::to_string(i), ""));
  const Image image(volume(), entries);
  image.checked_by_fsck();
  EXPECT_EQ(image.paths().size(), 1501);
}

TEST(Fat, NeedsNoLabelAndNoFiles) {
  FatVolume bare = volume();
  bare.label = "";
  const Image image(bare, {});
  EXPECT_THAT(image.checked_by_fsck(), HasSubstr("0 files"));
  EXPECT_EQ(image.summary().used_clusters, 1);  // the root directory
}

TEST(Fat, UsesTheLastClusterAndNotOneMore) {
  // 64 MiB: 131072 sectors, 32 reserved, tables of 1009 sectors each; so 129022 clusters, one of them the root's.
  constexpr std::uint64_t room = 129021 * 512;
  const auto zeros = [](std::uint64_t size) {
    return FatContent::source(size, [](std::uint64_t, base::MutableByteView into) {
      std::ranges::fill(into, std::byte{1});
      return base::ok();
    });
  };
  const Image image(volume(), {{.path = "all", .content = zeros(room)}});
  EXPECT_THAT(image.checked_by_fsck(), HasSubstr("129022/129022 clusters"));
  EXPECT_THAT(try_to_write(volume(), {{.path = "all", .content = zeros(room + 1)}}),
              FailsWith(Kind::no_space, AllOf(HasSubstr("take 66059776 bytes"), HasSubstr("has room for 66059264"))));
}

TEST(Fat, StampsEverythingWithOneTimeInUtc) {
  const Image image(volume(), files({"EFI/BOOT/BOOTX64.EFI"}));
  EXPECT_THAT(image.mtool({"mdir", "::/EFI/BOOT"}), HasSubstr("2026-03-01  12:34"));
}

TEST(Fat, MovesTimesThatItCannotHoldToTheNearest) {
  FatVolume early = volume();
  early.timestamp = {};
  EXPECT_THAT(Image(early, files({"f"})).mtool({"mdir", "::"}), HasSubstr("1980-01-01   0:00"));
  FatVolume late = volume();
  late.timestamp = std::chrono::sys_days(std::chrono::year(2200) / 1 / 1);
  EXPECT_THAT(Image(late, files({"f"})).mtool({"mdir", "::"}), HasSubstr("2107-12-31  23:59"));
}

TEST(Fat, HasTheSameBytesWhateverTheOrderTheTimeZoneAndTheUmask) {
  std::vector<FatEntry> entries = files(
      {"EFI/BOOT/BOOTX64.EFI", "EFI/Linux/a long name 1.efi", "EFI/Linux/a long name 2.efi", "loader/loader.conf"});
  WriteLog here(64 * mib);
  ASSERT_THAT(image::write_fat(volume(), entries, here, 0), Succeeds());

  std::ranges::reverse(entries);
  ::setenv("TZ", "Pacific/Kiritimati", 1);
  ::tzset();
  const mode_t mask = ::umask(0777);
  WriteLog there(64 * mib);
  const auto result = image::write_fat(volume(), entries, there, 0);
  ::umask(mask);
  ::unsetenv("TZ");
  ::tzset();
  ASSERT_THAT(result, Succeeds());
  EXPECT_EQ(here.text(), there.text());
}

TEST(Fat, RefusesWhatItCannotHold) {
  std::string too_deep;
  for (int i = 0; i < 600; ++i) too_deep += "d/";
  struct {
    const char* what;
    std::vector<FatEntry> entries;
    const char* message;
  } const cases[] = {
      {"empty path", files({""}), "a name is empty"},
      {"absolute path", files({"/EFI"}), "a name is empty"},
      {"slash at the end", files({"EFI/"}), "a name is empty"},
      {"way out", files({"../EFI"}), "\"../EFI\": the name \"..\" has"},
      {"colon", files({"a:b"}), "holds ':'"},
      {"backslash", files({"EFI\\BOOT"}), "holds '\\'"},
      {"control character", files({"a\nb"}), "a control character"},
      {"no UTF-8", files({"\xff"}), "no UTF-8"},
      {"overlong UTF-8", files({"\xc0\xaf"}), "no UTF-8"},
      {"overlong UTF-8 of three bytes", files({"\xe0\x80\xaf"}), "no UTF-8"},
      {"a surrogate", files({"\xed\xa0\x80"}), "no UTF-8"},
      {"beyond Unicode", files({"\xf4\x90\x80\x80"}), "no UTF-8"},
      {"UTF-8 cut short", files({"a\xe6\x97"}), "no UTF-8"},
      {"dot at the end", files({"name."}), "a dot at its end"},
      {"blank at the end", files({"name "}), "a blank at an end"},
      {"blank in front", files({" name"}), "a blank at an end"},
      {"too long", {file(std::string(256, 'n'))}, "256 UTF-16 units; FAT holds 255"},
      {"too deep", {file(too_deep + "f")}, "a path of 1201 bytes; 1024 are allowed"},
      {"twice", files({"a", "a"}), "\"a\" is given twice"},
      {"other case", files({"EFI/Readme", "EFI/README"}), "\"EFI\": \"README\" and \"Readme\" are one name"},
      {"directory in other case", files({"EFI/a", "efi/b"}), "\"EFI\" and \"efi\" are one name"},
      {"other case in Greek", files({"λόγος", "Λόγος"}), "are one name"},
      {"file as a directory", files({"a", "a/b"}), "\"a\" is both"},
      {"directory as a file", files({"a/b", "a"}), "\"a\" is both"},
      {"directory entry over a file", {file("a"), {.path = "a"}}, "\"a\" is both"},
      {"4 GiB", {{.path = "a", .content = FatContent::source(std::uint64_t{1} << 32, nullptr)}}, "less than 4 GiB"},
  };
  for (const auto& one : cases) {
    EXPECT_THAT(try_to_write(volume(), one.entries), FailsWith(Kind::invalid_input, HasSubstr(one.message)))
        << one.what;
  }
}

TEST(Fat, RefusesADirectoryOfTooManyEntries) {
  std::vector<FatEntry> entries;
  for (int i = 0; i < 32768; ++i)
    entries.push_back(file("d/long name " + std::to_string(i), ""));  // 2 or 3 entries each
  EXPECT_THAT(try_to_write(volume(), entries), FailsWith(Kind::invalid_input, HasSubstr("FAT holds 65536")));
}

TEST(Fat, RefusesAVolumeThatIsNoFat32) {
  struct {
    const char* what;
    std::uint64_t size_bytes;
    std::uint32_t sector_size;
    const char* message;
  } const cases[] = {
      {"too small", 34098688 - 512, 512,
       "a FAT32 volume of 34098176 bytes; with sectors of 512 bytes it has at least 34098688"},
      {"too small for large sectors", 64 * mib, 4096,
       "67108864 bytes; with sectors of 4096 bytes it has at least 269119488"},
      {"sectors of 2048", 64 * mib, 2048, "sectors of 2048 bytes; 512 and 4096"},
      {"half a sector", 64 * mib + 256, 512, "no multiple of its sectors of 512"},
      {"too large", (std::uint64_t{1} << 41) + 512, 512, "beyond what FAT32 can count"},
      {"too large with large sectors", std::uint64_t{1} << 44, 4096, "beyond what FAT32 can count"},
  };
  for (const auto& one : cases) {
    EXPECT_THAT(try_to_write(volume(one.size_bytes, one.sector_size), {}),
                FailsWith(Kind::invalid_input, HasSubstr(one.message)))
        << one.what;
  }
}

TEST(Fat, RefusesALabelThatDirectoriesCannotHold) {
  for (const char* label : {"lower", "TWELVE CHARS", "A.B", " ESP", "\xc3\x9c"}) {
    FatVolume bad = volume();
    bad.label = label;
    EXPECT_THAT(try_to_write(bad, {}), FailsWith(Kind::invalid_input, HasSubstr("label"))) << label;
  }
}

TEST(Fat, RefusesADeviceThatEndsTooEarly) {
  WriteLog small(64 * mib);
  EXPECT_THAT(image::write_fat(volume(), {}, small, 512),
              FailsWith(Kind::no_space, HasSubstr("67108864 bytes at offset 512 does not fit on log of 67108864")));
}

TEST(Fat, PassesOnWhatASourceFailsWith) {
  const auto broken = FatContent::source(
      100, [](std::uint64_t, base::MutableByteView) -> base::Result<> { return base::fail(Kind::io, "bad sector"); });
  EXPECT_THAT(try_to_write(volume(), {{.path = "EFI/x", .content = broken}}),
              FailsWith(Kind::io, testing::Eq("writing \"EFI/x\": bad sector")));
}

TEST(FatGeometry, CountsAsFat32AtEverySize) {
  for (const std::uint32_t sector : {512U, 4096U}) {
    std::vector<std::uint64_t> sizes = {image::min_fat_bytes(sector), 257 * mib, 260 * mib, 260 * mib + 4096,
                                        512 * mib};
    for (const std::uint64_t gib : {1, 8, 9, 16, 17, 32, 33, 2047}) sizes.push_back(gib * 1024 * mib + sector);
    for (const std::uint64_t size : sizes) {
      if (size < image::min_fat_bytes(sector)) continue;
      SCOPED_TRACE(std::to_string(size) + " bytes in sectors of " + std::to_string(sector));
      const auto geometry = image::FatGeometry::of(size, sector);
      ASSERT_THAT(geometry, Succeeds());
      EXPECT_GE(geometry->clusters, 65525 + 16);
      EXPECT_GE(std::uint64_t{geometry->table_sectors} * sector / 4, geometry->clusters + 2);
      EXPECT_EQ(geometry->cluster_offset(2) % geometry->cluster_bytes(), 0);
      EXPECT_LE(geometry->cluster_offset(2 + geometry->clusters), size);
      EXPECT_GT(geometry->cluster_offset(2 + geometry->clusters) + geometry->cluster_bytes(), size) << "lost space";
    }
  }
}

TEST(FatName, GivesShortNamesThatNothingElseIsCalled) {
  const std::string_view names[] = {"LONGFI~1.TXT",    "Mixed.txt", "a long file.txt", "b.tar.gz",  "long file 1.txt",
                                    "long file 2.txt", "lower.txt", "longfi~2.Txt",    "日本語.txt"};
  const auto result = image::name_fat_directory(names);
  ASSERT_THAT(result, Succeeds());
  std::vector<std::string> short_names;
  for (const auto& name : *result) short_names.emplace_back(name.short_name.data(), name.short_name.size());
  EXPECT_THAT(short_names, ElementsAre("LONGFI~1TXT", "MIXED   TXT", "ALONGF~1TXT", "BTAR~1  GZ ", "LONGFI~3TXT",
                                       "LONGFI~4TXT", "LOWER   TXT", "LONGFI~2TXT", "___~1   TXT"));
  EXPECT_EQ((*result)[6].case_flags, 0x18);
  EXPECT_EQ((*result)[6].entries(), 1);
  EXPECT_EQ((*result)[1].entries(), 2);
}

TEST(FatName, DividesCharactersBeyond16BitsInTwo) {
  const std::string_view names[] = {"😀.txt"};  // mtools knows no such thing; expected: RFC 2781
  const auto result = image::name_fat_directory(names);
  ASSERT_THAT(result, Succeeds());
  EXPECT_EQ((*result)[0].long_name, u"\xd83d\xde00.txt");
}

TEST(FatName, ShortensTheStemForLargeNumbers) {
  std::vector<std::string> names;
  for (int i = 1000; i < 1000 + 120; ++i) names.push_back("a long name " + std::to_string(i));
  const std::vector<std::string_view> views(names.begin(), names.end());
  const auto result = image::name_fat_directory(views);
  ASSERT_THAT(result, Succeeds());
  const auto text = [&](std::size_t i) { return std::string((*result)[i].short_name.data(), 11); };
  EXPECT_EQ(text(8), "ALONGN~9   ");
  EXPECT_EQ(text(9), "ALONG~10   ");
  EXPECT_EQ(text(119), "ALON~120   ");
}

}  // namespace
