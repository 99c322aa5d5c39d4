#include "base/file.hpp"

#include <sys/stat.h>

#include <filesystem>

#include <gmock/gmock.h>

#include "base/block_device.hpp"
#include "base/partial_file.hpp"
#include "tests/support/files.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/small_files.hpp"
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
    const support::SmallFiles limit(4096);
    EXPECT_THAT(base::replace_file(path, base::bytes_of(large)), FailsWith(Kind::no_space, HasSubstr(path)));
  }
  EXPECT_EQ(support::slurp(path), "old");
  EXPECT_EQ(names_in(directory), 1);
}

TEST(ReplaceFile, NamesTheDirectoryThatIsNotThere) {
  EXPECT_THAT(base::replace_file("/nonexistent/state", {}),
              FailsWith(Kind::not_found, HasSubstr("/nonexistent/state")));
}

TEST(DeviceRange, IsAPartOfADeviceAndNothingElse) {
  base::MemoryDevice whole(base::Bytes(100), "disk");
  auto part = base::DeviceRange::of(whole, 10, 20, "partition 2");
  ASSERT_THAT(part, Succeeds());
  EXPECT_EQ(part->size_bytes(), 20);
  ASSERT_THAT(part->write(5, base::bytes_of("abc")), Succeeds());
  EXPECT_EQ(base::text_of(base::ByteView(whole.content()).subspan(15, 3)), "abc");
  std::array<std::byte, 3> raw{};
  ASSERT_THAT(part->read(5, raw), Succeeds());
  EXPECT_EQ(base::text_of(raw), "abc");
  EXPECT_THAT(part->read(18, raw), FailsWith(Kind::corrupt, HasSubstr("partition 2 has 20 bytes")));
  EXPECT_THAT(part->write(18, raw), FailsWith(Kind::no_space, HasSubstr("partition 2 has 20 bytes")));
  for (const auto& [offset, size] : {std::pair{std::uint64_t{81}, std::uint64_t{20}}, {101, 0}, {1, UINT64_MAX}}) {
    EXPECT_THAT(base::DeviceRange::of(whole, offset, size, "partition 2"),
                FailsWith(Kind::corrupt, HasSubstr("of disk, which has only 100")));
  }
}

TEST(PartialFile, IsGoneWhenTheWorkOnItFails) {
  const support::TemporaryDirectory directory;
  const std::string path = directory.write("image", "old");
  {
    auto partial = base::PartialFile::create(path);
    ASSERT_THAT(partial, Succeeds());
    ASSERT_THAT(partial->file().write_all(0, base::bytes_of("half of the ne")), Succeeds());
    EXPECT_EQ(support::slurp(path), "old");
    EXPECT_EQ(names_in(directory), 2);
    const base::PartialFile moved = *std::move(partial);
    EXPECT_EQ(names_in(directory), 2);
  }
  EXPECT_EQ(support::slurp(path), "old");
  EXPECT_EQ(names_in(directory), 1);
}

TEST(PartialFile, MayBeWrittenByTwoAtATime) {
  const support::TemporaryDirectory directory;
  auto one = base::PartialFile::create(directory.path("image"));
  auto other = base::PartialFile::create(directory.path("image"));
  ASSERT_THAT(one, Succeeds());
  ASSERT_THAT(other, Succeeds());
  ASSERT_THAT(one->file().write_all(0, base::bytes_of("one")), Succeeds());
  ASSERT_THAT(other->file().write_all(0, base::bytes_of("other")), Succeeds());
  ASSERT_THAT(one->complete(), Succeeds());
  ASSERT_THAT(other->complete(), Succeeds());
  EXPECT_EQ(support::slurp(directory.path("image")), "other");
  EXPECT_EQ(names_in(directory), 1);
}

TEST(PartialFile, DoesNotReplaceADeviceOrADirectory) {
  const support::TemporaryDirectory directory;
  for (const std::string& path : {std::string("/dev/null"), directory.path()}) {
    EXPECT_THAT(base::PartialFile::create(path), FailsWith(Kind::invalid_input, HasSubstr("no regular file")));
  }
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

TEST(File, NeedsNoName) {
  const support::TemporaryDirectory directory;
  auto file = File::nameless(directory.path());
  ASSERT_THAT(file, Succeeds());
  ASSERT_THAT(file->write_all(0, base::bytes_of("what is kept")), Succeeds());
  base::Bytes back(4);
  ASSERT_THAT(file->read_exactly(8, back), Succeeds());
  EXPECT_EQ(base::text_of(back), "kept");
  EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
  EXPECT_THAT(File::nameless(directory.path("none")), FailsWith(Kind::not_found, HasSubstr(directory.path("none"))));
}

TEST(MakeDirectories, MakesWhatIsMissingAndLeavesWhatIsThere) {
  const support::TemporaryDirectory directory;
  for (const char* path : {"a", "a/b/c", "a/b/c/", "a//d", "./e/../f"}) {
    EXPECT_THAT(base::make_directories(directory.path(path)), Succeeds());
    EXPECT_TRUE(std::filesystem::is_directory(directory.path(path))) << path;
  }
  const std::string kept = directory.write("a/b/kept", "x");
  std::filesystem::create_directory_symlink("a/b", directory.path("link"));
  EXPECT_THAT(base::make_directories(directory.path("link/g")), Succeeds());
  EXPECT_TRUE(std::filesystem::is_directory(directory.path("a/b/g")));
  EXPECT_EQ(support::slurp(kept), "x");
  EXPECT_THAT(base::make_directories("/"), Succeeds());
}

TEST(MakeDirectories, NamesTheOneThatCannotBe) {
  const support::TemporaryDirectory directory;
  directory.write("file", "x");
  for (const char* path : {"file", "file/below"}) {
    EXPECT_THAT(base::make_directories(directory.path(path)),
                FailsWith(Kind::not_found, AllOf(HasSubstr("making the directory " + directory.path(path)),
                                                 HasSubstr("Not a directory"))));
  }
  EXPECT_THAT(base::make_directories(""), FailsWith(Kind::not_found, HasSubstr("making the directory")));
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
