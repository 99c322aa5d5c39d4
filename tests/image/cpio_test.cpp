#include "image/cpio.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "base/subprocess.hpp"
#include "tests/support/matchers.hpp"

namespace {

using base::bytes_of;
using base::Kind;
using image::CpioEntry;
using image::CpioType;
using image::read_cpio;
using image::write_cpio;
using support::FailsWith;
using support::Succeeds;
using testing::HasSubstr;

std::vector<CpioEntry> sample() {
  return {
      {.path = "usr/bin/link", .type = CpioType::symlink, .permissions = 0777, .content = bytes_of("../../init")},
      {.path = "init", .permissions = 0755, .content = bytes_of("12345")},
      {.path = "dev/console", .type = CpioType::character_device, .permissions = 0600, .major = 5, .minor = 1},
      {.path = "dev/vda", .type = CpioType::block_device, .permissions = 0660, .major = 254, .minor = 0},
      {.path = "dev-", .permissions = 0644},
      {.path = "proc", .type = CpioType::directory, .permissions = 0555},
  };
}

std::string text_of(const base::Result<base::Bytes>& archive) {
  EXPECT_THAT(archive, Succeeds());
  return archive ? std::string(base::text_of(*archive)) : "";
}

std::string run_cpio(std::vector<std::string> options, std::string input) {
  options.insert(options.begin(), "cpio");
  auto result = base::run_checked({.argv = std::move(options), .input = std::move(input)});
  EXPECT_THAT(result, Succeeds());
  return result ? *result : "";
}

TEST(Cpio, IsListedByCpio) {
  ::setenv("TZ", "UTC", 1);
  EXPECT_EQ(run_cpio({"-itv", "--quiet", "--numeric-uid-gid"}, text_of(write_cpio(sample()))),
            "drwxr-xr-x   2 0        0               0 Jan  1  1970 dev\n"
            "-rw-r--r--   1 0        0               0 Jan  1  1970 dev-\n"
            "crw-------   1 0        0          5,   1 Jan  1  1970 dev/console\n"
            "brw-rw----   1 0        0        254,   0 Jan  1  1970 dev/vda\n"
            "-rwxr-xr-x   1 0        0               5 Jan  1  1970 init\n"
            "dr-xr-xr-x   2 0        0               0 Jan  1  1970 proc\n"
            "drwxr-xr-x   2 0        0               0 Jan  1  1970 usr\n"
            "drwxr-xr-x   2 0        0               0 Jan  1  1970 usr/bin\n"
            "lrwxrwxrwx   1 0        0              10 Jan  1  1970 usr/bin/link -> ../../init\n");
  EXPECT_EQ(run_cpio({"-i", "--quiet", "--to-stdout", "init"}, text_of(write_cpio(sample()))), "12345");
}

TEST(Cpio, HasTheseBytes) {
  // By hand from buffer-format.rst: magic, inode, mode, uid, gid, links, time, size, device, node, size of the name,
  // sum.
  const std::string directory =
      "070701"
      "00000001"
      "000041ED"
      "00000000"
      "00000000"
      "00000002"
      "00000000"
      "00000000"
      "00000000"
      "00000000"
      "00000000"
      "00000000"
      "00000002"
      "00000000";
  const std::string file =
      "070701"
      "00000002"
      "000081A4"
      "00000000"
      "00000000"
      "00000001"
      "00000000"
      "00000003"
      "00000000"
      "00000000"
      "00000000"
      "00000000"
      "00000004"
      "00000000";
  const std::string trailer =
      "070701"
      "00000000"
      "00000000"
      "00000000"
      "00000000"
      "00000001"
      "00000000"
      "00000000"
      "00000000"
      "00000000"
      "00000000"
      "00000000"
      "0000000B"
      "00000000";
  using namespace std::string_literals;
  EXPECT_EQ(
      text_of(write_cpio({{.path = "d/f", .content = bytes_of("abc")}})),
      directory + "d\0\0\0\0\0"s.substr(0, 2) + file + "d/f\0"s + "\0\0"s + "abc\0"s + trailer + "TRAILER!!!\0\0\0\0"s);
}

TEST(Cpio, IsTheSameWhateverTheOrderTheTimeZoneAndTheUmask) {
  const std::string here = text_of(write_cpio(sample()));
  std::vector<CpioEntry> turned = sample();
  std::ranges::reverse(turned);
  ::setenv("TZ", "Pacific/Kiritimati", 1);
  const mode_t mask = ::umask(0777);
  const std::string there = text_of(write_cpio(std::move(turned)));
  ::umask(mask);
  ::unsetenv("TZ");
  EXPECT_EQ(here, there);
  EXPECT_EQ(here.size() % 4, 0);
}

TEST(Cpio, IsReadBack) {
  const auto archive = write_cpio(sample());
  const auto entries = read_cpio(*archive);
  ASSERT_THAT(entries, Succeeds());
  ASSERT_EQ(entries->size(), 9);
  std::vector<CpioEntry> sorted = sample();
  std::ranges::sort(sorted, {}, &CpioEntry::path);
  for (const CpioEntry& expected : sorted) {
    const auto found = std::ranges::find(*entries, expected.path, &CpioEntry::path);
    ASSERT_NE(found, entries->end()) << expected.path;
    EXPECT_EQ(found->type, expected.type);
    EXPECT_EQ(found->permissions, expected.permissions);
    EXPECT_EQ(base::text_of(found->content), base::text_of(expected.content));
    EXPECT_EQ(found->major, expected.major);
    EXPECT_EQ(found->minor, expected.minor);
  }
}

TEST(Cpio, ReadsWhatCpioWrote) {
  const std::string archive =
      run_cpio({"-o", "-H", "newc", "--quiet", "--directory=/"}, ".\n./dev/null\n./etc/hostname\n");
  const auto entries = read_cpio(bytes_of(archive));
  ASSERT_THAT(entries, Succeeds());
  ASSERT_EQ(entries->size(), 3);
  EXPECT_EQ((*entries)[0].type, CpioType::directory);
  EXPECT_EQ((*entries)[1].type, CpioType::character_device);
  EXPECT_EQ((*entries)[1].minor, 3);
  EXPECT_EQ((*entries)[2].type, CpioType::regular);
}

TEST(Cpio, RefusesToWriteWhatTheKernelWouldSkipOrTakeElsewhere) {
  struct {
    const char* what;
    std::vector<CpioEntry> entries;
    const char* message;
  } const cases[] = {
      {"no path", {{.path = ""}}, "\"\" is no path"},
      {"absolute", {{.path = "/init"}}, "\"/init\" is no path"},
      {"way out", {{.path = "a/../../b"}}, "is no path"},
      {"dot", {{.path = "./a"}}, "is no path"},
      {"slash at the end", {{.path = "a/"}}, "is no path"},
      {"two slashes", {{.path = "a//b"}}, "is no path"},
      {"NUL", {{.path = std::string("a\0b", 3)}}, "is no path"},
      {"the trailer", {{.path = "TRAILER!!!"}}, "is no path"},
      {"long path", {{.path = std::string(4096, 'a')}}, "a path of 4096 bytes; 4095 are the most"},
      {"permissions", {{.path = "a", .permissions = 0100644}}, "100644 are no permissions"},
      {"content of a directory", {{.path = "a", .type = CpioType::directory, .content = bytes_of("x")}}, "is no file"},
      {"device number of a file", {{.path = "a", .major = 1}}, "is no device"},
      {"empty link", {{.path = "a", .type = CpioType::symlink}}, "the target of the link \"a\""},
      {"twice", {{.path = "a"}, {.path = "a"}}, "\"a\" is given twice"},
      {"file as a directory", {{.path = "a"}, {.path = "a/b"}}, "\"a\" is no directory, but \"a/b\" is in it"},
      {"link as a directory",
       {{.path = "a", .type = CpioType::symlink, .content = bytes_of("b")}, {.path = "a/b/c"}},
       "\"a\" is no directory, but \"a/b\" is in it"},
  };
  for (const auto& one : cases) {
    EXPECT_THAT(write_cpio(one.entries), FailsWith(Kind::invalid_input, HasSubstr(one.message))) << one.what;
  }
}

TEST(Cpio, RefusesToReadEveryFieldThatLies) {
  // An archive of one file "a" with 3 bytes: header from 0, name from 110, content from 112, trailer from 116.
  const std::string good = text_of(write_cpio({{.path = "a", .content = bytes_of("xyz")}}));
  struct {
    const char* what;
    std::size_t offset;
    std::string_view bytes;
    Kind kind;
    const char* message;
  } const cases[] = {
      {"magic", 0, "070707", Kind::corrupt, "at offset 0: it does not begin with 070701"},
      {"checksums", 0, "070702", Kind::unsupported, "with checksums"},
      {"hexadecimal digit", 6, "0000000g", Kind::corrupt, "no hexadecimal number"},
      {"sign", 54, "-0000001", Kind::corrupt, "no hexadecimal number"},
      {"FIFO", 14, "000011A4", Kind::unsupported, "a file of mode 10644"},
      {"mode beyond 16 bits", 14, "000181A4", Kind::corrupt, "mode is impossible"},
      {"directory with content", 14, "000041ED", Kind::corrupt, "it has content"},
      {"size", 54, "FFFFFFFF", Kind::corrupt, "ends too early"},
      {"no name", 94, "00000000", Kind::corrupt, "a name of 0 bytes"},
      {"empty name", 94, "00000001", Kind::corrupt, "a name of 1 bytes"},
      {"endless name", 94, "FFFFFFFF", Kind::corrupt, "a name of 4294967295 bytes"},
      {"name without end", 111, "x", Kind::corrupt, "does not end"},
      {"absolute path", 110, "/", Kind::corrupt, "leads out"},
      {"padding", 115, "x", Kind::corrupt, "padding is not zero"},
      {"trailer's magic", 116, "x", Kind::corrupt, "at offset 116: it does not begin"},
      {"padding of the trailer", good.size() - 1, "x", Kind::corrupt, "padding is not zero"},
  };
  for (const auto& one : cases) {
    std::string bad = good;
    bad.replace(one.offset, one.bytes.size(), one.bytes);
    EXPECT_THAT(read_cpio(bytes_of(bad)), FailsWith(one.kind, HasSubstr(one.message))) << one.what;
  }
  EXPECT_THAT(read_cpio(bytes_of(good + std::string(512, '\0'))), Succeeds());
  EXPECT_THAT(read_cpio(bytes_of(good + good)), FailsWith(Kind::corrupt, HasSubstr("something follows")));
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_THAT(read_cpio(bytes_of(good).first(size)), FailsWith(Kind::corrupt, HasSubstr("ends too early"))) << size;
  }
}

}  // namespace
