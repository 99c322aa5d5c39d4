// Every combination in the table below, both ways: the same bytes as veritysetup, each accepts what the other made, and
// both find a flipped byte. The tool is Debian's cryptsetup-bin.

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "base/json.hpp"
#include "tests/support/files.hpp"
#include "tests/support/pattern.hpp"
#include "tests/support/program.hpp"
#include "tests/support/temporary_directory.hpp"
#include "verity/geometry.hpp"
#include "verity/superblock.hpp"

namespace {

using support::keelson;
using support::veritysetup;

enum class Place { own_file, own_file_further_in, behind_the_data };

struct Combination {
  std::uint64_t data_blocks;
  std::uint32_t data_block_size;
  std::uint32_t hash_block_size;
  std::size_t salt_size;
  bool superblock;
  Place place;
};

std::string name_of(const Combination& one) {
  constexpr const char* places[] = {"own_file", "own_file_further_in", "behind_the_data"};
  return fmt::format("{}_blocks_of_{}_hashed_in_{}_salt_{}_{}_{}", one.data_blocks, one.data_block_size,
                     one.hash_block_size, one.salt_size, one.superblock ? "superblock" : "bare",
                     places[static_cast<int>(one.place)]);
}

void PrintTo(const Combination& one, std::ostream* out) {
  *out << name_of(one);
}

/// All sizes with all pairs of block sizes and salts; superblock and place take turns.
std::vector<Combination> combinations() {
  constexpr std::uint64_t sizes[] = {1, 2, 15, 16, 17, 127, 128, 129, 255, 256, 257, 2049, 16383, 16384, 16385};
  constexpr std::pair<std::uint32_t, std::uint32_t> block_sizes[] = {
      {4096, 4096}, {512, 512}, {1024, 4096}, {4096, 512}, {2048, 1024}};
  constexpr std::size_t salts[] = {0, 32, 256, 77};
  std::vector<Combination> all;
  for (const auto& [data_block_size, hash_block_size] : block_sizes) {
    for (const std::uint64_t size : sizes) {
      for (const std::size_t salt : salts) {
        const std::size_t turn = all.size();
        all.push_back({size, data_block_size, hash_block_size, salt, turn % 2 == 0, static_cast<Place>(turn / 2 % 3)});
      }
    }
  }
  return all;
}

class Veritysetup : public testing::TestWithParam<Combination> {
 protected:
  static constexpr const char* uuid = "01234567-89ab-cdef-0123-456789abcdef";

  void SetUp() override {
    const base::Bytes data = support::pattern(one.data_blocks * one.data_block_size, one.data_blocks);
    for (const char* file : {"our.data", "their.data"}) directory.write(file, base::text_of(data));
    // What lies in front of a tree must survive; veritysetup wants the whole file system block of its superblock to
    // exist.
    const bool further_in = one.place == Place::own_file_further_in;
    const std::string in_front(further_in ? base::divide_rounding_up(hash_offset() + 512, 4096) * 4096 : 0, 'x');
    for (const char* file : {"our.hash", "their.hash"}) directory.write(file, in_front);
  }

  std::uint64_t data_bytes() const { return one.data_blocks * one.data_block_size; }

  std::uint64_t hash_offset() const {
    const std::uint64_t unit = one.superblock ? 512 : one.hash_block_size;
    if (one.place == Place::own_file) return 0;
    if (one.place == Place::own_file_further_in) return 3 * unit;
    return base::divide_rounding_up(data_bytes(), unit) * unit;
  }

  std::string data_file(const std::string& whose) const { return directory.path(whose + ".data"); }
  std::string hash_file(const std::string& whose) const {
    return one.place == Place::behind_the_data ? data_file(whose) : directory.path(whose + ".hash");
  }

