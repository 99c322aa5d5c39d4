// Judges: systemctl, systemd-analyze, systemd-tmpfiles, pwck, grpck, tar.

#include <unistd.h>

#include <filesystem>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "base/digest.hpp"
#include "base/json.hpp"
#include "builder/root/accounts.hpp"
#include "builder/root/boot_assessment.hpp"
#include "builder/root/clean.hpp"
#include "builder/root/containers.hpp"
#include "builder/root/draft.hpp"
#include "builder/root/oci_archive.hpp"
#include "builder/root/units.hpp"
#include "builder/root/var_rules.hpp"
#include "image/directory_source.hpp"
#include "image/tree_edit.hpp"
#include "tests/support/files.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/program.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

using namespace builder::root;
using base::Kind;
using support::FailsWith;
using support::Holds;
using support::run_program;
using support::Succeeds;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::Optional;

class Root : public testing::Test {
 protected:
  void write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(directory.path(path)).parent_path());
    directory.write(path, text);
  }
  Draft draft(const std::string& name = "root") {
    std::filesystem::create_directories(directory.path(name));
    auto tree = image::read_directory(directory.path(name));
    EXPECT_THAT(tree, Succeeds());
    return Draft(*std::move(tree));
  }
  /// All links below a directory, a line each, as find(1) prints them.
  static std::string links_in(const Draft& root, const std::string& path) {
    std::set<std::string> lines;
    const std::function<void(image::InodeIndex, const std::string&)> walk = [&](image::InodeIndex at,
                                                                                const std::string& name) {
      for (const auto& entry : root.tree().inodes[at].entries) {
        const auto& inode = root.tree().inodes[entry.inode];
        const std::string below = name.empty() ? entry.name : name + "/" + entry.name;
        if (inode.type == image::FileType::directory) walk(entry.inode, below);
        if (inode.type == image::FileType::symlink) lines.insert(below + " " + inode.target);
      }
    };
    if (const auto at = root.find(path)) walk(*at, "");
    std::string text;
    for (const std::string& line : lines) text += line + "\n";
    return text;
  }

  const support::TemporaryDirectory directory;
};

TEST_F(Root, IsChangedWithoutTouchingTheDirectoryThatItCameFrom) {
  write("root/usr/bin/tool", "old");
  std::filesystem::create_symlink("usr/bin", directory.path("root/bin"));
  Draft root = draft();
  ASSERT_THAT(root.write("/bin/tool", "new", {0755, 1, 2}), Succeeds());
  ASSERT_THAT(root.write("/usr/share/made/by/us", "text"), Succeeds());
  EXPECT_THAT(root.read("/usr/bin/tool"), Holds(Optional(std::string("new"))));
  EXPECT_THAT(root.read("/bin/tool"), Holds(Optional(std::string("new"))));
  EXPECT_THAT(root.write("/usr/bin", "x"), FailsWith(Kind::invalid_input, HasSubstr("is a directory")));
  EXPECT_THAT(root.write("/usr/bin/tool/below", "x"), FailsWith(Kind::invalid_input, HasSubstr("no directory")));
  root.remove("/usr/bin/tool");
  EXPECT_FALSE(root.has("/usr/bin/tool"));
  EXPECT_EQ(support::slurp(directory.path("root/usr/bin/tool")), "old");
}

TEST_F(Root, OfARootReadsThroughBoth) {
  write("root/a", "first");
  write("upper/b", "second");
  Draft inner = draft();
  ASSERT_THAT(inner.write("/c", "third"), Succeeds());
  Draft outer(std::move(inner).finish());
  ASSERT_THAT(outer.lay_over(*image::read_directory(directory.path("upper")), "/"), Succeeds());
  ASSERT_THAT(outer.write("/d", "fourth"), Succeeds());
  for (const auto& [path, text] : {std::pair("/a", "first"), {"/b", "second"}, {"/c", "third"}, {"/d", "fourth"}}) {
    EXPECT_THAT(outer.read(path), Holds(Optional(std::string(text)))) << path;
  }
}

