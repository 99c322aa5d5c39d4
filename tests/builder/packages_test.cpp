// Judges: dpkg, dpkg-deb.

#include <filesystem>

#include <gmock/gmock.h>

#include "base/file.hpp"
#include "base/partial_file.hpp"
#include "builder/packages/control.hpp"
#include "builder/packages/deb.hpp"
#include "builder/packages/dependencies.hpp"
#include "builder/packages/lock.hpp"
#include "builder/packages/resolve.hpp"
#include "builder/packages/sources.hpp"
#include "builder/packages/version.hpp"
#include "tests/support/files.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/program.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

using namespace builder::packages;
using base::Kind;
using support::FailsWith;
using support::run_program;
using support::Succeeds;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(Control, ReadsParagraphsWithTheirContinuedLines) {
  const auto read = parse_paragraphs("Package: a\nDescription: short\n long\n .\n more\n\n\n# comment\npackage: b\n");
  ASSERT_THAT(read, Succeeds());
  ASSERT_EQ(read->size(), 2U);
  EXPECT_EQ((*read)[0].get("description"), "short\n long\n .\n more");
  EXPECT_EQ((*read)[1].get("Package"), "b");
  EXPECT_EQ((*read)[0].text(), "Package: a\nDescription: short\n long\n .\n more\n");
}

TEST(Control, NamesTheLineThatIsNone) {
  EXPECT_THAT(parse_paragraphs(" begins with a blank"), FailsWith(Kind::invalid_input, HasSubstr("line 1")));
  EXPECT_THAT(parse_paragraphs("A: b\n\nno colon\n"), FailsWith(Kind::invalid_input, HasSubstr("line 3")));
}

TEST(Version, SortsAsDpkgDoes) {
  const char* versions[] = {"1.0",    "1.0-1", "1.0~rc1", "1:0.9", "1.0+deb12u1", "1.0-1~bpo12+1",
                            "2.36-9", "0",     "1.0a",    "1.0.1", "10.0",        "1.00"};
  for (const std::string a : versions) {
    for (const std::string b : versions) {
      const int ours = compare_versions(a, b);
      const bool less = run_program({"dpkg", "--compare-versions", a, "lt", b}).exit_status == 0;
      const bool equal = run_program({"dpkg", "--compare-versions", a, "eq", b}).exit_status == 0;
      EXPECT_EQ(ours < 0, less) << a << " and " << b;
      EXPECT_EQ(ours == 0, equal) << a << " and " << b;
    }
  }
}

