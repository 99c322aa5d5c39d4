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
              FailsWith(Kind::invalid_input,
                        "a.yaml:1:11: b.yaml:1:11: the files include each other: a.yaml -> b.yaml -> a.yaml"));
  EXPECT_THAT(read_manifest("a.yaml", files({{"a.yaml", "keelson: 1\ninclude: [none.yaml]"}})),
              FailsWith(Kind::not_found, "a.yaml:2:11: none.yaml is not there"));
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
  const char* text;           // behind the smallest manifest, or instead of it where it begins with '!'
  const char* said;           // all of it; to "..." where all keys of a manifest would follow
  const char* included = "";  // what stands in included.yaml
};

void PrintTo(const Bad& bad, std::ostream* out) {
  *out << bad.name;
}

constexpr Bad bad_manifests[] = {
    {"NotYaml", "files: [", "m.yaml:4:1: end of sequence flow not found"},
    {"UnclosedQuote", "kernel: {cmdline: [\"quiet]}\n", "m.yaml:5:1: end of sequence flow not found"},
    {"TabForBlanks", "boot:\n\ttries: 3\n", "m.yaml:5:7: illegal map value"},
    {"ColonInAText", "hostname: node: one\n", "m.yaml:4:15: illegal map value"},
    {"UnknownEscape", "hostname: \"\\q\"\n", "m.yaml:4:14: unknown escape character: q"},
    {"NoMap", "!- a\n", "m.yaml:1:1: a manifest is a map, and this is a list"},
    {"Empty", "!",
     "m.yaml:1:1: \"keelson\" is missing: The version of the language: 1\nm.yaml:1:1: \"image\" is missing: "
     "Which image this is\nm.yaml:1:1: \"packages\" is missing: What is installed"},
    {"TwoDocuments", "---\nkeelson: 1\n", "m.yaml:5:1: a second document begins here; a manifest is one"},
    {"ListAsAKey", "? [a]\n: b\n", "m.yaml:4:3: a key must be a text"},
    {"Anchor", "hostname: &a x\n", "m.yaml:4:11: anchors are not part of the language; use variables or include"},
    {"Alias", "hostname: *a\n", "m.yaml:4:11: the referenced anchor is not defined"},
    {"Tag", "hostname: !!binary x\n", "m.yaml:4:11: the tag tag:yaml.org,2002:binary is not known"},
    {"UnknownKey", "pakages: {}\n",
     "m.yaml:4:1: \"pakages\" is not known; did you mean \"packages\"?; a manifest has: keelson, include, ..."},
    {"UnknownKeyBelow", "boot: {tris: 3}\n",
     "m.yaml:4:8: \"boot.tris\" is not known; did you mean \"tries\"?; boot has: tries, secure_boot, timeout"},
    {"UnknownKeyInAList", "groups: [{name: a, number: 1}]\n",
     "m.yaml:4:20: \"groups[0].number\" is not known; a group has: name, gid"},
    {"DuplicateKey", "hostname: a\nhostname: b\n",
     "m.yaml:5:1: \"hostname\" stands here a second time; first in line 4"},
    {"DuplicateKeyBelow", "boot: {tries: 1, tries: 2}\n",
     "m.yaml:4:18: \"tries\" stands here a second time; first in line 4"},
    {"AnotherLanguage", "!keelson: 2\nimage: {id: a, version: 1}\npackages: {debian: {suite: x}}\n",
     "m.yaml:1:10: \"keelson\" is 2; it may be from 1 to 1"},
    {"NoImage", "!keelson: 1\npackages: {debian: {suite: x}}\n",
     "m.yaml:1:1: \"image\" is missing: Which image this is"},
    {"NoVersion", "!keelson: 1\nimage: {id: a}\npackages: {debian: {suite: x}}\n",
     "m.yaml:2:8: \"image.version\" is missing: The image's version"},
    {"NoDebian", "!keelson: 1\nimage: {id: a, version: 1}\npackages: {}\n",
     "m.yaml:3:11: \"packages.debian\" is missing: Packages of Debian"},
    {"UpperCaseId", "!keelson: 1\nimage: {id: Node, version: 1}\npackages: {debian: {suite: x}}\n",
     "m.yaml:2:13: \"image.id\" must be an image id of a-z 0-9 . -, beginning with a letter or digit, and is "
     "\"Node\""},
    {"VersionWithABlank", "!keelson: 1\nimage: {id: a, version: 1.0 beta}\npackages: {debian: {suite: x}}\n",
     "m.yaml:2:25: \"image.version\" must be a version of a-z 0-9 . -, beginning with a letter or digit, and is "
     "\"1.0 beta\""},
    {"LabelTooLong",
     "!keelson: 1\nimage: {id: abcdefghijklmnopqrstuvwxyz, version: 1.0.0-abcdefg}\npackages: {debian: {suite: "
     "x}}\n",
     "m.yaml:2:8: \"abcdefghijklmnopqrstuvwxyz_1.0.0-abcdefg\" has 40 characters; a partition label, <id>_<version>, "
     "holds 36"},
    {"OtherArchitecture", "!keelson: 1\nimage: {id: a, version: 1, arch: x86_64}\npackages: {debian: {suite: x}}\n",
     "m.yaml:2:34: \"image.arch\" must be one of x86-64, and is \"x86_64\"; did you mean \"x86-64\"?"},
    {"TextForAList", "outputs: raw\n", "m.yaml:4:10: \"outputs\" must be a list, and is \"raw\""},
    {"ListForAMap", "units: [a.service]\n", "m.yaml:4:8: \"units\" must be units, a map, and is a list"},
    {"ListForAText", "hostname: [node]\n", "m.yaml:4:11: \"hostname\" must be a host's name, and is a list"},
    {"MapForATextInAList", "kernel: {modules: [{name: loop}]}\n",
     "m.yaml:4:20: \"kernel.modules[0]\" must be a module, and is a map"},
    {"ListForATextInADictionary", "os_release: {VARIANT: [a]}\n",
     "m.yaml:4:23: \"os_release.VARIANT\" must be text, and is a list"},
    {"ListForOneOfTwoForms", "trees: [[overlay]]\n",
     "m.yaml:4:9: \"trees[0]\" must be a directory or archive, or a tree, a map, and is a list"},
    {"EmptyValue", "boot: {tries: }\n", "m.yaml:4:15: \"boot.tries\" must be a number, and is empty"},
    {"EmptyText", "keys: \"\"\n", "m.yaml:4:7: \"keys\" must be a directory, and is \"\""},
    {"NoNumber", "boot: {tries: three}\n", "m.yaml:4:15: \"boot.tries\" must be a number, and is \"three\""},
    {"NumberTooLarge", "boot: {tries: 100}\n", "m.yaml:4:15: \"boot.tries\" is 100; it may be from 1 to 99"},
    {"NumberTooSmall", "users: [{name: a, uid: 0}]\n",
     "m.yaml:4:24: \"users[0].uid\" is 0; it may be from 1 to 4294967294"},
    {"NegativeNumber", "groups: [{name: a, gid: -1}]\n",
     "m.yaml:4:25: \"groups[0].gid\" must be a number, and is \"-1\""},
    {"NoBoolean", "boot: {secure_boot: yes}\n",
     "m.yaml:4:21: \"boot.secure_boot\" must be true or false, and is \"yes\""},
    {"NoSize", "partitions: {root: 2GB}\n",
     "m.yaml:4:20: \"partitions.root\" must be a size such as 512MiB or 2GiB, and is \"2GB\""},
    {"SizeTooSmall", "partitions: {root: 1MiB}\n",
     "m.yaml:4:20: \"partitions.root\" is 1MiB; it may be from 64MiB to 1024GiB"},
    {"SizeTooLarge", "partitions: {esp: 17GiB}\n",
     "m.yaml:4:19: \"partitions.esp\" is 17GiB; it may be from 64MiB to 16GiB"},
    {"SizeOfNoWholeMiB", "partitions: {root: 67108865}\n",
     "m.yaml:4:20: \"partitions.root\" is 67108865 bytes; a partition has whole MiB"},
    {"SizeBeyond64Bits", "partitions: {root: 99999999999TiB}\n",
     "m.yaml:4:20: \"partitions.root\" must be a size such as 512MiB or 2GiB, and is \"99999999999TiB\""},
    {"NoPercent", "partitions: {headroom: 30}\n",
     "m.yaml:4:24: \"partitions.headroom\" must be a share such as 30%, and is \"30\""},
    {"PercentTooLarge", "partitions: {headroom: 95%}\n",
     "m.yaml:4:24: \"partitions.headroom\" is 95%; it may be from 0% to 90%"},
    {"NoDuration", "health: {soak: 60}\n",
     "m.yaml:4:16: \"health.soak\" must be a duration such as 90s, 5min or 2h, and is \"60\""},
    {"UnknownOutput", "outputs: [raw, qcow]\n",
     "m.yaml:4:16: \"outputs[1]\" must be one of raw, qcow2, vhd, vmdk, and is \"qcow\"; did you mean "
     "\"qcow2\"?"},
    {"UnknownCompression", "compression: zstd\n",
     "m.yaml:4:14: \"compression\" must be one of none, lz4hc, and is \"zstd\""},
    {"UnknownScripts", "scripts: declaritive\n",
     "m.yaml:4:10: \"scripts\" must be one of sandbox, declarative, and is \"declaritive\"; did you mean "
     "\"declarative\"?"},
    {"UnknownPolicy", "etc: [{path: /etc/hosts, policy: locale}]\n",
     "m.yaml:4:34: \"etc[0].policy\" must be one of merge, local, vendor, keyed, fail, and is \"locale\"; did "
     "you mean \"local\"?"},
    {"NoPolicy", "etc: [{path: /etc/hosts}]\n",
     "m.yaml:4:7: \"etc[0].policy\" is missing: What an update does with a file that the host has changed"},
    {"RelativePath", "files: [{path: etc/motd, content: x}]\n",
     "m.yaml:4:16: \"files[0].path\" must be an absolute path without \".\" and \"..\", and is \"etc/motd\""},
    {"PathWithDots", "files: [{path: /etc/../motd, content: x}]\n",
     "m.yaml:4:16: \"files[0].path\" must be an absolute path without \".\" and \"..\", and is "
     "\"/etc/../motd\""},
    {"NoContent", "files: [{path: /etc/motd}]\n",
     "m.yaml:4:9: a file has exactly one of content, source, and here are 0"},
    {"TwoContents", "files: [{path: /etc/motd, content: x, source: y}]\n",
     "m.yaml:4:9: a file has exactly one of content, source, and here are 2"},
    {"SameFileTwice", "files: [{path: /a, content: x}, {path: /a, content: y}]\n",
     "m.yaml:4:33: /a is written a second time"},
    {"BadMode", "files: [{path: /a, content: x, mode: \"0999\"}]\n",
     "m.yaml:4:38: \"files[0].mode\" must be permissions such as \"0644\", and is \"0999\""},
    {"BadOwner", "files: [{path: /a, content: x, owner: 0}]\n",
     "m.yaml:4:39: \"files[0].owner\" must be a user, and is \"0\""},
    {"BadPackage", "!keelson: 1\nimage: {id: a, version: 1}\npackages: {debian: {suite: x, install: [Vim]}}\n",
     "m.yaml:3:41: \"packages.debian.install[0]\" must be a package, or package=version, and is \"Vim\""},
    {"BadMirror", "!keelson: 1\nimage: {id: a, version: 1}\npackages: {debian: {suite: x, mirror: hots}}\n",
     "m.yaml:3:39: \"packages.debian.mirror\" must be one of host, and is \"hots\"; did you mean \"host\"?"},
    {"BadKernel", "kernel: {package: Linux}\n", "m.yaml:4:19: \"kernel.package\" must be a package, and is \"Linux\""},
    {"BadWord", "kernel: {cmdline: [quiet, \"\"]}\n",
     "m.yaml:4:27: \"kernel.cmdline[1]\" must be a word of the kernel's command line, and is \"\""},
    {"BadUnit", "units: {enable: [containerd]}\n",
     "m.yaml:4:18: \"units.enable[0]\" must be the name of a systemd unit, such as containerd.service, and is "
     "\"containerd\""},
    {"UnitFileWithoutName", "units: {files: [{content: x}]}\n",
     "m.yaml:4:17: \"units.files[0].name\" is missing: The unit's name"},
    {"BadUser", "users: [{name: Core}]\n", "m.yaml:4:16: \"users[0].name\" must be a user's name, and is \"Core\""},
    {"SameUserTwice", "users: [{name: a}, {name: a}]\n", "m.yaml:4:20: the user a is made a second time"},
    {"BadGroup", "users: [{name: a, groups: [sudo, Docker]}]\n",
     "m.yaml:4:34: \"users[0].groups[1]\" must be a group, and is \"Docker\""},
    {"BadHostname", "hostname: node.example\n",
     "m.yaml:4:11: \"hostname\" must be a host's name, and is \"node.example\""},
    {"BadContainer", "containers: [{name: web, image: web.tar}]\n",
     "m.yaml:4:33: \"containers[0].image\" must be oci-archive:FILE, and is \"web.tar\""},
    {"BadOsRelease", "os_release: {variant: x}\n",
     "m.yaml:4:14: \"variant\" cannot be a key of os-release: A-Z, 0-9 and _ only"},
    {"BadUrl", "update: {url: \"ftp://a\", channel: stable}\n",
     "m.yaml:4:15: \"update.url\" must be a URL, and is \"ftp://a\""},
    {"NoChannel", "update: {url: \"https://a\"}\n",
     "m.yaml:4:9: \"update.channel\" is missing: The channel that hosts follow"},
    {"CheckOfNothing", "health: {checks: [{timeout: 5s}]}\n",
     "m.yaml:4:19: a check has exactly one of unit, http, command, file, dbus, and here are 0"},
    {"TwoChecksInOne", "health: {checks: [{unit: a.service, file: /x}]}\n",
     "m.yaml:4:19: a check has exactly one of unit, http, command, file, dbus, and here are 2"},
    {"RelativeSetuid", "budget: {setuid: [su]}\n",
     "m.yaml:4:19: \"budget.setuid[0]\" must be an absolute path without \".\" and \"..\", and is \"su\""},
    {"UnknownVariable", "variables: {console: ttyS0}\nkernel: {cmdline: ['${consol}']}\n",
     "m.yaml:5:20: there is no variable \"consol\"; did you mean \"console\"?; write $${ for a plain ${"},
    {"VariableOfAList", "variables: {a: [b]}\n", "m.yaml:4:16: a variable is a text"},
    {"VariablesAsAList", "variables: [a]\n", "m.yaml:4:12: \"variables\" is a map from names to texts"},
    {"ArchitecturesAsAText", "per_arch: x86-64\n",
     "m.yaml:4:11: \"per_arch\" is a map from an architecture to what counts there"},
    {"ArchitectureOfAText", "per_arch: {x86-64: quiet}\n",
     "m.yaml:4:20: \"per_arch.x86-64\" is a map, like a manifest"},
    {"IncludeOfAText", "include: included.yaml\n", "m.yaml:4:10: \"include\" is a list of files"},
    {"IncludeOfAMap", "include: [{file: included.yaml}]\n", "m.yaml:4:11: \"include\" is a list of files"},
    {"IncludeOfItself", "include: [./m.yaml]\n", "m.yaml:4:11: the files include each other: m.yaml -> m.yaml"},
    {"IncludeInACircle", "include: [included.yaml]\n",
     "m.yaml:4:11: included.yaml:1:11: the files include each other: m.yaml -> included.yaml -> m.yaml",
     "include: [m.yaml]\n"},
    {"IncludedList", "include: [included.yaml]\n",
     "m.yaml:4:11: included.yaml:1:1: a manifest is a map, and this is a list", "- a\n"},
    {"IncludedFault", "include: [included.yaml]\n",
     "included.yaml:2:15: \"boot.tries\" must be a number, and is \"many\"",
     "# what is wrong here\nboot: {tries: many}\n"},
    {"IncludedFaultOfSyntax", "include: [included.yaml]\n",
     "m.yaml:4:11: included.yaml:1:11: anchors are not part of the language; use variables or include",
     "hostname: &a x\n"}};

testing::Matcher<std::string> whole_or_beginning(std::string_view said) {
  if (!said.ends_with("...")) return std::string(said);
  return testing::StartsWith(std::string(said.substr(0, said.size() - 3)));
}

class BadManifest : public testing::TestWithParam<Bad> {};

TEST_P(BadManifest, IsRefusedWithPlaceAndReason) {
  const std::string_view text = GetParam().text;
  const std::string whole = text.starts_with('!') ? std::string(text.substr(1)) : smallest + std::string(text);
  EXPECT_THAT(read_manifest("m.yaml", files({{"m.yaml", whole}, {"included.yaml", GetParam().included}})),
              FailsWith(Kind::invalid_input, whole_or_beginning(GetParam().said)));
}

INSTANTIATE_TEST_SUITE_P(Each, BadManifest, testing::ValuesIn(bad_manifests),
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