TEST_F(Root, LosesWhatDiffersFromRunToRun) {
  write("root/etc/shadow", "root:*:20400:0:99999:7:::\n");
  write("root/etc/shadow-", "x");
  write("root/etc/ssh/ssh_host_rsa_key", "secret");
  write("root/etc/ssh/sshd_config", "kept");
  write("root/etc/resolv.conf", "nameserver 192.0.2.1\n");
  write("root/var/log/dpkg.log", "2026-11-21");
  write("root/var/cache/ldconfig/aux-cache", "x");
  write("root/var/lib/dpkg/status", "Package: a\n");
  write("root/usr/share/doc/a/copyright", "licence");
  write("root/usr/share/doc/a/changelog.gz", "x");
  write("root/usr/share/man/man1/a.1.gz", "x");
  write("root/usr/lib/python3/__pycache__/a.pyc", "x");
  Draft root = draft();
  ASSERT_THAT(clean(root, {}), Succeeds());
  for (const char* gone : {"/etc/shadow-", "/etc/ssh/ssh_host_rsa_key", "/etc/resolv.conf", "/var/log/dpkg.log",
                           "/var/cache/ldconfig/aux-cache", "/usr/share/doc/a/changelog.gz", "/usr/share/man/man1",
                           "/usr/lib/python3/__pycache__"}) {
    EXPECT_FALSE(root.has(gone)) << gone;
  }
  for (const char* kept : {"/etc/ssh/sshd_config", "/usr/share/doc/a/copyright", "/usr/lib/sysimage/dpkg/status"}) {
    EXPECT_TRUE(root.has(kept)) << kept;
  }
  EXPECT_THAT(root.read("/etc/shadow"), Holds(Optional(std::string("root:*::0:99999:7:::\n"))));
  EXPECT_THAT(root.read("/etc/machine-id"), Holds(Optional(std::string())));
}

constexpr const char* passwd = "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n";
constexpr const char* group = "root:x:0:\ndaemon:x:1:\nsudo:x:27:\nshadow:x:42:\n";
constexpr const char* shadow = "root:*::0:99999:7:::\ndaemon:*::0:99999:7:::\n";
constexpr const char* gshadow = "root:*::\ndaemon:*::\nsudo:*::\nshadow:*::\n";

TEST_F(Root, GetsUsersThatPwckAndGrpckAccept) {
  const auto accounts =
      with_accounts({passwd, group, shadow, gshadow},
                    {{.name = "core", .groups = {"sudo"}}, {.name = "app", .uid = 1500, .shell = "/usr/sbin/nologin"}},
                    {{.name = "data", .gid = 2000}, {.name = "more"}});
  ASSERT_THAT(accounts, Succeeds());
  EXPECT_THAT(accounts->passwd,
              AllOf(HasSubstr("core:x:1001:1001::/home/core:/bin/bash\n"), HasSubstr("app:x:1500:1500:")));
  EXPECT_THAT(accounts->group,
              AllOf(HasSubstr("sudo:x:27:core\n"), HasSubstr("data:x:2000:\n"), HasSubstr("more:x:1000:\n")));
  EXPECT_THAT(accounts->shadow, HasSubstr("core:!*::0:99999:7:::\n"));
  write("root/etc/passwd", accounts->passwd);
  write("root/etc/group", accounts->group);
  write("root/etc/shadow", accounts->shadow);
  write("root/etc/gshadow", accounts->gshadow);
  const auto groups = run_program({"grpck", "--root", directory.path("root"), "--read-only"});
  EXPECT_EQ(groups.exit_status, 0) << groups.output << groups.errors;
  const auto users = run_program({"pwck", "--root", directory.path("root"), "--read-only", "--quiet"});
  EXPECT_THAT(users.output + users.errors, Not(HasSubstr("invalid")));
}

