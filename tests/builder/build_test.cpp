// From a manifest to disks, of real packages from this host's apt sources, before outside judges: sfdisk, veritysetup,
// sbverify, sha256sum, mmdebstrap.

#include <sys/mount.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "base/json.hpp"
#include "base/subprocess.hpp"
#include "builder/sandbox/sandbox.hpp"
#include "tests/support/files.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/program.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

namespace fs = std::filesystem;
using support::run_program;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr const char* manifest = R"(keelson: 1
image: {id: tiny, version: 1.0.0}
packages:
  debian:
    suite: bookworm
    install: [systemd, systemd-sysv, kmod]
kernel: {package: linux-image-cloud-amd64, cmdline: ["console=ttyS0"]}
files:
  - {path: /etc/motd, source: motd}
  - {path: /usr/bin/hello, content: "#!/bin/sh\necho hello\n", mode: "0755"}
users: [{name: core, groups: [sudo], ssh_keys: ["ssh-ed25519 AAAA test"]}]
units: {mask: [apt-daily.timer]}
partitions: {root: 512MiB, headroom: 0%}
)";

/// One build for all the tests: it takes a while.
class Build : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (const auto possible = builder::sandbox::check_host(); !possible) {
      impossible = possible.error().message();
      return;
    }
    directory = new support::TemporaryDirectory;
    make_project("first");
    const auto built = build("first", {});
    ASSERT_EQ(built.exit_status, 0) << built.errors;
  }
  static void TearDownTestSuite() {
    delete directory;
    directory = nullptr;
  }
  void SetUp() override {
    if (!impossible.empty()) GTEST_SKIP() << impossible;
  }

  static std::string path(const std::string& name) { return directory->path(name); }

  static void make_project(const std::string& name) {
    fs::create_directories(path(name));
    directory->write(name + "/tiny.yaml", manifest);
    directory->write(name + "/motd", "welcome\n");
  }
  static std::vector<std::string> build_arguments(const std::string& project, const std::string& cache,
                                                  std::vector<std::string> more) {
    std::vector<std::string> argv = {
        KEELSON_PROGRAM,        "--json",  "-q",        "build",  path(project + "/tiny.yaml"), "--out",
        path(project + "/out"), "--cache", path(cache), "--init", KEELSON_INIT_PROGRAM};
    argv.insert(argv.end(), more.begin(), more.end());
    return argv;
  }
  static base::CommandResult build(const std::string& project, std::vector<std::string> more,
                                   const std::string& cache = "cache") {
    const auto result =
        base::run({.argv = build_arguments(project, cache, std::move(more)), .time_limit = std::chrono::minutes(9)});
    if (result) return *result;
    ADD_FAILURE() << result.error().message();
    return {255, "", ""};
  }
  /// A copy of the project with the lock and keys of the first one.
  static void copy_project(const std::string& name) {
    make_project(name);
    fs::copy_file(path("first/tiny.yaml.lock"), path(name + "/tiny.yaml.lock"), fs::copy_options::overwrite_existing);
    run_program({"cp", "-a", path("first/keys"), path(name + "/keys")});
  }
  static std::string digests(const std::string& project) {
    return run_program({"sh", "-c", "cd \"$1\" && sha256sum tiny_*", "sh", path(project + "/out")}).output;
  }

  static inline support::TemporaryDirectory* directory = nullptr;
  static inline std::string impossible;
};

TEST_F(Build, MakesADiskThatOutsideJudgesAccept) {
  const std::string disk = path("first/out/tiny_1.0.0.raw");
  EXPECT_THAT(run_program({"sfdisk", "--verify", disk}).output, HasSubstr("No errors detected."));
  const auto json = base::parse_json(support::slurp(path("first/out/report.json")));
  ASSERT_TRUE(json.has_value());
  EXPECT_EQ(support::veritysetup({"verify", path("first/out/tiny_1.0.0.root.erofs"),
                                  path("first/out/tiny_1.0.0.root.verity"), (*json)["root_hash"].get<std::string>()})
                .exit_status,
            0);
  EXPECT_EQ(
      run_program({"sbverify", "--cert", path("first/keys/db.crt"), path("first/out/tiny_1.0.0.efi")}).exit_status, 0);
  const auto verified = support::keelson(
      {"verify", disk, "--cert", path("first/keys/verity.crt"), "--secure-boot-cert", path("first/keys/db.crt")});
  EXPECT_EQ(verified.exit_status, 0) << verified.output;
}

