#include "base/file.hpp"

#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>

#include <gmock/gmock.h>

#include "base/block_device.hpp"
#include "tests/support/files.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

using base::Access;
using base::File;
using base::FileDevice;
using base::Kind;
using support::FailsWith;
using support::Holds;
using support::Succeeds;
using testing::AllOf;
using testing::HasSubstr;

std::size_t names_in(const support::TemporaryDirectory& directory) {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(directory.path()), {}));
}

/// Files of this process may not grow beyond so many bytes: the nearest thing to a full disk without a disk.
class SmallFiles {
 public:
  explicit SmallFiles(rlim_t most) {
    std::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit small{most, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &small);
  }
  SmallFiles(const SmallFiles&) = delete;
  SmallFiles& operator=(const SmallFiles&) = delete;
  ~SmallFiles() { ::setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};

TEST(ReplaceFile, WritesTheContentWithItsModeAndLeavesNothingElse) {
  const support::TemporaryDirectory directory;
  const std::string path = directory.write("state", "old");
  ASSERT_THAT(base::replace_file(path, base::bytes_of("new"), 0600), Succeeds());
  EXPECT_EQ(support::slurp(path), "new");
  struct stat status{};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600);
  EXPECT_EQ(names_in(directory), 1);
}

TEST(ReplaceFile, KeepsTheOldContentWhenThereIsNoRoomForTheNew) {
  const support::TemporaryDirectory directory;
  const std::string path = directory.write("state", "old");
  const std::string large(10000, 'x');
  {
    const SmallFiles limit(4096);
    EXPECT_THAT(base::replace_file(path, base::bytes_of(large)), FailsWith(Kind::no_space, HasSubstr(path)));
  }
  EXPECT_EQ(support::slurp(path), "old");
  EXPECT_EQ(names_in(directory), 1);
}

TEST(ReplaceFile, NamesTheDirectoryThatIsNotThere) {
  EXPECT_THAT(base::replace_file("/nonexistent/state", {}),
              FailsWith(Kind::not_found, HasSubstr("/nonexistent/state")));
}

TEST(ReadFile, RefusesMoreThanItsBound) {
  const support::TemporaryDirectory directory;
  const std::string path = directory.write("text", "12345");
  EXPECT_THAT(base::read_file(path, 5), Holds("12345"));
  EXPECT_THAT(base::read_file(path, 4), FailsWith(Kind::invalid_input, AllOf(HasSubstr(path), HasSubstr("4 bytes"))));
  EXPECT_THAT(base::read_file("/dev/zero", 100000), FailsWith(Kind::invalid_input, HasSubstr("longer")));
}

TEST(File, NamesThePlaceAtWhichItEnds) {
  const support::TemporaryDirectory directory;
  const auto file = File::open(directory.write("short", "12345"), O_RDONLY);
  ASSERT_THAT(file, Succeeds());
  base::Bytes into(4);
  EXPECT_THAT(file->read_exactly(1, into), Succeeds());
  EXPECT_EQ(base::text_of(into), "2345");
  EXPECT_THAT(file->read_exactly(3, into), FailsWith(Kind::corrupt, HasSubstr("ends at 5 bytes")));
}

TEST(FileDevice, KeepsWithinItsSize) {
  const support::TemporaryDirectory directory;
  auto device = FileDevice::create(directory.path("disk"), 100);
  ASSERT_THAT(device, Succeeds());
  base::Bytes bytes(10);
  EXPECT_THAT((*device)->write(90, bytes), Succeeds());
  EXPECT_THAT((*device)->write(91, bytes), FailsWith(Kind::no_space, HasSubstr("100 bytes")));
  EXPECT_THAT((*device)->read(91, bytes), FailsWith(Kind::corrupt, HasSubstr("beyond its end")));
  EXPECT_THAT((*device)->read(~std::uint64_t{0}, bytes), FailsWith(Kind::corrupt, HasSubstr("beyond its end")));
  EXPECT_THAT((*device)->grow(200), Succeeds());
  EXPECT_EQ((*device)->size_bytes(), 200);
}

TEST(FileDevice, IsAFileOrABlockDevice) {
  EXPECT_THAT(FileDevice::open("/dev/null", Access::read_only), FailsWith(Kind::invalid_input, HasSubstr("neither")));
  EXPECT_THAT(FileDevice::open("/nonexistent", Access::read_only),
              FailsWith(Kind::not_found, HasSubstr("/nonexistent")));
}

}  // namespace