TEST_F(Root, RefusesUsersThatCannotBe) {
  const Accounts before{passwd, group, shadow, gshadow};
  const auto refusal = [&](const builder::manifest::User& user) { return with_accounts(before, {user}, {}); };
  EXPECT_THAT(refusal({.name = "daemon"}), FailsWith(Kind::invalid_input, HasSubstr("such a user already")));
  EXPECT_THAT(refusal({.name = "a", .uid = 1}), FailsWith(Kind::invalid_input, HasSubstr("1 is taken")));
  EXPECT_THAT(refusal({.name = "a", .groups = {"sudp"}}),
              FailsWith(Kind::invalid_input, HasSubstr("did you mean \"sudo\"?")));
  EXPECT_THAT(refusal({.name = "a", .password_hash = "x:y"}),
              FailsWith(Kind::invalid_input, HasSubstr("password_hash")));
  EXPECT_THAT(with_accounts(before, {}, {{.name = "sudo", .gid = 28}}),
              FailsWith(Kind::invalid_input, HasSubstr("27")));
}

TEST_F(Root, EnablesUnitsAsSystemctlDoes) {
  const std::pair<const char*, const char*> units[] = {
      {"plain.service", "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n"},
      {"many.service",
       "[Install]\nWantedBy=a.target b.target\nRequiredBy=c.target\nAlias=other.service\nAlso=plain.service\n"},
      {"getty@.service", "[Install]\nWantedBy=getty.target\nDefaultInstance=tty1\n"},
      {"emptied.service", "[Install]\nWantedBy=x.target\nWantedBy=\nWantedBy=y.target\n"},
      {"timer.timer", "; comment\n[Timer]\nWantedBy=wrong.target\n[Install]\n WantedBy = timers.target \n"},
  };
  for (const auto& [name, text] : units) write(std::string("root/usr/lib/systemd/system/") + name, text);
  Draft root = draft();
  builder::manifest::Units wanted;
  std::vector<std::string> argv = {"systemctl", "--root=" + directory.path("root"), "enable", "--quiet"};
  for (const auto& [name, text] : units) {
    const std::string unit = std::string(name) == "getty@.service" ? "getty@ttyS0.service" : name;
    wanted.enable.push_back(unit);
    argv.push_back(unit);
  }
  ASSERT_THAT(add_units(root, wanted, {}), Succeeds());
  const auto judged = run_program(argv);
  ASSERT_EQ(judged.exit_status, 0) << judged.errors;
  Draft theirs = draft();
  EXPECT_EQ(links_in(root, "/etc/systemd/system"), links_in(theirs, "/etc/systemd/system"));
}

TEST_F(Root, DisablesAndMasksUnits) {
  write("root/usr/lib/systemd/system/a.service", "[Install]\nWantedBy=multi-user.target\nAlias=b.service\n");
  std::filesystem::create_directories(directory.path("root/etc/systemd/system/multi-user.target.wants"));
  std::filesystem::create_symlink("/lib/systemd/system/a.service",
                                  directory.path("root/etc/systemd/system/multi-user.target.wants/a.service"));
  std::filesystem::create_symlink("/lib/systemd/system/a.service", directory.path("root/etc/systemd/system/b.service"));
  Draft root = draft();
  builder::manifest::Units units;
  units.disable = {"a.service"};
  units.mask = {"gone.timer"};
  ASSERT_THAT(add_units(root, units, {}), Succeeds());
  EXPECT_EQ(links_in(root, "/etc/systemd/system"), "gone.timer /dev/null\n");
  EXPECT_THAT(root.read("/usr/lib/systemd/system-preset/10-keelson.preset"),
              Holds(Optional(std::string("disable a.service\n"))));
}

TEST_F(Root, NamesAUnitThatThereIsNot) {
  write("root/usr/lib/systemd/system/containerd.service", "[Install]\nWantedBy=multi-user.target\n");
  write("root/usr/lib/systemd/system/static.service", "[Service]\nExecStart=/bin/true\n");
  Draft root = draft();
  builder::manifest::Units units;
  units.enable = {"containrd.service"};
  EXPECT_THAT(add_units(root, units, {}),
              FailsWith(Kind::invalid_input, HasSubstr("did you mean \"containerd.service\"?")));
  units.enable = {"static.service"};
  EXPECT_THAT(add_units(root, units, {}), FailsWith(Kind::invalid_input, HasSubstr("[Install]")));
}

