#include "builder/manifest/manifest.hpp"

#include <map>

#include <gmock/gmock.h>

#include "tests/support/matchers.hpp"

namespace {

using base::Kind;
using builder::manifest::LoadOptions;
using builder::manifest::Manifest;
using builder::manifest::read_manifest;
using support::FailsWith;
using support::Succeeds;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

/// Manifests by their names, instead of a disk.
LoadOptions files(std::map<std::string, std::string> texts, const std::vector<std::string>& settings = {}) {
  LoadOptions options;
  options.read_file = [texts = std::move(texts)](const std::string& path) -> base::Result<std::string> {
    const auto found = texts.find(path);
    if (found == texts.end()) return base::fail(Kind::not_found, path + " is not there");
    return found->second;
  };
  options.settings = *builder::manifest::parse_settings(settings);
  return options;
}

base::Result<Manifest> read(const std::string& text, const std::vector<std::string>& settings = {}) {
  return read_manifest("m.yaml", files({{"m.yaml", text}}, settings));
}

constexpr const char* smallest =
    "keelson: 1\n"
    "image: {id: node, version: 1.0.0}\n"
    "packages: {debian: {suite: bookworm}}\n";

TEST(ManifestOf, TheSmallestHasDefaults) {
  const auto manifest = read(smallest);
  ASSERT_THAT(manifest, Succeeds());
  EXPECT_EQ(manifest->id, "node");
  EXPECT_EQ(manifest->version, "1.0.0");
  EXPECT_EQ(manifest->arch, "x86-64");
  EXPECT_EQ(manifest->root_bytes, std::uint64_t{2} << 30);
  EXPECT_EQ(manifest->esp_bytes, std::uint64_t{512} << 20);
  EXPECT_EQ(manifest->headroom_percent, 30U);
  EXPECT_EQ(manifest->boot_tries, 3U);
  EXPECT_TRUE(manifest->secure_boot);
  EXPECT_EQ(manifest->debian.sources, std::nullopt);
  EXPECT_THAT(manifest->outputs, ElementsAre(builder::manifest::OutputFormat::raw));
}

TEST(ManifestOf, EverythingIsRead) {
  const auto manifest = read(R"(
keelson: 1
variables: {tty: ttyS0}
image: {id: node, version: 1.2.3, name: A node}
packages:
  debian:
    suite: bookworm
    mirror: ["deb http://example.invalid/debian bookworm main"]
    install: [systemd, containerd, libc6=2.36-9]
    recommends: true
  local: [build/*.deb]
scripts: declarative
kernel: {package: linux-image-amd64, cmdline: [quiet, "console=${tty}"], modules: [virtio_net]}
files:
  - {path: /etc/motd, content: "hello ${image.version}\n", mode: "0640", owner: root, group: adm}
  - {path: /usr/lib/x, source: x.bin}
trees: [overlay/, {source: more.tar, target: /usr/share}]
users: [{name: core, uid: 1500, groups: [sudo], ssh_keys: [ssh-ed25519 AAAA], shell: /bin/sh}]
groups: [{name: app, gid: 700}]
units:
  enable: [containerd.service]
  mask: [apt-daily.timer]
  files: [{name: hello.service, content: "[Service]\n"}]
containers: [{name: web, image: oci-archive:web.tar}]
os_release: {VARIANT_ID: test}
hostname: node
etc: [{path: /etc/hosts, policy: local}]
partitions: {esp: 128MiB, root: 1GiB, headroom: 10%}
compression: lz4hc
boot: {tries: 5, secure_boot: false, timeout: 3s}
keys: ../keys
update: {url: "http://example.invalid/repo", channel: stable}
health: {soak: 2min, checks: [{unit: containerd.service}, {http: "http://127.0.0.1:8080/healthz", timeout: 500ms}]}
outputs: [raw, qcow2]
budget: {root: 600MiB, packages: 200, setuid: [/usr/bin/su]}
)");
  ASSERT_THAT(manifest, Succeeds());
  EXPECT_EQ(manifest->pretty_name, "A node");
  EXPECT_THAT(*manifest->debian.sources, ElementsAre("deb http://example.invalid/debian bookworm main"));
  EXPECT_THAT(manifest->debian.install, ElementsAre("systemd", "containerd", "libc6=2.36-9"));
  EXPECT_TRUE(manifest->debian.recommends);
  EXPECT_EQ(manifest->scripts, builder::manifest::Scripts::declarative);
  EXPECT_THAT(manifest->cmdline, ElementsAre("quiet", "console=ttyS0"));
  ASSERT_EQ(manifest->files.size(), 2U);
  EXPECT_EQ(manifest->files[0].content.text, "hello 1.2.3\n");
  EXPECT_EQ(manifest->files[0].mode, 0640);
  EXPECT_EQ(manifest->files[1].content.source, "x.bin");
  ASSERT_EQ(manifest->trees.size(), 2U);
  EXPECT_EQ(manifest->trees[1].target, "/usr/share");
  EXPECT_EQ(manifest->users[0].uid, 1500U);
  EXPECT_EQ(manifest->groups[0].gid, 700U);
  EXPECT_THAT(manifest->units.mask, ElementsAre("apt-daily.timer"));
  EXPECT_EQ(manifest->containers[0].image, "oci-archive:web.tar");
  EXPECT_EQ(manifest->os_release.at("VARIANT_ID"), "test");
  EXPECT_EQ(manifest->etc[0].policy, "local");
  EXPECT_EQ(manifest->esp_bytes, std::uint64_t{128} << 20);
  EXPECT_EQ(manifest->headroom_percent, 10U);
  EXPECT_EQ(manifest->compression, builder::manifest::Compression::lz4hc);
  EXPECT_EQ(manifest->boot_timeout, std::chrono::seconds(3));
  EXPECT_EQ(manifest->soak, std::chrono::minutes(2));
  ASSERT_EQ(manifest->health_checks.size(), 2U);
  EXPECT_EQ(manifest->health_checks[1].kind, builder::manifest::CheckKind::http);
  EXPECT_EQ(manifest->health_checks[1].timeout, std::chrono::milliseconds(500));
  EXPECT_EQ(manifest->budget.packages, 200U);
}

TEST(ManifestOf, TextIsTakenAsItIsWritten) {
  const auto manifest =
      read("keelson: 1\nimage: {id: no, version: 1.10}\npackages: {debian: {suite: 12}}\nhostname: yes\n");
  ASSERT_THAT(manifest, Succeeds());
  EXPECT_EQ(manifest->id, "no");
  EXPECT_EQ(manifest->version, "1.10");
  EXPECT_EQ(manifest->debian.suite, "12");
  EXPECT_EQ(manifest->hostname, "yes");
}

TEST(ManifestInclude, MergesMapsAppendsListsAndLetsTheLaterCount) {
  const auto manifest = read_manifest(
      "dir/node.yaml",
      files({{"dir/node.yaml",
              "keelson: 1\ninclude: [../base.yaml, extra.yaml]\nimage: {id: node, version: 2.0.0}\n"
              "packages: {debian: {install: [third]}}\nhostname: ~\n"},
             {"base.yaml",
              "image: {id: base, version: 1.0.0}\nhostname: base\n"
              "packages: {debian: {suite: bookworm, install: [first]}}\nkernel: {cmdline: [quiet]}\n"},
             {"dir/extra.yaml", "packages: {debian: {install: [second]}}\nkernel: {package: linux-image-amd64}\n"}}));
  ASSERT_THAT(manifest, Succeeds());
  EXPECT_EQ(manifest->id, "node");
  EXPECT_EQ(manifest->version, "2.0.0");
  EXPECT_EQ(manifest->hostname, "");
  EXPECT_THAT(manifest->debian.install, ElementsAre("first", "second", "third"));
  EXPECT_THAT(manifest->cmdline, ElementsAre("quiet"));
  EXPECT_EQ(manifest->kernel_package, "linux-image-amd64");
}

TEST(ManifestInclude, OfItselfIsAnErrorThatShowsTheWay) {
  EXPECT_THAT(read_manifest("a.yaml", files({{"a.yaml", "include: [b.yaml]"}, {"b.yaml", "include: [./a.yaml]"}})),
              FailsWith(Kind::invalid_input, HasSubstr("a.yaml -> b.yaml -> a.yaml")));
  EXPECT_THAT(read_manifest("a.yaml", files({{"a.yaml", "keelson: 1\ninclude: [none.yaml]"}})),
              FailsWith(Kind::not_found, AllOf(HasSubstr("a.yaml:2:11"), HasSubstr("none.yaml"))));
}

TEST(ManifestSetting, CountsMoreThanAnyFile) {
  const auto manifest =
      read(smallest, {"image.version=3.0", "outputs=[qcow2]", "packages.debian.install=[vim]", "image.version=3.1"});
  ASSERT_THAT(manifest, Succeeds());
  EXPECT_EQ(manifest->version, "3.1");
  EXPECT_THAT(manifest->outputs, ElementsAre(builder::manifest::OutputFormat::qcow2));
  EXPECT_THAT(manifest->debian.install, ElementsAre("vim"));
  EXPECT_THAT(
      read(smallest, {"image.versoin=1"}),
      FailsWith(Kind::invalid_input, AllOf(HasSubstr("--set image.versoin"), HasSubstr("did you mean \"version\""))));
  for (const char* bad : {"image.version", "=1", ".x=1", "a..b=1"}) {
    EXPECT_THAT(builder::manifest::parse_settings({"a=1", bad}),
                FailsWith(Kind::invalid_input, HasSubstr(std::string("\"") + bad + "\": write KEY=VALUE")));
  }
}

TEST(ManifestPerArch, CountsForItsArchitectureOnly) {
  const auto manifest = read(
      std::string(smallest) +
      "per_arch:\n  x86-64: {kernel: {cmdline: [console=ttyS0]}}\n  arm64: {kernel: {cmdline: [console=ttyAMA0]}}\n");
  ASSERT_THAT(manifest, Succeeds());
  EXPECT_THAT(manifest->cmdline, ElementsAre("console=ttyS0"));
}

TEST(ManifestVariables, AreReplacedOnce) {
  const auto manifest = read(std::string(smallest) +
                             "variables: {a: '${b}', b: x}\nkernel: {cmdline: ['${a}', '$${b}', '${image.id}']}\n");
  ASSERT_THAT(manifest, Succeeds());
  EXPECT_THAT(manifest->cmdline, ElementsAre("${b}", "${b}", "node"));
}

struct Bad {
  const char* name;
  const char* text;  // behind the smallest manifest, or instead of it where it begins with '!'
  const char* said;
};

void PrintTo(const Bad& bad, std::ostream* out) {
  *out << bad.name;
}

class BadManifest : public testing::TestWithParam<Bad> {};

TEST_P(BadManifest, IsRefusedWithPlaceAndReason) {
  const std::string_view text = GetParam().text;
  const std::string whole = text.starts_with('!') ? std::string(text.substr(1)) : smallest + std::string(text);
  EXPECT_THAT(read(whole), FailsWith(Kind::invalid_input, HasSubstr(GetParam().said)));
}

INSTANTIATE_TEST_SUITE_P(
    Each, BadManifest,
    testing::Values(
        Bad{"NotYaml", "files: [", "m.yaml:4:1: end of sequence flow not found"},
        Bad{"NoMap", "!- a\n", "m.yaml:1:1: a manifest is a map, and this is a list"},
        Bad{"Empty", "!", "m.yaml:1:1: \"keelson\" is missing: The version of the language: 1"},
        Bad{"TwoDocuments", "---\nkeelson: 1\n", "m.yaml:5:1: a second document begins here"},
        Bad{"UnknownKey", "pakages: {}\n", "m.yaml:4:1: \"pakages\" is not known; did you mean \"packages\"?"},
        Bad{"UnknownKeyBelow", "boot: {tris: 3}\n",
            "m.yaml:4:8: \"boot.tris\" is not known; did you mean \"tries\"?; boot has: tries, secure_boot, timeout"},
        Bad{"DuplicateKey", "hostname: a\nhostname: b\n",
            "m.yaml:5:1: \"hostname\" stands here a second time; first in line 4"},
        Bad{"AnotherLanguage", "!keelson: 2\nimage: {id: a, version: 1}\npackages: {debian: {suite: x}}\n",
            "m.yaml:1:10: \"keelson\" is 2; it may be from 1 to 1"},
        Bad{"NoImage", "!keelson: 1\npackages: {debian: {suite: x}}\n", "m.yaml:1:1: \"image\" is missing"},
        Bad{"NoVersion", "!keelson: 1\nimage: {id: a}\npackages: {debian: {suite: x}}\n",
            "m.yaml:2:8: \"image.version\" is missing"},
        Bad{"UpperCaseId", "!keelson: 1\nimage: {id: Node, version: 1}\npackages: {debian: {suite: x}}\n",
            "m.yaml:2:13: \"image.id\" must be an image id of a-z 0-9 . -, beginning with a letter or digit, and is "
            "\"Node\""},
        Bad{"LabelTooLong",
            "!keelson: 1\nimage: {id: abcdefghijklmnopqrstuvwxyz, version: 1.0.0-abcdefg}\npackages: {debian: {suite: "
            "x}}\n",
            "a partition label, <id>_<version>, holds 36"},
        Bad{"OtherArchitecture",
            "!keelson: 1\nimage: {id: a, version: 1, arch: x86_64}\npackages: {debian: {suite: x}}\n",
            "\"image.arch\" must be one of x86-64, and is \"x86_64\"; did you mean \"x86-64\"?"},
        Bad{"TextForAList", "outputs: raw\n", "m.yaml:4:10: \"outputs\" must be a list, and is \"raw\""},
        Bad{"ListForAMap", "units: [a.service]\n", "m.yaml:4:8: \"units\" must be units, a map, and is a list"},
        Bad{"EmptyValue", "boot: {tries: }\n", "m.yaml:4:15: \"boot.tries\" must be a number, and is empty"},
        Bad{"NoNumber", "boot: {tries: three}\n", "\"boot.tries\" must be a number, and is \"three\""},
        Bad{"NumberTooLarge", "boot: {tries: 100}\n", "\"boot.tries\" is 100; it may be from 1 to 99"},
        Bad{"NoBoolean", "boot: {secure_boot: yes}\n", "\"boot.secure_boot\" must be true or false, and is \"yes\""},
        Bad{"NoSize", "partitions: {root: 2GB}\n",
            "\"partitions.root\" must be a size such as 512MiB or 2GiB, and is \"2GB\""},
        Bad{"SizeTooSmall", "partitions: {root: 1MiB}\n",
            "\"partitions.root\" is 1MiB; it may be from 64MiB to 1024GiB"},
        Bad{"SizeOfNoWholeMiB", "partitions: {root: 67108865}\n",
            "\"partitions.root\" is 67108865 bytes; a partition has whole MiB"},
        Bad{"SizeBeyond64Bits", "partitions: {root: 99999999999TiB}\n", "must be a size"},
        Bad{"NoPercent", "partitions: {headroom: 30}\n",
            "\"partitions.headroom\" must be a share such as 30%, and is \"30\""},
        Bad{"NoDuration", "health: {soak: 60}\n",
            "\"health.soak\" must be a duration such as 90s, 5min or 2h, and is \"60\""},
        Bad{"UnknownOutput", "outputs: [raw, qcow]\n",
            "m.yaml:4:16: \"outputs[1]\" must be one of raw, qcow2, vhd, vmdk, and is \"qcow\"; did you mean "
            "\"qcow2\"?"},
        Bad{"RelativePath", "files: [{path: etc/motd, content: x}]\n", "\"files[0].path\" must be an absolute path"},
        Bad{"PathWithDots", "files: [{path: /etc/../motd, content: x}]\n",
            "\"files[0].path\" must be an absolute path without"},
        Bad{"NoContent", "files: [{path: /etc/motd}]\n", "a file has exactly one of content, source, and here are 0"},
        Bad{"TwoContents", "files: [{path: /etc/motd, content: x, source: y}]\n", "and here are 2"},
        Bad{"SameFileTwice", "files: [{path: /a, content: x}, {path: /a, content: y}]\n",
            "/a is written a second time"},
        Bad{"BadMode", "files: [{path: /a, content: x, mode: \"0999\"}]\n", "\"files[0].mode\" must be permissions"},
        Bad{"BadPackage", "packages: {debian: {suite: x, install: [Vim]}}\n",
            "m.yaml:4:1: \"packages\" stands here a second time"},
        Bad{"BadPackageName",
            "!keelson: 1\nimage: {id: a, version: 1}\npackages: {debian: {suite: x, install: [Vim]}}\n",
            "m.yaml:3:41: \"packages.debian.install[0]\" must be a package"},
        Bad{"BadMirror", "!keelson: 1\nimage: {id: a, version: 1}\npackages: {debian: {suite: x, mirror: hots}}\n",
            "\"packages.debian.mirror\" must be one of host, and is \"hots\"; did you mean \"host\"?"},
        Bad{"BadUnit", "units: {enable: [containerd]}\n",
            "\"units.enable[0]\" must be the name of a systemd unit, such as containerd.service"},
        Bad{"BadUser", "users: [{name: Core}]\n", "\"users[0].name\" must be a user's name"},
        Bad{"SameUserTwice", "users: [{name: a}, {name: a}]\n", "the user a is made a second time"},
        Bad{"BadContainer", "containers: [{name: web, image: web.tar}]\n",
            "\"containers[0].image\" must be oci-archive:FILE"},
        Bad{"TwoChecksInOne", "health: {checks: [{unit: a.service, file: /x}]}\n",
            "a check has exactly one of unit, http, command, file, dbus"},
        Bad{"UnknownVariable", "variables: {console: ttyS0}\nkernel: {cmdline: ['${consol}']}\n",
            "m.yaml:5:20: there is no variable \"consol\"; did you mean \"console\"?"},
        Bad{"Anchor", "hostname: &a x\n", "m.yaml:4:11: anchors are not part of the language"},
        Bad{"Alias", "hostname: *a\n", "m.yaml:4:"}, Bad{"Tag", "hostname: !!binary x\n", "is not known"},
        Bad{"BadOsRelease", "os_release: {variant: x}\n", "\"variant\" cannot be a key of os-release"}),
    [](const auto& each) { return std::string(each.param.name); });

TEST(BadManifests, AreToldWithAllTheirFaultsAtOnce) {
  const auto faults = read("keelson: 2\nimage: {id: A, version: 1, arch: arm}\noutputs: [iso]\nfoo: 1\n");
  EXPECT_THAT(faults,
              FailsWith(Kind::invalid_input, AllOf(HasSubstr("m.yaml:1:10"), HasSubstr("m.yaml:2:13"),
                                                   HasSubstr("m.yaml:2:34"), HasSubstr("m.yaml:3:11"),
                                                   HasSubstr("m.yaml:4:1"), HasSubstr("\"packages\" is missing"))));
}

TEST(BadManifests, AreReadWithinBounds) {
  EXPECT_THAT(read(std::string(2 << 20, '#')), FailsWith(Kind::invalid_input, HasSubstr("1048576 are the most")));
  EXPECT_THAT(read("a: " + std::string(100, '[') + std::string(100, ']')),
              FailsWith(Kind::invalid_input, HasSubstr("nested deeper than 64")));
  std::string many = "a: [";
  for (int i = 0; i < 150'000; ++i) many += "x,";
  EXPECT_THAT(read(many + "]"), FailsWith(Kind::invalid_input, HasSubstr("more than 100000 values")));
}

}  // namespace