TEST_F(Build, GivesWhatTheManifestSays) {
  run_program({"fsck.erofs", "--extract=" + path("root"), path("first/out/tiny_1.0.0.root.erofs")});
  EXPECT_EQ(support::slurp(path("root/usr/etc/motd")), "welcome\n");
  EXPECT_EQ(run_program({path("root/usr/bin/hello")}).output, "hello\n");
  EXPECT_THAT(support::slurp(path("root/usr/lib/os-release")),
              AllOf(HasSubstr("IMAGE_ID=tiny\n"), HasSubstr("IMAGE_VERSION=1.0.0\n")));
  EXPECT_THAT(support::slurp(path("root/usr/etc/passwd")), HasSubstr("core:x:1000:1000::/home/core:/bin/bash\n"));
  EXPECT_EQ(support::slurp(path("root/usr/share/factory/var/home/core/.ssh/authorized_keys")),
            "ssh-ed25519 AAAA test\n");
  EXPECT_EQ(fs::read_symlink(path("root/usr/etc/systemd/system/apt-daily.timer")), "/dev/null");
  EXPECT_EQ(support::slurp(path("root/usr/etc/machine-id")), "");
  EXPECT_EQ(run_program({path("root/usr/lib/keelson/keelson-boot"), "--help"}).exit_status, 0);
  // Nothing but what the host's owner asks for decides whether a boot is good.
  EXPECT_FALSE(fs::exists(path("root/usr/etc/systemd/system/boot-complete.target.requires")));
  // dpkg itself reads the database where it is now.
  const auto packages = run_program({"dpkg-query", "--admindir=" + path("root/usr/lib/sysimage/dpkg"), "--show"});
  EXPECT_THAT(packages.output, AllOf(HasSubstr("systemd"), Not(HasSubstr("initramfs-tools"))));
  fs::remove_all(path("root"));
}

TEST_F(Build, IsTheSameBitForBitFromColdCachesElsewhereAndOffline) {
  copy_project("second");
  fs::create_directories(path("cache2"));
  fs::copy(path("cache/packages"), path("cache2/packages"));
  std::vector<std::string> argv = {"sh",
                                   "-c",
                                   "cd / && umask 077 && exec \"$@\"",
                                   "sh",
                                   "env",
                                   "TZ=Pacific/Chatham",
                                   "LANG=tr_TR.UTF-8",
                                   "SOURCE_DATE_EPOCH=1",
                                   "faketime",
                                   "2031-07-01"};
  if (::geteuid() == 0) argv.insert(argv.end(), {"unshare", "--net"});  // no network at all
  for (const std::string& argument : build_arguments("second", "cache2", {"--offline"})) argv.push_back(argument);
  const auto built = base::run({.argv = argv, .time_limit = std::chrono::minutes(9)});
  ASSERT_TRUE(built.has_value());
  ASSERT_EQ(built->exit_status, 0) << built->errors;
  EXPECT_EQ(digests("second"), digests("first"));
  EXPECT_THAT(digests("first"), AllOf(HasSubstr("tiny_1.0.0.raw"), HasSubstr("tiny_1.0.0.efi"),
                                      HasSubstr("release.json"), HasSubstr("spdx.json")));
  const auto pruned = support::keelson({"--json", "cache", "prune", "--cache", path("cache2"), "--unused-for", "0s"});
  EXPECT_THAT(pruned.output, HasSubstr("\"steps\": 2"));
  EXPECT_THAT(support::keelson({"--json", "cache", "list", "--cache", path("cache2")}).output,
              HasSubstr("\"steps\": []"));
  EXPECT_TRUE(fs::is_empty(path("cache2/packages")));
  fs::remove_all(path("second"));
}