class Deb : public testing::Test {
 protected:
  /// A package made by dpkg-deb itself.
  std::string make(const std::string& name, const std::string& compression) {
    const std::string tree = directory.path(name);
    std::filesystem::create_directories(tree + "/DEBIAN");
    std::filesystem::create_directories(tree + "/usr/bin");
    directory.write(name + "/DEBIAN/control",
                    "Package: " + name +
                        "\nVersion: 1:2.0-3\nArchitecture: all\nMaintainer: Nobody <nobody@localhost>\n"
                        "Description: for a test\n of packages\n");
    directory.write(name + "/usr/bin/tool", std::string(100'001, 'x'));
    std::filesystem::create_symlink("tool", tree + "/usr/bin/link");
    const auto built = run_program(
        {"dpkg-deb", "--root-owner-group", "-Z" + compression, "--build", tree, directory.path(name + ".deb")});
    EXPECT_EQ(built.exit_status, 0) << built.errors;
    return directory.path(name + ".deb");
  }

  const support::TemporaryDirectory directory;
};

TEST_F(Deb, SaysWhatItIs) {
  for (const char* compression : {"xz", "gzip", "zstd", "none"}) {
    const auto facts = read_deb(make(std::string("tool-") + compression, compression));
    ASSERT_THAT(facts, Succeeds());
    EXPECT_EQ(facts->version, "1:2.0-3");
    EXPECT_EQ(facts->architecture, "all");
    EXPECT_EQ(facts->control.get("Description"), "for a test\n of packages");
  }
}

TEST_F(Deb, IsTheSamePackageUncompressed) {
  for (const char* compression : {"xz", "gzip", "zstd", "none"}) {
    const std::string deb = make(std::string("tool-") + compression, compression);
    const std::string plain = directory.path("plain.deb");
    ASSERT_THAT(write_uncompressed(deb, plain), Succeeds());
    for (const char* view : {"--contents", "--field"}) {
      EXPECT_EQ(run_program({"dpkg-deb", view, plain}).output, run_program({"dpkg-deb", view, deb}).output);
    }
    EXPECT_EQ(run_program({"sh", "-c", "dpkg-deb --fsys-tarfile \"$1\" | sha256sum", "sh", plain}).output,
              run_program({"sh", "-c", "dpkg-deb --fsys-tarfile \"$1\" | sha256sum", "sh", deb}).output);
  }
}

TEST_F(Deb, UnpacksAsDpkgDebDoes) {
  const std::string deb = make("tool", "xz");
  std::filesystem::create_directories(directory.path("ours/usr/sbin"));
  std::filesystem::create_directories(directory.path("theirs"));
  ASSERT_THAT(unpack_files(deb, directory.path("ours")), Succeeds());
  EXPECT_EQ(run_program({"dpkg-deb", "--extract", deb, directory.path("theirs")}).exit_status, 0);
  std::filesystem::remove(directory.path("ours/usr/sbin"));
  EXPECT_EQ(run_program({"diff", "-r", "--no-dereference", directory.path("ours"), directory.path("theirs")}).output,
            "");
}

TEST_F(Deb, RefusesWhatIsNone) {
  EXPECT_THAT(read_deb(directory.path("none.deb")), FailsWith(Kind::not_found, HasSubstr("none.deb")));
  EXPECT_THAT(read_deb(directory.write("text.deb", "no archive")), FailsWith(Kind::corrupt, HasSubstr("text.deb")));
  const std::string deb = make("short", "xz");
  std::filesystem::resize_file(deb, 300);
  EXPECT_THAT(write_uncompressed(deb, directory.path("out.deb")), FailsWith(Kind::corrupt, HasSubstr("short.deb")));
}

TEST_F(Deb, StandsInForAnInitramfsGenerator) {
  const auto bytes = stand_in_deb();
  ASSERT_THAT(bytes, Succeeds());
  const std::string path = directory.path("stand-in.deb");
  ASSERT_THAT(base::replace_file(path, *bytes), Succeeds());
  EXPECT_THAT(run_program({"dpkg-deb", "--field", path, "Provides"}).output, HasSubstr("linux-initramfs-tool"));
  EXPECT_EQ(run_program({"dpkg-deb", "--fsys-tarfile", path}).exit_status, 0);
}

Paragraph control_of(const std::string& text) {
  return parse_paragraphs(text)->front();
}

TEST(Dependencies, OfTheEssentialAreFollowedThroughAlternativesAndProvides) {
  const std::vector<Paragraph> controls = {
      control_of(
          "Package: bash\nEssential: yes\nPre-Depends: libc6 (>= 2.36), libtinfo6\nDepends: base-files (>= 2.1.12)\n"),
      control_of("Package: libc6\n"),
      control_of("Package: libtinfo6\nDepends: libc6\n"),
      control_of("Package: base-files\nDepends: awk | busybox\n"),
      control_of("Package: mawk\nProvides: awk\n"),
      control_of("Package: systemd\nDepends: libc6\n"),
  };
  EXPECT_THAT(essential_closure(controls), ElementsAre(0, 1, 2, 3, 4));
}

Lock some_lock() {
  Lock lock{.request = {.suite = "bookworm", .architecture = "amd64", .install = {"adduser", "dbus=1.14.10-1"}},
            .date = std::chrono::sys_seconds(std::chrono::seconds(1'763'000'000))};
  lock.indexes = {{"bookworm", "Sat, 15 Nov 2025 10:11:12 UTC", base::sha256(base::bytes_of("index"))}};
  lock.packages = {{"adduser", "3.134", "all", 183'272, base::sha256(base::bytes_of("a")), "pool/a/adduser.deb"},
                   {"agent", "1", "amd64", 1, base::sha256(base::bytes_of("b")), "../agent.deb", true}};
  return lock;
}

TEST(Lock, IsReadAsItWasWritten) {
  const Lock lock = some_lock();
  const auto read = parse_lock(to_json(lock));
  ASSERT_THAT(read, Succeeds());
  EXPECT_EQ(*read, lock);
  EXPECT_EQ(to_json(*read), to_json(lock));
  EXPECT_THAT(to_json(lock), HasSubstr("\"date\": \"2025-11-13T02:13:20Z\""));  // date -u -d @1763000000
}

TEST(Lock, NamesThePlaceOfWhatIsWrong) {
  struct Case {
    const char* before;
    const char* after;
    const char* complaint;
  };
  const Case cases[] = {
      {"\"keelson-lock\": 1", "\"keelson-lock\": 2", "format 2"},
      {"\"size\":183272", "\"size\":-1", "/packages/0/size"},
      {"\"size\":183272", "\"size\":\"183272\"", "/packages/0/size"},
      {"\"name\":\"adduser\"", "\"name\":\"../adduser\"", "/packages/0"},
      {"\"name\":\"adduser\"", "\"name\":\"zzz\"", "/packages/1"},
      {"\"path\":\"pool/a/adduser.deb\"", "\"path\":\"../../etc/passwd\"", "/packages/0/path"},
      {"\"path\":\"pool/a/adduser.deb\"", "\"path\":\"/etc/passwd\"", "/packages/0/path"},
      {"\"local\":true", "\"locale\":true", "/packages/1/locale: unknown"},
      {"\"date\": \"2025-11-13T02:13:20Z\"", "\"date\": \"yesterday\"", "/date"},
      {"\"suite\":\"bookworm\",\"arch", "\"suit\":\"bookworm\",\"arch", "/request/suit: unknown"},
      {"\"recommends\":false", "\"recommends\":\"no\"", "/request/recommends"},
      {"\"sha256\":\"ca978112", "\"sha256\":\"CA978112", "/packages/0/sha256"},
  };
  const std::string text = to_json(some_lock());
  for (const Case& each : cases) {
    std::string changed = text;
    const std::size_t at = changed.find(each.before);
    ASSERT_NE(at, std::string::npos) << each.before;
    changed.replace(at, std::string_view(each.before).size(), each.after);
    const auto read = parse_lock(changed);
    ASSERT_FALSE(read.has_value()) << each.after;
    EXPECT_THAT(read.error().message(), HasSubstr(each.complaint));
  }
}

TEST(Lock, TellsWhatAnUpdateChanges) {
  const Lock before = some_lock();
  Lock after = before;
  after.packages[0].version = "3.135";
  after.packages[0].sha256 = base::sha256(base::bytes_of("c"));
  after.packages[1].name = "newer";
  EXPECT_EQ(describe(difference(before, after)),
            "  upgraded    adduser  3.134 -> 3.135\n"
            "  removed     agent    1\n"
            "  added       newer    1\n");
  EXPECT_THAT(difference(before, before), testing::IsEmpty());
}

TEST(Sources, OfTheManifestAreReadByAptItself) {
  const auto sources = read_sources(
      "bookworm",
      std::vector<std::string>{
          "deb [arch=amd64 signed-by=/usr/share/keyrings/some.gpg] file:///mirror/debian bookworm main contrib",
          "deb [trusted=yes] file:///mirror/flat ./"});
  ASSERT_THAT(sources, Succeeds());
  ASSERT_EQ(sources->size(), 2U);
  EXPECT_EQ((*sources)[0].uri, "file:/mirror/debian/");
  EXPECT_EQ((*sources)[0].suite, "bookworm");
  EXPECT_THAT((*sources)[0].components, ElementsAre("contrib", "main"));
  EXPECT_EQ((*sources)[0].signed_by, "/usr/share/keyrings/some.gpg");
  EXPECT_TRUE((*sources)[1].trusted);
  EXPECT_THAT(read_sources("bookworm", std::vector<std::string>{"debian bookworm main"}),
              FailsWith(Kind::invalid_input, HasSubstr("packages.debian.mirror")));
}

}  // namespace