  std::vector<std::string> arguments(const std::string& verb, const std::string& whose) const {
    std::vector<std::string> list = {verb, data_file(whose), hash_file(whose),
                                     fmt::format("--hash-offset={}", hash_offset())};
    if (!one.superblock) list.emplace_back("--no-superblock");
    if (one.superblock && verb == "verify") return list;
    const std::string salt = base::to_hex(support::pattern(one.salt_size, 5));
    list.push_back(fmt::format("--salt={}", salt.empty() ? "-" : salt));
    list.push_back(fmt::format("--data-blocks={}", one.data_blocks));
    list.push_back(fmt::format("--data-block-size={}", one.data_block_size));
    list.push_back(fmt::format("--hash-block-size={}", one.hash_block_size));
    return list;
  }

  std::vector<std::string> format_arguments(const std::string& whose) const {
    std::vector<std::string> list = arguments("format", whose);
    list.push_back("--root-hash-file=" + directory.path(whose + ".root"));
    if (one.superblock) list.push_back(std::string("--uuid=") + uuid);
    return list;
  }

  std::vector<std::string> verify_arguments(const std::string& whose) const {
    std::vector<std::string> list = arguments("verify", whose);
    list.insert(list.begin() + 3, support::slurp(directory.path("our.root")));
    return list;
  }

  base::CommandResult keelson_verity(std::vector<std::string> list) const {
    list.insert(list.begin(), {"--json", "verity"});
    return keelson(std::move(list));
  }

  /// Flips a byte of our file; both tools must refuse it, and we must say where.
  void expect_found(const std::string& file, std::uint64_t offset, const std::string& area, std::uint32_t block_size) {
    SCOPED_TRACE(fmt::format("{} byte {}", area, offset));
    support::flip_byte(file, offset);
    EXPECT_NE(veritysetup(verify_arguments("our")).exit_status, 0);
    const auto found = keelson_verity(verify_arguments("our"));
    EXPECT_EQ(found.exit_status, 3);
    const auto end = found.output.find("\n}\n");  // the report; the error object follows
    const auto report = base::parse_json(found.output.substr(0, end + 3));
    ASSERT_TRUE(report.has_value()) << found.output;
    ASSERT_EQ(report->at("bad_block_count"), 1);
    EXPECT_EQ(report->at("bad_blocks").at(0).at("area"), area);
    const std::uint64_t start = report->at("bad_blocks").at(0).at("offset");
    EXPECT_LE(start, offset);
    EXPECT_LT(offset, start + block_size);
    support::flip_byte(file, offset);
  }

  const Combination one = GetParam();
  const support::TemporaryDirectory directory;
};

TEST_P(Veritysetup, AndWeAgree) {
  const auto theirs = veritysetup(format_arguments("their"));
  ASSERT_EQ(theirs.exit_status, 0) << theirs.errors;
  const auto ours = keelson_verity(format_arguments("our"));
  ASSERT_EQ(ours.exit_status, 0) << ours.errors;

  EXPECT_EQ(support::slurp(directory.path("our.root")), support::slurp(directory.path("their.root")));
  EXPECT_TRUE(support::slurp(hash_file("our")) == support::slurp(hash_file("their"))) << "the hash areas differ";
  EXPECT_TRUE(support::slurp(data_file("our")) == support::slurp(data_file("their"))) << "the data was changed";

  EXPECT_EQ(veritysetup(verify_arguments("our")).exit_status, 0);
  EXPECT_EQ(keelson_verity(verify_arguments("their")).exit_status, 0);

  const std::uint64_t some_byte = one.data_blocks * 977 % data_bytes();
  expect_found(data_file("our"), some_byte, "data", one.data_block_size);
  const auto geometry = verity::Geometry::of({one.data_block_size, one.hash_block_size, {}}, one.data_blocks);
  ASSERT_TRUE(geometry.has_value());
  if (geometry->tree_bytes() > 0) {
    const auto start = verity::tree_offset(
        hash_offset(), one.superblock ? verity::HasSuperblock::yes : verity::HasSuperblock::no, one.hash_block_size);
    ASSERT_TRUE(start.has_value());
    expect_found(hash_file("our"), *start + one.data_blocks * 977 % geometry->tree_bytes(), "hash",
                 one.hash_block_size);
  }
}

INSTANTIATE_TEST_SUITE_P(Conformance, Veritysetup, testing::ValuesIn(combinations()),
                         [](const auto& tested) { return name_of(tested.param); });

}  // namespace