TEST_F(Build, NeedsNoRoot) {
  if (::geteuid() != 0) GTEST_SKIP() << "the other tests show it";
  const auto made = run_program({"useradd", "--create-home", "keelson-test"});
  if (made.exit_status != 0) GTEST_SKIP() << made.errors;
  copy_project("user");
  fs::create_directories(path("cache-user"));
  fs::copy(path("cache/packages"), path("cache-user/packages"));
  for (const char* each : {"user", "cache-user"}) run_program({"chown", "-R", "keelson-test:", path(each)});
  fs::permissions(directory->path(), fs::perms::others_exec, fs::perm_options::add);
  std::vector<std::string> argv = {"runuser", "--user", "keelson-test", "--"};
  for (const std::string& argument : build_arguments("user", "cache-user", {"--offline"})) argv.push_back(argument);
  const auto built = base::run({.argv = argv, .working_directory = "/", .time_limit = std::chrono::minutes(9)});
  run_program({"userdel", "--remove", "keelson-test"});
  ASSERT_TRUE(built.has_value());
  ASSERT_EQ(built->exit_status, 0) << built->errors;
  EXPECT_EQ(digests("user"), digests("first"));
  fs::remove_all(path("user"));
}

TEST_F(Build, DoesOnlyWhatHasToBeDone) {
  copy_project("third");
  const auto again = build("third", {});
  ASSERT_EQ(again.exit_status, 0) << again.errors;
  const auto steps = [](const base::CommandResult& result) {
    std::string text;
    const auto json = base::parse_json(result.output);
    if (!json) return result.output;
    if ((*json)["up_to_date"] == true) return std::string("up to date");
    for (const auto& step : (*json)["steps"]) {
      text += fmt::format("{}:{} ", step["name"].get<std::string>(),
                          step["ran"].get<bool>() ? step["reason"].get<std::string>() : "cached");
    }
    return text;
  };
  EXPECT_EQ(steps(again), "root:cached image: ");
  EXPECT_EQ(steps(build("third", {})), "up to date");
  directory->write("third/motd", "changed\n");
  EXPECT_EQ(steps(build("third", {})), "packages:cached root:changed: programs, and files beside the manifest image: ");
  EXPECT_EQ(steps(build("third", {"--set", "partitions.root=600MiB"})),
            "packages:cached root:changed: manifest image: ");
  fs::remove(path("third/out/tiny_1.0.0.raw"));
  EXPECT_THAT(steps(build("third", {})), HasSubstr("image"));
  const auto difference =
      support::keelson({"diff", path("first/out/tiny_1.0.0.raw"), path("third/out/tiny_1.0.0.raw")});
  EXPECT_THAT(difference.output,
              AllOf(HasSubstr("~ /usr/etc/motd"), HasSubstr("root hash"), Not(HasSubstr("packages"))));
  fs::remove_all(path("third"));
}

TEST_F(Build, RefusesALockThatWasMadeForSomethingElse) {
  copy_project("fourth");
  std::string text = manifest;
  text.replace(text.find("kmod]"), 5, "kmod, udev]");
  directory->write("fourth/tiny.yaml", text);
  const auto built = build("fourth", {});
  EXPECT_EQ(built.exit_status, 2);
  EXPECT_THAT(built.errors, AllOf(HasSubstr("also asks for udev"), HasSubstr("run keelson lock")));
  EXPECT_FALSE(fs::exists(path("fourth/out")));
}

TEST_F(Build, KeepsToItsBudgetAndItsSlot) {
  copy_project("fifth");
  const auto packages = build("fifth", {"--set", "budget.packages=10"});
  EXPECT_EQ(packages.exit_status, 2);
  EXPECT_THAT(packages.errors, AllOf(HasSubstr("budget.packages"), HasSubstr("linux-image")));
  const auto root = build("fifth", {"--set", "budget.root=20MiB"});
  EXPECT_THAT(root.errors, HasSubstr("budget.root: the root takes"));
  const auto setuid = build("fifth", {"--set", "budget.setuid=[/usr/bin/su]"});
  EXPECT_THAT(setuid.errors, AllOf(HasSubstr("/usr/bin/mount: is set-user-ID"), Not(HasSubstr("/usr/bin/su:"))));
  const auto slot = build("fifth", {"--set", "partitions.root=300MiB", "--set", "partitions.headroom=60%"});
  EXPECT_THAT(slot.errors, HasSubstr("60 % are demanded"));
  fs::remove_all(path("fifth"));
}

