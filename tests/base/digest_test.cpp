#include "base/digest.hpp"

#include <gmock/gmock.h>

#include "base/file.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

using base::File;
using base::Kind;
using support::FailsWith;
using support::Holds;
using support::Succeeds;
using testing::HasSubstr;
using testing::ResultOf;

/// As sha256sum writes it.
auto is_digest(const std::string& hex) {
  return Holds(ResultOf([](const base::Sha256Digest& digest) { return base::to_hex(digest); }, hex));
}

TEST(Sha256, OfAFileIsThatOfAllItsBytes) {
  const support::TemporaryDirectory directory;
  struct Case {
    std::size_t zeros;
    const char* digest;  // head -c N /dev/zero | sha256sum
  };
  // Nothing, less than a block, a whole number of blocks, and a block that is not full at the end.
  for (const auto& [zeros, digest] :
       {Case{0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        Case{5, "8855508aade16ec573d21e6a485dfd0a7624085c1a14b5ecdd6485de0c6839a4"},
        Case{524288, "07854d2fef297a06ba81685e660c332de36d5d18d546927d30daad6d7fda1541"},
        Case{1000001, "d100b2cca5c3f0968350fa1143cc2fede7542a7101e1c8d85398206ddafc364e"}}) {
    SCOPED_TRACE(zeros);
    const auto file = File::open(directory.write("zeros", std::string(zeros, '\0')), O_RDONLY);
    ASSERT_THAT(file, Succeeds());
    EXPECT_THAT(base::sha256_of(*file), is_digest(digest));
  }
}

TEST(Sha256, ReadsAFileFromItsBeginningAndGoesOnBehindIt) {
  const support::TemporaryDirectory directory;
  const auto file = File::open(directory.write("name", "keel"), O_RDONLY);
  ASSERT_THAT(file, Succeeds());
  ASSERT_THAT(base::read_all(file->fd(), file->name(), 100), Holds("keel"));
  base::Sha256 sha;
  sha.update(base::bytes_of("a "));
  ASSERT_THAT(sha.update(*file), Succeeds());
  sha.update(base::bytes_of("son"));
  // printf 'a keelson' | sha256sum
  EXPECT_EQ(base::to_hex(sha.finish()), "482b38dc1700911a74e8051dad2cd4751e7f7b6fe6f0227e0c69aa9132d3665c");
}

TEST(Sha256, OfNoFileIsAnError) {
  const auto device = File::open("/dev/null", O_RDONLY);
  ASSERT_THAT(device, Succeeds());
  EXPECT_THAT(base::sha256_of(*device), FailsWith(Kind::invalid_input, HasSubstr("/dev/null is neither")));
}

}  // namespace
