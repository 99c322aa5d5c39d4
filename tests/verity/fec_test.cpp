#include "verity/fec.hpp"

#include <atomic>
#include <fstream>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/file.hpp"
#include "base/subprocess.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/pattern.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

using base::Bytes;
using base::FileDevice;
using base::Kind;
using base::MemoryDevice;
using support::FailsWith;
using support::pattern;
using support::Succeeds;
using testing::AllOf;
using testing::HasSubstr;
using verity::encode_fec;
using verity::FecLayout;
using verity::Geometry;

constexpr std::uint64_t block_size = 4096;

std::string content_of(const std::string& path) {
  return base::read_file(path, std::size_t{1} << 30).value();
}

std::unique_ptr<FileDevice> open(const std::string& path, base::Access access = base::Access::read_only) {
  return FileDevice::open(path, access).value();
}

/// An image with tree and parity, all three made by veritysetup, the judge in these tests.
class VeritySetup {
 public:
  struct Options {
    unsigned roots = 2;
    std::uint64_t data_blocks = 1;
    std::uint64_t block_size = ::block_size;
    std::uint64_t extra_bytes = 0;    // foreign bytes behind the tree in a hash file of its own
    std::uint64_t offset = 0;         // --fec-offset
    bool parity_behind_tree = false;  // in the hash file; in a file of its own otherwise
  };

  explicit VeritySetup(const Options& options) : options_(options) {
    const std::uint64_t data_bytes = options.data_blocks * options.block_size;
    directory_.write("data", base::text_of(pattern(data_bytes, options.data_blocks)));
    if (options.parity_behind_tree) {
      directory_.write("hash", std::string(options.offset, '\0'));  // veritysetup reads up to there, and needs bytes
    } else if (options.extra_bytes != 0) {
      const std::uint64_t tree_end = tree_offset() + geometry().tree_bytes();
      directory_.write("hash", base::text_of(pattern(tree_end + options.extra_bytes, 99)));
    }
    const std::string report = base::run_checked(command({"format", data_path(), hash_path(), "--salt=0badcafe",
                                                          fmt::format("--data-block-size={}", options.block_size),
                                                          fmt::format("--hash-block-size={}", options.block_size)}))
                                   .value();
    const std::size_t at = report.find("Root hash:");
    root_hash_ = report.substr(report.find_first_of("0123456789abcdef", at + 10), 64);
  }

  std::string data_path() const { return directory_.path("data"); }
  std::string hash_path() const { return directory_.path("hash"); }
  std::string fec_path() const { return options_.parity_behind_tree ? hash_path() : directory_.path("fec"); }
  std::string path(std::string_view name) const { return directory_.path(name); }

  Geometry geometry() const {
    const auto size = static_cast<std::uint32_t>(options_.block_size);
    return Geometry::of({.data_block_size = size, .hash_block_size = size, .salt = {}}, options_.data_blocks).value();
  }
  std::uint64_t tree_offset() const { return options_.block_size; }
  FecLayout layout() const {
    const std::uint64_t end = options_.parity_behind_tree ? options_.offset : open(hash_path())->size_bytes();
    return FecLayout::of(geometry(), tree_offset(), end, {.roots = options_.roots, .offset = options_.offset}).value();
  }

  /// Overwrites the parity by ours.
  base::Result<> encode_ours(const verity::Effort& effort = {}) const {
    std::ofstream(fec_path(), std::ios::app).close();
    const auto fec = open(fec_path(), base::Access::read_write);
    TRY_DO(fec->grow(options_.offset + layout().parity_bytes()));
    TRY_DO(fec->write(options_.offset, Bytes(layout().parity_bytes())));
    return encode_fec(*open(data_path()), *open(hash_path()), layout(), *fec, effort);
  }

  /// What `veritysetup verify` says.
  base::CommandResult verify() const {
    return base::run(command({"verify", data_path(), hash_path(), root_hash_})).value();
  }

  void flip_byte(const std::string& path, std::uint64_t offset) const {
    const auto device = open(path, base::Access::read_write);
    Bytes byte(1);
    ASSERT_THAT(device->read(offset, byte), Succeeds());
    byte[0] ^= std::byte{0x55};
    ASSERT_THAT(device->write(offset, byte), Succeeds());
  }

 private:
  base::Command command(std::vector<std::string> arguments) const {
    base::Command command;
    command.argv = std::move(arguments);
    command.argv.insert(command.argv.begin(), "veritysetup");
    command.argv.push_back("--fec-device=" + fec_path());
    command.argv.push_back(fmt::format("--fec-roots={}", options_.roots));
    command.argv.push_back(fmt::format("--fec-offset={}", options_.offset));
    return command;
  }

  Options options_;
  support::TemporaryDirectory directory_;
  std::string root_hash_;
};

struct Case {
  const char* label;
  VeritySetup::Options options;
};