TEST_F(Build, NamesWhatTheManifestAsksForAndTheRootHasNot) {
  struct Case {
    const char* setting;
    const char* complaint;
  };
  const Case cases[] = {
      {"units.enable=[systemd-networkt.service]", "did you mean \"systemd-networkd.service\"?"},
      {"users=[{name: me, groups: [sudp]}]", "did you mean \"sudo\"?"},
      {"users=[{name: root}]", "such a user already"},
      {"files=[{path: /etc/x, source: nowhere}]", "nowhere"},
      {"files=[{path: /usr, content: x}]", "is a directory"},
      {"files=[{path: /etc/x, content: x, owner: nobdy}]", "no user nobdy"},
      {"trees=[nowhere/]", "nowhere"},
      {"containers=[{name: web, image: \"oci-archive:nowhere.tar\"}]", "nowhere.tar"},
      {"kernel.modules=[virtio_blkk]", "virtio_blk"},
      {"files=[{path: /stray/x, content: x}]", "/stray: has no place in the root"},
  };
  copy_project("sixth");
  for (const Case& each : cases) {
    const auto built = build("sixth", {"--set", each.setting});
    EXPECT_NE(built.exit_status, 0) << each.setting;
    EXPECT_THAT(built.errors, HasSubstr(each.complaint)) << each.setting;
    EXPECT_FALSE(fs::exists(path("sixth/out"))) << each.setting;
  }
}

TEST_F(Build, LeavesNothingBehindWhenItIsInterrupted) {
  for (const int after_ms : {300, 1500, 4000, 9000}) {
    SCOPED_TRACE(after_ms);
    copy_project("seventh");
    const std::string temporary = path("temporary");
    fs::create_directories(temporary);
    fs::create_directories(path("cache7"));
    if (!fs::exists(path("cache7/packages"))) fs::copy(path("cache/packages"), path("cache7/packages"));
    fs::remove_all(path("cache7/repo"));
    std::vector<std::string> argv = {"env", "TMPDIR=" + temporary};
    for (const std::string& argument : build_arguments("seventh", "cache7", {})) argv.push_back(argument);
    auto running = base::Subprocess::start({.argv = argv, .time_limit = std::chrono::minutes(3)});
    ASSERT_TRUE(running.has_value());
    ::usleep(static_cast<useconds_t>(after_ms) * 1000);
    ::kill(running->pid(), SIGINT);
    const auto ended = running->wait();
    ASSERT_TRUE(ended.has_value());
    EXPECT_EQ(ended->exit_status, 130) << ended->errors;
    EXPECT_TRUE(fs::is_empty(temporary));
    EXPECT_THAT(support::slurp("/proc/self/mounts"), Not(HasSubstr("keelson-sandbox")));
    EXPECT_NE(run_program({"pgrep", "--full", "sandbox-install"}).exit_status, 0);
    for (const auto& entry : fs::recursive_directory_iterator(path("seventh"))) {
      EXPECT_THAT(entry.path().string(), Not(HasSubstr(".partial-")));
    }
    fs::remove_all(temporary);
    fs::remove_all(path("seventh"));
  }
}

TEST_F(Build, OnAFullDiskSaysSo) {
  if (::geteuid() != 0) GTEST_SKIP() << "a small file system needs root";
  copy_project("eighth");
  fs::create_directories(path("eighth/out"));
  ASSERT_EQ(::mount("tmpfs", path("eighth/out").c_str(), "tmpfs", 0, "size=100m"), 0);
  const auto built = build("eighth", {});
  EXPECT_EQ(built.exit_status, 1);
  EXPECT_THAT(built.errors, HasSubstr("No space left on device"));
  EXPECT_TRUE(fs::is_empty(path("eighth/out")));
  ::umount(path("eighth/out").c_str());
}