/// What the package systemd-boot brings.
class BootAssessment : public Root {
 protected:
  void SetUp() override {
    write("root/usr/lib/systemd/systemd-bless-boot", "");
    write("root/usr/lib/systemd/system-generators/systemd-bless-boot-generator", "");
    write("root/usr/lib/systemd/system/systemd-bless-boot.service",
          "[Unit]\nDefaultDependencies=no\nRequires=boot-complete.target\nAfter=local-fs.target boot-complete.target\n"
          "[Service]\nType=oneshot\nExecStart=/usr/bin/true\n");
    write("root/usr/lib/systemd/system/systemd-boot-update.service", "[Service]\nExecStart=/usr/bin/true\n");
  }
  /// Puts the files and links of a root below directory/<name>, beside what is there.
  void lay_out(const Draft& root, const std::string& name) const {
    const std::function<void(image::InodeIndex, const std::string&)> walk = [&](image::InodeIndex at,
                                                                                const std::string& below) {
      std::filesystem::create_directories(directory.path(name + below));
      for (const auto& entry : root.tree().inodes[at].entries) {
        const auto& inode = root.tree().inodes[entry.inode];
        const std::string path = below + "/" + entry.name;
        if (inode.type == image::FileType::directory) walk(entry.inode, path);
        if (inode.type == image::FileType::symlink) {
          std::filesystem::create_symlink(inode.target, directory.path(name + path));
        }
        if (inode.type != image::FileType::regular) continue;
        directory.write(name + path, root.read(path)->value());
        std::filesystem::permissions(directory.path(name + path),
                                     static_cast<std::filesystem::perms>(inode.permissions));
      }
    };
    walk(0, "");
  }
};

TEST_F(BootAssessment, HasAProgramAUnitAndAGuard) {
  Draft root = draft();
  ASSERT_THAT(add_boot_assessment(root, 5,
                                  "\x7f"
                                  "ELF"),
              Succeeds());
  EXPECT_THAT(root.read("/usr/lib/keelson/keelson-boot"), Holds(Optional(std::string("\x7f"
                                                                                     "ELF"))));
  EXPECT_EQ(root.tree().inodes[*root.find("/usr/lib/keelson/keelson-boot")].permissions, 0755);
  EXPECT_THAT(root.read("/usr/lib/systemd/system/keelson-boot-complete.service"),
              Holds(Optional(HasSubstr("\nExecStart=/usr/lib/keelson/keelson-boot complete --tries 5\n"))));
  EXPECT_THAT(root.read("/usr/lib/systemd/system/systemd-bless-boot.service.d/10-keelson.conf"),
              Holds(Optional(HasSubstr("\nExecCondition=/usr/lib/keelson/keelson-boot may-bless\n"))));
  EXPECT_THAT(root.read("/usr/lib/systemd/system.conf.d/10-keelson-watchdog.conf"),
              Holds(Optional(HasSubstr("[Manager]\nRuntimeWatchdogSec=30s\nRebootWatchdogSec=2min\n"))));
  for (const char* unit : {"systemd-pcrphase", "systemd-pcrphase-sysinit"}) {
    EXPECT_THAT(root.read(fmt::format("/usr/lib/systemd/system/{}.service.d/10-keelson.conf", unit)),
                Holds(Optional(HasSubstr("ConditionPathExistsGlob=/usr/lib/*/libtss2-esys.so.0\n"))));
  }
  EXPECT_EQ(links_in(root, "/usr/lib/systemd/system"),
            "multi-user.target.wants/keelson-boot-complete.service ../keelson-boot-complete.service\n"
            "systemd-boot-update.service /dev/null\n");
}

