// An archive of packages as a mirror has it, made here, signed here: what apt and we do with what a mirror may serve.
// Judges: apt, gpg, dpkg-deb.

#include <chrono>
#include <filesystem>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "base/bytes.hpp"
#include "base/digest.hpp"
#include "base/file.hpp"
#include "builder/packages/archive.hpp"
#include "builder/packages/deb.hpp"
#include "builder/packages/resolve.hpp"
#include "builder/packages/sources.hpp"
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
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* good_until = "Fri, 01 Jan 2100 00:00:00 UTC";

class Mirror : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    keys = new support::TemporaryDirectory;
    gpg({"--quick-generate-key", "Test archive", "ed25519", "sign", "never"});
    run_program({"sh", "-c", "gpg --homedir \"$1\" --export >\"$1/archive.gpg\"", "sh", keys->path()});
    ASSERT_GT(std::filesystem::file_size(keys->path("archive.gpg")), 0U);
  }
  static void TearDownTestSuite() {
    run_program({"gpgconf", "--homedir", keys->path(), "--kill", "all"});
    delete keys;
    keys = nullptr;
  }

  static void gpg(std::vector<std::string> arguments) {
    const std::vector<std::string> first = {"gpg",     "--homedir",    keys->path(), "--batch",         "--yes",
                                            "--quiet", "--passphrase", "",           "--pinentry-mode", "loopback"};
    arguments.insert(arguments.begin(), first.begin(), first.end());
    const auto done = run_program(arguments);
    EXPECT_EQ(done.exit_status, 0) << done.errors;
  }

  Mirror() {
    std::filesystem::create_directories(directory.path("mirror/pool"));
    std::filesystem::create_directories(directory.path("mirror/dists/stable/main/binary-amd64"));
    add("basis", "1", "Essential: yes\n");
    add("tool", "1.0-1", "Depends: library (>= 1)\n");
    add("library", "1:1.2~rc1+x", "");
    publish();
  }

  void add(const std::string& name, const std::string& version, const std::string& fields) {
    const auto deb = make_empty_deb(
        fmt::format("Package: {}\nVersion: {}\nArchitecture: all\nMaintainer: Nobody\n{}Description: for a test\n",
                    name, version, fields));
    ASSERT_THAT(deb, Succeeds());
    const std::string file = fmt::format("pool/{}_{}_all.deb", name, version.substr(version.find(':') + 1));
    directory.write("mirror/" + file, base::text_of(*deb));
    const auto entry = index_entry(directory.path("mirror/" + file), file);
    ASSERT_THAT(entry, Succeeds());
    index += *entry;
  }

  /// Writes the index and signs it.
  void publish(const std::string& valid_until = good_until, bool sign = true) {
    directory.write("mirror/dists/stable/main/binary-amd64/Packages", index);
    const std::string release = fmt::format(
        "Origin: Test\nSuite: stable\nCodename: stable\nDate: Sat, 15 Nov 2025 10:11:12 UTC\nValid-Until: "
        "{}\nArchitectures: amd64\n"
        "Components: main\nSHA256:\n {} {} main/binary-amd64/Packages\n",
        valid_until, base::to_hex(base::sha256(base::bytes_of(index))), index.size());
    directory.write("mirror/dists/stable/Release", release);
    std::filesystem::remove(directory.path("mirror/dists/stable/InRelease"));
    if (sign) {
      gpg({"--clearsign", "--output", directory.path("mirror/dists/stable/InRelease"),
           directory.path("mirror/dists/stable/Release")});
    }
  }

  PackageRequest request(std::vector<std::string> names) const {
    return {.suite = "stable",
            .architecture = "amd64",
            .sources = std::vector{fmt::format("deb [signed-by={}] file:{} stable main", keys->path("archive.gpg"),
                                               directory.path("mirror"))},
            .install = std::move(names)};
  }
  base::Result<Lock> choose(std::vector<std::string> names, std::vector<LockedPackage> stay_with = {}) const {
    const PackageRequest wanted = request(std::move(names));
    ResolveOptions options{.stay_with = std::move(stay_with), .state_directory = directory.path("apt")};
    TRY(options.sources, read_sources(wanted.suite, wanted.sources));
    return resolve(wanted, options);
  }
  base::Result<> bring(const Lock& lock) const {
    TRY(const auto sources, read_sources("stable", lock.request.sources));
    return Archive(directory.path("archive")).bring(lock, sources, directory.path(), base::ProgressStyle::silent);
  }
  static std::vector<std::string> names_of(const Lock& lock) {
    std::vector<std::string> names;
    for (const LockedPackage& package : lock.packages) names.push_back(package.name + " " + package.version);
    return names;
  }

  static inline support::TemporaryDirectory* keys = nullptr;
  const support::TemporaryDirectory directory;
  std::string index =
      "Package: usr-is-merged\nVersion: 1\nArchitecture: all\nFilename: pool/m.deb\nSize: 1\nSHA256: "
      "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb\n\n";
};