TEST_F(Build, InstallsWhatMmdebstrapInstalls) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  // The same packages, installed by mmdebstrap from an archive of exactly these; then both are compared by their files.
  const auto lock = base::parse_json(support::slurp(path("first/tiny.yaml.lock")), {.max_bytes = 1 << 24});
  ASSERT_TRUE(lock.has_value());
  fs::create_directories(path("repo"));
  std::ofstream index(path("repo/Packages"));
  std::string names;
  for (const auto& package : (*lock)["packages"]) {
    const std::string sha256 = package["sha256"];
    fs::copy_file(path("cache/packages/" + sha256 + ".deb"), path("repo/" + sha256 + ".deb"));
    index << run_program({"dpkg-deb", "--field", path("repo/" + sha256 + ".deb")}).output
          << fmt::format("Filename: ./{0}.deb\nSize: {1}\nSHA256: {0}\n\n", sha256,
                         package["size"].get<std::uint64_t>());
    names += (names.empty() ? "" : ",") + package["name"].get<std::string>();
  }
  // What stands for an initramfs generator is ours.
  for (const auto& entry : fs::directory_iterator(path("cache/packages"))) {
    if (run_program({"dpkg-deb", "--field", entry.path(), "Package"}).output != "keelson-initrd\n") continue;
    fs::copy_file(entry.path(), path("repo/stand-in.deb"));
    index << run_program({"dpkg-deb", "--field", entry.path()}).output
          << fmt::format("Filename: ./stand-in.deb\nSize: {}\nSHA256: {}\n\n", fs::file_size(entry.path()),
                         entry.path().stem().string());
  }
  index.close();
  const auto made =
      base::run({.argv = {"mmdebstrap", "--quiet", "--mode=root", "--variant=custom", "--format=directory",
                          "--include=keelson-initrd," + names, "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr", "",
                          path("theirs"), fmt::format("deb [trusted=yes] copy:{} ./", path("repo"))},
                 .time_limit = std::chrono::minutes(9)});
  ASSERT_TRUE(made.has_value());
  ASSERT_EQ(made->exit_status, 0) << made->errors;
  const std::string repository = path("cache/repo");
  const std::string ref =
      run_program({"sh", "-c", "ostree --repo=\"$1\" refs | grep step/packages | head -n 1", "sh", repository}).output;
  run_program({"ostree", "--repo=" + repository, "checkout", ref.substr(0, ref.find('\n')), path("ours")});
  // Where they may differ: caches, logs, apt's own, documentation that we drop, what each of the two tidies up.
  const auto listing = [](const std::string& root) {
    return run_program(
               {"sh", "-c",
                "cd \"$1\" && find . \\( -path ./dev -o -path ./proc -o -path ./sys -o -path ./run -o -path ./tmp -o "
                "-path ./var/cache -o -path ./var/log -o -path ./var/lib/dpkg -o -path ./usr/lib/sysimage -o -path "
                "./usr/share/doc -o "
                "-path ./usr/share/man -o -path ./usr/share/info -o -path ./usr/share/lintian -o -path ./var/lib/apt "
                "-o -path ./etc/apt "
                "-o -name '__pycache__' \\) -prune -o -printf '%p %y %m %U:%G %l\\n' | sort",
                "sh", root})
        .output;
  };
  directory->write("theirs.txt", listing(path("theirs")));
  directory->write("ours.txt", listing(path("ours")));
  const std::string difference = run_program({"diff", path("theirs.txt"), path("ours.txt")}).output;
  std::string unexpected;
  for (std::size_t at = 0; at < difference.size();) {
    const std::size_t end = difference.find('\n', at);
    const std::string line = difference.substr(at, end - at);
    at = end + 1;
    constexpr std::string_view expected[] = {
        "./etc/machine-id",      "./etc/hostname",    "./etc/fstab",    "./etc/resolv.conf", "./etc/passwd-",
        "./etc/group-",          "./etc/shadow-",     "./etc/gshadow-", "./etc/subuid-",     "./etc/subgid-",
        "./etc/.pwd.lock",       "./usr/share/linda", "./vmlinuz",      "./initrd.img",      "./boot/initrd",
        "./etc/dpkg/dpkg.cfg.d", "./var/lib/systemd", ". d ",           "./usr/lib d "};
    const bool known = !line.starts_with("<") && !line.starts_with(">");
    if (known || std::ranges::any_of(expected, [&](std::string_view path) { return line.substr(2).starts_with(path); }))
      continue;
    unexpected += line + "\n";
  }
  EXPECT_EQ(unexpected, "");
}

}  // namespace
