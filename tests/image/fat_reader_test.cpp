#include "image/fat_reader.hpp"

#include <functional>
#include <map>

#include <gmock/gmock.h>

#include "image/fat.hpp"
#include "image/fat_geometry.hpp"
#include "tests/support/files.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/pattern.hpp"
#include "tests/support/program.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

using base::FileDevice;
using base::Kind;
using image::FatReader;
using support::FailsWith;
using support::Holds;
using support::run_program;
using support::Succeeds;
using testing::HasSubstr;

constexpr std::uint64_t volume_size = std::uint64_t{34} << 20;
constexpr std::size_t max_file = std::size_t{16} << 20;

/// What a reader finds: contents by path, "(directory)" for one.
std::map<std::string, std::string> contents_of(const base::BlockDevice& volume) {
  std::map<std::string, std::string> contents;
  const auto reader = FatReader::open(volume);
  EXPECT_THAT(reader, Succeeds());
  const auto nodes = reader->list();
  EXPECT_THAT(nodes, Succeeds());
  for (const auto& node : *nodes) {
    std::string text = "(directory)";
    if (!node.is_directory) {
      const auto content = reader->read(node, max_file);
      EXPECT_THAT(content, Succeeds());
      text = base::text_of(*content);
    }
    contents[node.path] = text;
  }
  return contents;
}

std::string noise(std::size_t size) {
  return std::string(base::text_of(support::pattern(size)));
}

TEST(FatReader, ReadsWhatMtoolsWrote) {
  const support::TemporaryDirectory directory;
  const std::string volume = directory.path("volume");
  const std::string large = directory.write("large", noise(1234567));
  const std::string small = directory.write("small", "small");
  ASSERT_EQ(
      run_program({"/usr/sbin/mkfs.vfat", "-C", "-F", "32", "-s", "1", "-i", "1234abcd", volume, "40960"}).exit_status,
      0);
  ASSERT_EQ(run_program({"mmd", "-i", volume, "::/EFI", "::/EFI/Linux", "::/empty"}).exit_status, 0);
  std::map<std::string, std::string> expected = {
      {"EFI", "(directory)"}, {"EFI/Linux", "(directory)"}, {"empty", "(directory)"}};
  for (const char* name :
       {"EFI/Linux/node_1.0.0+3-0.efi", "EFI/BOOTX64.EFI", "lower.txt", "Mixed.Case", "größe und länger",
        "a name of more than thirteen units and then some.text", "no-extension"}) {
    const bool is_large = std::string_view(name).starts_with("EFI/L");
    ASSERT_EQ(run_program(
                  {"env", "LC_ALL=C.UTF-8", "mcopy", "-i", volume, is_large ? large : small, std::string("::/") + name})
                  .exit_status,
              0);
    expected[name] = is_large ? noise(1234567) : "small";
  }
  ASSERT_EQ(run_program({"mdel", "-i", volume, "::/lower.txt"}).exit_status, 0);
  expected.erase("lower.txt");
  // mtools keeps a short name in code page 850 alone, where it fits.
  ASSERT_EQ(run_program({"env", "LC_ALL=C.UTF-8", "mcopy", "-i", volume, small, "::/größe"}).exit_status, 0);
  expected["gr__e"] = "small";
  // A directory of several clusters, in pieces.
  ASSERT_EQ(run_program({"mmd", "-i", volume, "::/many"}).exit_status, 0);
  expected["many"] = "(directory)";
  for (int i = 0; i < 40; ++i) {
    const std::string name = "many/file with a long name " + std::to_string(i);
    ASSERT_EQ(run_program({"mcopy", "-i", volume, small, "::/" + name}).exit_status, 0);
    expected[name] = "small";
  }
  const auto device = FileDevice::open(volume, base::Access::read_only);
  EXPECT_EQ(contents_of(**device), expected);
  EXPECT_EQ(FatReader::open(**device)->volume_id(), 0x1234abcd);
}

TEST(FatReader, ReadsWhatWeWroteWithEitherSectorSize) {
  const support::TemporaryDirectory directory;
  const std::string large = noise(3000000);
  const std::vector<image::FatEntry> entries = {
      {.path = "EFI/Linux/node_1.0.0+3-0.efi", .content = image::FatContent::owned(large)},
      {.path = "EFI/empty.efi", .content = image::FatContent::owned("")},
      {.path = "loader"},
      {.path = "größe 😀.txt", .content = image::FatContent::owned("x")}};
  const std::map<std::string, std::string> expected = {
      {"EFI", "(directory)"}, {"EFI/Linux", "(directory)"}, {"EFI/Linux/node_1.0.0+3-0.efi", large},
      {"EFI/empty.efi", ""},  {"loader", "(directory)"},    {"größe 😀.txt", "x"}};
  for (const std::uint32_t sector_size : {512U, 4096U}) {
    const std::uint64_t size = sector_size == 512 ? volume_size : std::uint64_t{260} << 20;
    const auto device = FileDevice::create(directory.path("volume"), size);
    ASSERT_THAT(
        image::write_fat({.size_bytes = size, .sector_size = sector_size, .timestamp = {}}, entries, **device, 0),
        Succeeds());
    EXPECT_EQ(contents_of(**device), expected) << sector_size;
    EXPECT_LE(FatReader::open(**device)->size_bytes(), size);
  }
}