TEST_F(Mirror, IsChosenFromWithAllThatIsNeeded) {
  const auto lock = choose({"tool"});
  ASSERT_THAT(lock, Succeeds());
  EXPECT_THAT(names_of(*lock), ElementsAre("basis 1", "library 1:1.2~rc1+x", "tool 1.0-1", "usr-is-merged 1"));
  EXPECT_EQ(lock->packages[1].path, "pool/library_1.2~rc1+x_all.deb");
  EXPECT_EQ(lock->date,
            std::chrono::sys_seconds(std::chrono::seconds(1763201472)));  // date -u -d '2025-11-15 10:11:12' +%s
  ASSERT_EQ(lock->indexes.size(), 1U);
  EXPECT_EQ(lock->indexes[0].suite, "stable");
  EXPECT_EQ(base::to_hex(lock->indexes[0].sha256) + "  " + directory.path("mirror/dists/stable/InRelease") + "\n",
            run_program({"sha256sum", directory.path("mirror/dists/stable/InRelease")}).output);
}

TEST_F(Mirror, IsAskedForAPackageThatThereIsNot) {
  EXPECT_THAT(choose({"tolo"}),
              FailsWith(Kind::invalid_input, AllOf(HasSubstr("tolo"), HasSubstr("did you mean \"tool\"?"))));
}

TEST_F(Mirror, CannotGiveWhatExcludesEachOther) {
  add("other", "1", "Conflicts: tool\n");
  publish();
  EXPECT_THAT(choose({"tool", "other"}), FailsWith(Kind::invalid_input, HasSubstr("tool")));
}

TEST_F(Mirror, MustSignItsIndex) {
  publish(good_until, false);
  EXPECT_THAT(choose({"tool"}), FailsWith(Kind::untrusted, HasSubstr("not signed")));
}

TEST_F(Mirror, MustSignItsIndexWithAKeyThatIsTrusted) {
  const support::TemporaryDirectory others;
  run_program({"gpg", "--homedir", others.path(), "--batch", "--passphrase", "", "--quick-generate-key", "Somebody",
               "ed25519", "sign", "never"});
  std::filesystem::remove(directory.path("mirror/dists/stable/InRelease"));
  run_program({"gpg", "--homedir", others.path(), "--batch", "--passphrase", "", "--pinentry-mode", "loopback",
               "--clearsign", "--output", directory.path("mirror/dists/stable/InRelease"),
               directory.path("mirror/dists/stable/Release")});
  run_program({"gpgconf", "--homedir", others.path(), "--kill", "all"});
  EXPECT_THAT(choose({"tool"}), FailsWith(Kind::untrusted, HasSubstr("NO_PUBKEY")));
}

TEST_F(Mirror, MustNotServeAnExpiredIndex) {
  publish("Sun, 16 Nov 2025 00:00:00 UTC");
  EXPECT_THAT(choose({"tool"}), FailsWith(Kind::untrusted, HasSubstr("expired")));
}

TEST_F(Mirror, MustServeTheIndexThatItSigned) {
  support::flip_byte(directory.path("mirror/dists/stable/main/binary-amd64/Packages"), 40);
  EXPECT_THAT(choose({"tool"}), FailsWith(Kind::corrupt, HasSubstr("Hash Sum mismatch")));
}

TEST_F(Mirror, KeepsTheVersionsOfTheLockUnlessAskedForNewer) {
  const auto before = choose({"tool"});
  ASSERT_THAT(before, Succeeds());
  add("library", "1:1.3", "");
  publish();
  const auto same = choose({"tool"}, before->packages);
  ASSERT_THAT(same, Succeeds());
  EXPECT_EQ(same->packages, before->packages);
  const auto newer = choose({"tool"});
  ASSERT_THAT(newer, Succeeds());
  EXPECT_EQ(describe(difference(*before, *newer)), "  upgraded    library  1:1.2~rc1+x -> 1:1.3\n");
}