TEST_F(BootAssessment, GoesRoundInNoCircle) {
  // The targets of this host, and a check of health as the agent has one.
  write("judged/usr/bin/true", "");
  const std::filesystem::path units = directory.path("judged/usr/lib/systemd/system");
  std::filesystem::create_directories(units);
  for (const auto& entry : std::filesystem::directory_iterator("/usr/lib/systemd/system")) {
    if (!entry.path().string().ends_with(".target")) continue;
    std::filesystem::copy(entry.path(), units / entry.path().filename(), std::filesystem::copy_options::copy_symlinks);
  }
  write("root/usr/lib/systemd/system/health.service",
        "[Unit]\nAfter=multi-user.target\nBefore=boot-complete.target\n"
        "[Service]\nType=oneshot\nExecStart=/usr/bin/true\n");
  std::filesystem::create_directories(directory.path("root/usr/lib/systemd/system/boot-complete.target.requires"));
  std::filesystem::create_symlink(
      "../health.service", directory.path("root/usr/lib/systemd/system/boot-complete.target.requires/health.service"));
  Draft root = draft();
  ASSERT_THAT(add_boot_assessment(root, 3, ""), Succeeds());
  lay_out(root, "judged");
  std::filesystem::permissions(directory.path("judged/usr/bin/true"), std::filesystem::perms(0755));
  const auto judged = run_program({"systemd-analyze", "--root=" + directory.path("judged"), "--man=no", "verify",
                                   "multi-user.target", "systemd-bless-boot.service", "keelson-boot-complete.service"});
  EXPECT_EQ(judged.exit_status, 0);
  EXPECT_EQ(judged.errors, "");
}

TEST_F(BootAssessment, NeedsWhoBlesses) {
  for (const char* missing :
       {"/usr/lib/systemd/systemd-bless-boot", "/usr/lib/systemd/system/systemd-bless-boot.service",
        "/usr/lib/systemd/system-generators/systemd-bless-boot-generator"}) {
    Draft root = draft();
    root.remove(missing);
    EXPECT_THAT(add_boot_assessment(root, 3, ""),
                FailsWith(Kind::invalid_input, HasSubstr(fmt::format("no {}, of the package systemd-boot", missing))));
  }
}

TEST_F(Root, MakesVarAsItsRulesSay) {
  if (::geteuid() != 0) GTEST_SKIP() << "systemd-tmpfiles changes owners";
  write("root/usr/share/factory/var/lib/some thing/100%", "content");
  write("root/usr/share/factory/var/spool/plain", "text");
  std::filesystem::create_symlink("../run", directory.path("root/usr/share/factory/var/run"));
  Draft root = draft();
  write("root/usr/lib/tmpfiles.d/var.conf", var_rules(root.tree()));
  const auto done = run_program({"systemd-tmpfiles", "--create", "--root=" + directory.path("root"), "var.conf"});
  ASSERT_EQ(done.exit_status, 0) << done.errors;
  EXPECT_EQ(support::slurp(directory.path("root/var/lib/some thing/100%")), "content");
  EXPECT_EQ(support::slurp(directory.path("root/var/spool/plain")), "text");
  EXPECT_EQ(std::filesystem::read_symlink(directory.path("root/var/run")), "../run");
  EXPECT_TRUE(std::filesystem::is_directory(directory.path("root/var/roothome")));
}