/// A volume of ours with a file and a directory, in memory.
class Damaged : public testing::Test {
 protected:
  Damaged() : volume_(base::Bytes(volume_size)) {
    const std::vector<image::FatEntry> entries = {
        {.path = "dir/file", .content = image::FatContent::owned(noise(2000))}};
    EXPECT_THAT(image::write_fat({.size_bytes = volume_size, .timestamp = {}}, entries, volume_, 0), Succeeds());
  }
  template <class T>
  void store(std::uint64_t offset, T value) {
    std::array<std::byte, sizeof(T)> raw{};
    base::store_le(raw.data(), value);
    EXPECT_THAT(volume_.write(offset, raw), Succeeds());
  }
  void store_next(std::uint32_t cluster, std::uint32_t next) { store(geometry_.table_offset(0) + cluster * 4, next); }
  // Clusters of 512 bytes: 2 is the root, 3 the directory, 4 to 7 the file.
  std::uint64_t entry(std::uint32_t cluster, unsigned index) const {
    return geometry_.cluster_offset(cluster) + index * std::uint64_t{32};
  }
  base::Result<base::Bytes> read_file() {
    TRY(const FatReader reader, FatReader::open(volume_));
    TRY(const auto nodes, reader.list());
    EXPECT_EQ(nodes.size(), 2);
    return reader.read(nodes.back(), 4000);
  }

  base::MemoryDevice volume_;
  const image::FatGeometry geometry_ = *image::FatGeometry::of(volume_size, 512);
};

TEST_F(Damaged, IsReadWhole) {
  EXPECT_THAT(read_file(), Holds(support::pattern(2000)));
}

TEST_F(Damaged, NeverHoldsTheReaderNorLeadsItOut) {
  const base::Bytes whole = volume_.content();
  struct {
    const char* what;
    std::function<void()> damage;
    Kind kind;
    const char* message;
  } const cases[] = {
      {"no signature", [&] { store(510, std::uint16_t{0}); }, Kind::corrupt, "not signed 55 aa"},
      {"sector size 0", [&] { store(11, std::uint16_t{0}); }, Kind::corrupt, "sectors of 0 bytes"},
      {"cluster size 0", [&] { store(13, std::uint8_t{0}); }, Kind::corrupt, "0 to a cluster"},
      {"FAT16", [&] { store(17, std::uint16_t{512}); }, Kind::unsupported, "FAT16"},
      {"no tables", [&] { store(16, std::uint8_t{0}); }, Kind::corrupt, "0 tables"},
      {"larger than its partition", [&] { store(32, UINT32_MAX); }, Kind::corrupt, "claims 4294967295 sectors"},
      {"table too large", [&] { store(36, UINT32_MAX); }, Kind::unsupported, "with 0 clusters"},
      {"table too small", [&] { store(36, std::uint32_t{1}); }, Kind::corrupt, "a table of 128 entries"},
      {"active table", [&] { store(40, std::uint16_t{0x8f}); }, Kind::corrupt, "none of its tables"},
      {"root beyond", [&] { store(44, std::uint32_t{0x0fffff00}); }, Kind::corrupt, "leaves the volume"},
      {"root 0", [&] { store(44, std::uint32_t{0}); }, Kind::corrupt, "leaves the volume"},
      {"root in a circle", [&] { store_next(2, 2); }, Kind::corrupt, "the directory / on memory: it takes more than"},
      {"directory in a circle", [&] { store_next(3, 3); }, Kind::corrupt, "the directory /dir/ on memory"},
      {"directory in itself", [&] { store(entry(2, 0) + 26, std::uint16_t{2}); }, Kind::corrupt,
       "the directory /dir on memory lies where another directory does"},
      {"chain cut", [&] { store_next(5, 0x0fffffff); }, Kind::corrupt,
       "/dir/file on memory: its chain of clusters ends or leaves the volume after 1024 of 2000 bytes"},
      {"chain beyond", [&] { store_next(5, 0x0ffffff0); }, Kind::corrupt, "after 1024 of 2000"},
      {"chain to a free cluster", [&] { store_next(5, 0); }, Kind::corrupt, "after 1024 of 2000"},
      {"file too large for us", [&] { store(entry(3, 2) + 28, std::uint32_t{4001}); }, Kind::invalid_input,
       "4000 are allowed"},
      {"file too large for the volume", [&] { store(entry(3, 2) + 28, UINT32_MAX); }, Kind::corrupt,
       "more than the volume has"},
      {"a slash", [&] { store(entry(3, 2), std::uint8_t{'/'}); }, Kind::corrupt, "a name that cannot be one"},
      {"an escape", [&] { store(entry(3, 2), std::uint8_t{0x1b}); }, Kind::corrupt, "a name that cannot be one"},
  };
  for (const auto& one : cases) {
    ASSERT_THAT(volume_.write(0, whole), Succeeds());
    one.damage();
    EXPECT_THAT(read_file(), FailsWith(one.kind, HasSubstr(one.message))) << one.what;
  }
}

TEST_F(Damaged, FileInACircleIsReadNoFurtherThanItsSize) {
  store_next(5, 4);
  EXPECT_THAT(read_file(), Holds(testing::SizeIs(2000)));
}

TEST(FatPaths, AreOneWhateverTheirCase) {
  EXPECT_TRUE(image::same_fat_path("EFI/BOOT/BOOTX64.EFI", "efi/boot/bootx64.efi"));
  EXPECT_FALSE(image::same_fat_path("EFI/BOOT", "EFI/BOOT/"));
}

}  // namespace