const std::vector<Case> cases = {
    {"one block, which has no tree", {.roots = 2, .data_blocks = 1}},
    {"one block, most roots", {.roots = 24, .data_blocks = 1}},
    {"a tree of one level", {.roots = 2, .data_blocks = 127}},
    {"a round but for a block", {.roots = 2, .data_blocks = 249}},
    {"exactly one round", {.roots = 2, .data_blocks = 250}},
    {"one block in the second round", {.roots = 2, .data_blocks = 251}},
    {"253 blocks", {.roots = 2, .data_blocks = 253}},
    {"254 blocks", {.roots = 2, .data_blocks = 254}},
    {"255 blocks", {.roots = 2, .data_blocks = 255}},
    {"1000 blocks", {.roots = 2, .data_blocks = 1000}},
    {"3 roots", {.roots = 3, .data_blocks = 1000}},
    {"8 roots", {.roots = 8, .data_blocks = 255}},
    {"8 roots, 1000 blocks", {.roots = 8, .data_blocks = 1000}},
    {"16 roots", {.roots = 16, .data_blocks = 1000}},
    {"24 roots, exactly one round", {.roots = 24, .data_blocks = 228}},
    {"24 roots", {.roots = 24, .data_blocks = 1000}},
    {"many rounds", {.roots = 2, .data_blocks = 9001}},
    {"blocks of 512 bytes", {.roots = 5, .data_blocks = 1000, .block_size = 512}},
    {"blocks of 1024 bytes", {.roots = 2, .data_blocks = 4099, .block_size = 1024}},
    {"foreign blocks behind the tree", {.roots = 2, .data_blocks = 300, .extra_bytes = 7 * block_size}},
    {"part of a block behind the tree", {.roots = 2, .data_blocks = 300, .extra_bytes = 2 * block_size + 1000}},
    {"parity at an offset of its file", {.roots = 2, .data_blocks = 300, .offset = 3 * block_size}},
    {"parity right behind the tree", {.data_blocks = 300, .offset = 5 * block_size, .parity_behind_tree = true}},
    {"parity further behind", {.roots = 7, .data_blocks = 300, .offset = 64 * block_size, .parity_behind_tree = true}},
};

TEST(Fec, MakesTheParityThatVeritysetupMakes) {
  for (const auto& [label, options] : cases) {
    SCOPED_TRACE(label);
    const VeritySetup image(options);
    const std::string theirs = content_of(image.fec_path());
    EXPECT_EQ(theirs.size(), options.offset + image.layout().parity_bytes());
    ASSERT_THAT(image.encode_ours(), Succeeds());
    EXPECT_TRUE(content_of(image.fec_path()) == theirs);
  }
}

TEST(Fec, DoesNotDependOnTheNumberOfThreads) {
  for (const unsigned threads : {1U, 2U, 7U}) {
    const VeritySetup image({.roots = 2, .data_blocks = 9001});
    const std::string theirs = content_of(image.fec_path());
    ASSERT_THAT(image.encode_ours({.threads = threads, .advance = {}}), Succeeds());
    EXPECT_TRUE(content_of(image.fec_path()) == theirs) << threads;
  }
}

TEST(Fec, TellsOfEveryCoveredByteOnce) {
  const VeritySetup image({.roots = 2, .data_blocks = 1000});
  std::atomic<std::uint64_t> told = 0;
  ASSERT_THAT(image.encode_ours({.threads = 2, .advance = [&](std::uint64_t bytes) { told += bytes; }}), Succeeds());
  EXPECT_EQ(told, image.layout().covered_bytes());
}

TEST(Fec, LetsVeritysetupRepairWhatOneRoundCanBear) {
  for (const unsigned roots : {2U, 3U, 8U, 24U}) {
    SCOPED_TRACE(roots);
    const VeritySetup image({.roots = roots, .data_blocks = 1000});
    ASSERT_THAT(image.encode_ours(), Succeeds());
    EXPECT_EQ(image.verify().exit_status, 0);
    // Byte 17 of blocks that share a codeword: half as many as there are roots can be found and corrected.
    for (unsigned i = 0; i < roots / 2; ++i) {
      image.flip_byte(image.data_path(), (1 + i * image.layout().rounds()) * block_size + 17);
    }
    const base::CommandResult verdict = image.verify();
    EXPECT_EQ(verdict.exit_status, 0) << verdict.errors;
    EXPECT_THAT(verdict.errors, HasSubstr(fmt::format("Found {} repairable errors", roots / 2)));
  }
}

TEST(FecLayout, CountsRoundsAndBytesAsTheKernelDoes) {
  // 1000 data blocks have a tree of 8 + 1; 1009 / 253 is a little less than 4.
  const Geometry geometry = Geometry::of({}, 1000).value();
  const FecLayout layout = FecLayout::of(geometry, 4096, 10 * 4096).value();
  EXPECT_EQ(layout.covered_blocks(), 1009U);
  EXPECT_EQ(layout.rounds(), 4U);
  EXPECT_EQ(layout.parity_bytes(), 4U * 4096 * 2);
}