/// An OCI image layout made of tar archives.
class Oci : public Root {
 protected:
  std::string blob(const std::string& bytes) {
    const std::string digest = base::to_hex(base::sha256(base::bytes_of(bytes)));
    write("oci/blobs/sha256/" + digest, bytes);
    return digest;
  }
  base::Json descriptor(const std::string& type, const std::string& bytes) {
    return {{"mediaType", type}, {"digest", "sha256:" + blob(bytes)}, {"size", bytes.size()}};
  }
  /// A layer of these files: path and content; an empty content is a directory.
  std::string layer(const std::vector<std::pair<std::string, std::string>>& files) {
    std::filesystem::remove_all(directory.path("layer"));
    std::filesystem::create_directories(directory.path("layer"));
    for (const auto& [path, text] : files) write("layer/" + path, text);
    run_program({"tar", "--create", "--gzip", "--file=" + directory.path("layer.tar.gz"),
                 "--directory=" + directory.path("layer"), "."});
    return support::slurp(directory.path("layer.tar.gz"));
  }
  std::string archive(const std::vector<std::string>& layers, const base::Json& settings) {
    base::Json manifest = {{"schemaVersion", 2},
                           {"config", descriptor("application/vnd.oci.image.config.v1+json", settings.dump())},
                           {"layers", base::Json::array()}};
    for (const std::string& each : layers) {
      manifest["layers"].push_back(descriptor("application/vnd.oci.image.layer.v1.tar+gzip", each));
    }
    const base::Json index = {
        {"schemaVersion", 2},
        {"manifests", base::Json::array({descriptor("application/vnd.oci.image.manifest.v1+json", manifest.dump())})}};
    write("oci/index.json", index.dump());
    write("oci/oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
    run_program(
        {"tar", "--create", "--file=" + directory.path("web.tar"), "--directory=" + directory.path("oci"), "."});
    return directory.path("web.tar");
  }
  const base::Json config = {
      {"architecture", "amd64"},
      {"os", "linux"},
      {"config", {{"Entrypoint", {"/bin/web", "--listen"}}, {"Cmd", base::Json::array({":8080"})}, {"User", "app"}}}};
};

TEST_F(Oci, HasItsLayersOneOverTheOther) {
  const auto image =
      read_oci_archive(archive({layer({{"bin/web", "1"}, {"etc/conf/a", "a"}, {"etc/conf/b", "b"}, {"old", "x"}}),
                                layer({{"bin/web", "2"}, {".wh.old", ""}, {"etc/conf/.wh.a", ""}}),
                                layer({{"etc/conf/.wh..wh..opq", ""}, {"etc/conf/c", "c"}})},
                               config));
  ASSERT_THAT(image, Succeeds());
  EXPECT_THAT(image->config.entrypoint, testing::ElementsAre("/bin/web", "--listen"));
  for (const char* gone : {"/old", "/.wh.old", "/etc/conf/a", "/etc/conf/b", "/etc/conf/.wh..wh..opq"}) {
    EXPECT_FALSE(image::find(image->root.tree, gone).has_value()) << gone;
  }
  EXPECT_TRUE(image::find(image->root.tree, "/etc/conf/c").has_value());
}

TEST_F(Oci, IsRefusedWhereABlobIsNotWhatItsNameSays) {
  const std::string path = archive({layer({{"a", "a"}})}, config);
  for (const auto& entry : std::filesystem::directory_iterator(directory.path("oci/blobs/sha256"))) {
    support::flip_byte(entry.path(), 5);
  }
  EXPECT_THAT(read_oci_archive(directory.path("oci")), FailsWith(Kind::corrupt, HasSubstr("not what its name says")));
  EXPECT_THAT(read_oci_archive(directory.write("no.tar", "")), FailsWith(Kind::corrupt, HasSubstr("no.tar")));
  EXPECT_THAT(read_oci_archive(path), Succeeds());  // the archive was made before
}

TEST_F(Oci, BecomesAContainerThatContainerdRuns) {
  write("root/usr/bin/ctr", "");
  Draft root = draft();
  auto image =
      read_oci_archive(archive({layer({{"bin/web", "1"}, {"etc/passwd", "app:x:101:102::/:/bin/sh\n"}})}, config));
  ASSERT_THAT(image, Succeeds());
  ASSERT_THAT(add_container(root, {.name = "web"}, *std::move(image)), Succeeds());
  EXPECT_TRUE(root.has("/usr/lib/keelson/containers/web/rootfs/bin/web"));
  EXPECT_TRUE(root.has("/usr/lib/keelson/containers/web/rootfs/proc"));  // which its image does not have
  EXPECT_TRUE(root.has("/etc/systemd/system/multi-user.target.wants/keelson-container-web.service"));
  const auto text = root.read("/usr/lib/keelson/containers/web/config.json");
  ASSERT_THAT(text, Succeeds());
  const auto json = base::parse_json(**text);
  ASSERT_THAT(json, Succeeds());
  EXPECT_EQ((*json)["process"]["user"]["uid"], 101);
  EXPECT_EQ((*json)["process"]["args"], base::Json({"/bin/web", "--listen", ":8080"}));
  EXPECT_EQ((*json)["linux"]["namespaces"].size(), 4U);
  EXPECT_EQ((*json)["linux"]["resources"]["devices"][0]["allow"], false);
  write("bare/usr/bin/true", "");
  Draft bare = draft("bare");
  EXPECT_THAT(add_container(bare, {.name = "web"}, {}), FailsWith(Kind::invalid_input, HasSubstr("containerd")));
}

}  // namespace