TEST_F(Mirror, IsNotAskedForWhatTheArchiveHas) {
  auto lock = choose({"tool"});
  ASSERT_THAT(lock, Succeeds());
  std::erase_if(lock->packages, [](const LockedPackage& package) { return package.name == "usr-is-merged"; });
  ASSERT_THAT(bring(*lock), Succeeds());
  std::filesystem::remove_all(directory.path("mirror/pool"));
  EXPECT_THAT(bring(*lock), Succeeds());
}

TEST_F(Mirror, ServesATamperedPackageAndIsFoundOut) {
  auto lock = choose({"tool"});
  ASSERT_THAT(lock, Succeeds());
  std::erase_if(lock->packages, [](const LockedPackage& package) { return package.name == "usr-is-merged"; });
  support::flip_byte(directory.path("mirror/pool/tool_1.0-1_all.deb"), 200);
  EXPECT_THAT(bring(*lock),
              FailsWith(Kind::corrupt, AllOf(HasSubstr("tool 1.0-1"), HasSubstr("other bytes than the lock says"))));
  for (const auto& entry : std::filesystem::directory_iterator(directory.path("archive"))) {
    EXPECT_EQ(run_program({"dpkg-deb", "--field", entry.path(), "Package"}).exit_status, 0) << entry.path();
  }
}

TEST_F(Mirror, HasLostAPackageThatTheLockNames) {
  const auto lock = choose({"tool"});
  ASSERT_THAT(lock, Succeeds());
  std::filesystem::remove(directory.path("mirror/pool/tool_1.0-1_all.deb"));
  EXPECT_THAT(bring(*lock), FailsWith(Kind::not_found, HasSubstr("pool/")));
}

TEST_F(Mirror, GivesWhatAPackageBesideTheManifestNeeds) {
  const auto deb = make_empty_deb(
      "Package: agent\nVersion: 0.1\nArchitecture: amd64\nMaintainer: Nobody\nDepends: library\nDescription: for a "
      "test\n");
  ASSERT_THAT(deb, Succeeds());
  directory.write("agent.deb", base::text_of(*deb));
  const PackageRequest wanted = request({});
  ResolveOptions options{.local = {{"agent.deb", directory.path("agent.deb")}},
                         .state_directory = directory.path("apt")};
  options.sources = *read_sources(wanted.suite, wanted.sources);
  auto lock = resolve(wanted, options);
  ASSERT_THAT(lock, Succeeds());
  EXPECT_THAT(names_of(*lock), ElementsAre("agent 0.1", "basis 1", "library 1:1.2~rc1+x", "usr-is-merged 1"));
  EXPECT_TRUE(lock->packages[0].local);
  EXPECT_EQ(lock->packages[0].path, "agent.deb");
  EXPECT_EQ(lock->packages[0].sha256, base::sha256(*deb));
  std::erase_if(lock->packages, [](const LockedPackage& package) { return package.name == "usr-is-merged"; });
  EXPECT_THAT(bring(*lock), Succeeds());
  std::filesystem::remove_all(directory.path("archive"));
  support::flip_byte(directory.path("agent.deb"), 200);
  EXPECT_THAT(bring(*lock),
              FailsWith(Kind::invalid_input, AllOf(HasSubstr("agent.deb"), HasSubstr("run keelson lock"))));
}

TEST_F(Mirror, MendsAnArchiveThatHasRotted) {
  auto lock = choose({"tool"});
  ASSERT_THAT(lock, Succeeds());
  std::erase_if(lock->packages, [](const LockedPackage& package) { return package.name == "usr-is-merged"; });
  ASSERT_THAT(bring(*lock), Succeeds());
  const Archive archive(directory.path("archive"));
  support::flip_byte(archive.path_of(lock->packages[0].sha256), 100);
  ASSERT_THAT(bring(*lock), Succeeds());
  EXPECT_EQ(base::sha256(base::bytes_of(support::slurp(archive.path_of(lock->packages[0].sha256)))),
            lock->packages[0].sha256);
}

}  // namespace