TEST(FecLayout, RefusesWhatTheKernelCouldNotUse) {
  const Geometry geometry = Geometry::of({}, 1000).value();
  const Geometry unequal = Geometry::of({.data_block_size = 512, .hash_block_size = 4096, .salt = {}}, 1000).value();
  const std::uint64_t end = 10 * block_size;
  const std::uint64_t huge = std::numeric_limits<std::uint64_t>::max() / block_size * block_size;
  const struct {
    base::Result<FecLayout> layout;
    const char* message;
  } refused[] = {
      {FecLayout::of(unequal, 4096, end), "same size, not 512 and 4096"},
      {FecLayout::of(geometry, 4096, end, {.roots = 1}), "1 FEC roots"},
      {FecLayout::of(geometry, 4096, end, {.roots = 25}), "25 FEC roots"},
      {FecLayout::of(geometry, 512, end), "tree offset 512"},
      {FecLayout::of(geometry, huge, huge), "tree offset"},
      {FecLayout::of(geometry, 4096, end, {.offset = 4097}), "FEC offset 4097"},
      {FecLayout::of(geometry, 4096, end, {.offset = huge}), "at most 2^62"},
      {FecLayout::of(geometry, 4096, huge), "metadata end"},
      {FecLayout::of(geometry, 4096, end - 1), "before the hash tree"},
      {FecLayout::of(geometry, 4096, 0), "before the hash tree"},
  };
  for (const auto& [layout, message] : refused) {
    EXPECT_THAT(layout, FailsWith(Kind::invalid_input, HasSubstr(message)));
  }
}

/// 1000 data blocks, a tree of 9 behind a superblock, and room for the parity, all of zeros.
struct Devices {
  FecLayout layout = FecLayout::of(Geometry::of({}, 1000).value(), 4096, 10 * 4096).value();
  MemoryDevice data{Bytes(1000 * block_size), "the-data"};
  MemoryDevice hash{Bytes(10 * block_size), "the-tree"};
  MemoryDevice fec{Bytes(4 * 4096 * 2), "the-parity"};
};

TEST(Fec, NamesTheDeviceThatIsTooSmall) {
  Devices d;
  MemoryDevice small(Bytes(4096), "small");
  EXPECT_THAT(encode_fec(small, d.hash, d.layout, d.fec),
              FailsWith(Kind::corrupt, AllOf(HasSubstr("small has 4096 bytes"), HasSubstr("needs 4096000"))));
  EXPECT_THAT(encode_fec(d.data, small, d.layout, d.fec),
              FailsWith(Kind::corrupt, AllOf(HasSubstr("small has 4096 bytes"), HasSubstr("needs 40960"))));
  EXPECT_THAT(encode_fec(d.data, d.hash, d.layout, small),
              FailsWith(Kind::no_space, AllOf(HasSubstr("small has 4096 bytes"), HasSubstr("needs 32768"))));
}

TEST(Fec, DoesNotOverwriteWhatItCovers) {
  Devices d;
  EXPECT_THAT(encode_fec(d.data, d.hash, d.layout, d.data),
              FailsWith(Kind::invalid_input, HasSubstr("offset 0 of the-data would overwrite")));
  EXPECT_THAT(encode_fec(d.data, d.hash, d.layout, d.hash),
              FailsWith(Kind::invalid_input, HasSubstr("offset 0 of the-tree would overwrite")));
}

/// Fails where a disk has a bad sector.
class BadSector final : public base::BlockDevice {
 public:
  explicit BadSector(std::uint64_t size_bytes) : size_bytes_(size_bytes) {}

  const std::string& name() const override { return name_; }
  std::uint64_t size_bytes() const override { return size_bytes_; }
  base::Result<> read(std::uint64_t offset, base::MutableByteView into) const override {
    const std::uint64_t bad = size_bytes_ / 2;
    if (offset <= bad && bad < offset + into.size()) return base::fail(Kind::io, "reading bad-sector");
    return base::ok();
  }
  base::Result<> write(std::uint64_t, base::ByteView) override { return base::ok(); }
  base::Result<> flush() override { return base::ok(); }

 private:
  std::string name_ = "bad-sector";
  std::uint64_t size_bytes_;
};

TEST(Fec, ReportsABadSectorFromAnyThread) {
  Devices d;
  const BadSector data(1000 * block_size);
  for (const unsigned threads : {1U, 4U}) {
    EXPECT_THAT(encode_fec(data, d.hash, d.layout, d.fec, {.threads = threads, .advance = {}}),
                FailsWith(Kind::io, HasSubstr("bad-sector")));
  }
}

}  // namespace
