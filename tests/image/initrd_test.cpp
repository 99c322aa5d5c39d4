#include "image/initrd.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "base/subprocess.hpp"
#include "image/compression.hpp"
#include "image/cpio.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/pattern.hpp"

namespace {

using base::bytes_of;
using base::Kind;
using image::build_initrd;
using image::InitrdSpec;
using image::KernelFiles;
using image::ModuleIndex;
using support::FailsWith;
using support::Holds;
using support::Succeeds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Lines as depmod writes them for Debian's 6.1 cloud kernel, some compressed as in 6.12.
constexpr std::string_view modules_dep =
    "kernel/drivers/md/dm-mod.ko:\n"
    "kernel/drivers/md/dm-bufio.ko: kernel/drivers/md/dm-mod.ko\n"
    "kernel/drivers/md/dm-verity.ko.xz: kernel/drivers/md/dm-bufio.ko kernel/drivers/md/dm-mod.ko "
    "kernel/lib/reed_solomon/reed_solomon.ko.zst\n"
    "kernel/lib/reed_solomon/reed_solomon.ko.zst:\n"
    "kernel/fs/erofs/erofs.ko: kernel/lib/libcrc32c.ko\n"
    "kernel/lib/libcrc32c.ko:\n";
constexpr std::string_view modules_builtin = "kernel/fs/ext4/ext4.ko\nkernel/drivers/virtio/virtio-ring.ko\n";

std::string compressed(const char* program, const std::string& content) {
  const auto result = base::run_checked({.argv = {program, "-c"}, .input = content});
  EXPECT_THAT(result, Succeeds());
  return result ? *result : "";
}

std::string module_content(std::string_view name) {
  return "\x7f"
         "ELF of " +
         std::string(name) + "~Module signature appended~\n";
}

/// A kernel of a few modules, in memory.
std::map<std::string, std::string> sample_kernel() {
  return {
      {"modules.dep", std::string(modules_dep)},
      {"modules.builtin", std::string(modules_builtin)},
      {"kernel/drivers/md/dm-mod.ko", module_content("dm-mod")},
      {"kernel/drivers/md/dm-bufio.ko", module_content("dm-bufio")},
      {"kernel/drivers/md/dm-verity.ko.xz", compressed("xz", module_content("dm-verity"))},
      {"kernel/lib/reed_solomon/reed_solomon.ko.zst", compressed("zstd", module_content("reed_solomon"))},
      {"kernel/fs/erofs/erofs.ko", module_content("erofs")},
      {"kernel/lib/libcrc32c.ko", module_content("libcrc32c")},
  };
}

KernelFiles files_of(std::map<std::string, std::string> files) {
  return [files = std::move(files)](const std::string& path) -> base::Result<base::Bytes> {
    const auto found = files.find(path);
    if (found == files.end()) return base::fail(Kind::not_found, "no " + path);
    const base::ByteView bytes = bytes_of(found->second);
    return base::Bytes(bytes.begin(), bytes.end());
  };
}

InitrdSpec sample(std::vector<std::string> modules = {"dm-verity", "ext4", "erofs"}) {
  return {.init = bytes_of("#!init"), .modules = std::move(modules), .kernel_files = files_of(sample_kernel())};
}

base::Result<std::vector<std::string>> load_order(std::string_view dep, std::vector<std::string> names) {
  TRY(const ModuleIndex index, ModuleIndex::parse(dep, modules_builtin));
  return index.load_order(names);
}

std::string content_of(const base::Bytes& archive, std::string_view path) {
  const auto entries = image::read_cpio(archive);
  const auto found = std::ranges::find(*entries, path, &image::CpioEntry::path);
  return found == entries->end() ? "(none)" : std::string(base::text_of(found->content));
}

TEST(ModuleIndex, PutsDependenciesFirstAndEachModuleOnce) {
  EXPECT_THAT(load_order(modules_dep, {"dm_verity", "erofs", "dm-bufio"}),
              Holds(ElementsAre("kernel/lib/reed_solomon/reed_solomon.ko.zst", "kernel/drivers/md/dm-mod.ko",
                                "kernel/drivers/md/dm-bufio.ko", "kernel/drivers/md/dm-verity.ko.xz",
                                "kernel/lib/libcrc32c.ko", "kernel/fs/erofs/erofs.ko")));
}

TEST(ModuleIndex, SkipsWhatIsBuiltIn) {
  EXPECT_THAT(load_order(modules_dep, {"ext4", "virtio_ring", "virtio-ring"}), Holds(IsEmpty()));
}

TEST(ModuleIndex, NamesAnUnknownModuleAndWhatMayBeMeant) {
  EXPECT_THAT(
      load_order(modules_dep, {"dm-verty"}),
      FailsWith(Kind::not_found, testing::Eq("the kernel has no module \"dm-verty\"; did you mean \"dm_verity\"?")));
  EXPECT_THAT(load_order(modules_dep, {"something"}),
              FailsWith(Kind::not_found, testing::Eq("the kernel has no module \"something\"")));
}

TEST(ModuleIndex, RefusesAnIndexThatLies) {
  std::string endless;
  for (int i = 0; i < 100; ++i) endless += "m" + std::to_string(i) + ".ko: m" + std::to_string(i + 1) + ".ko\n";
  struct {
    const char* what;
    std::string dep;
    const char* message;
  } const cases[] = {
      {"no colon", "a.ko:\nb.ko\n", "modules.dep:2: no \":\""},
      {"no module", "readme:\n", "modules.dep:1: what precedes the \":\" is no path"},
      {"no name", "kernel/.ko:\n", "is no path of a module"},
      {"absolute", "/lib/a.ko:\n", "is no path of a module"},
      {"way out", "kernel/../../a.ko:\n", "is no path of a module"},
      {"way out in front", "../a.ko:\n", "is no path of a module"},
      {"control character", "a\x1b[2J.ko:\n", "is no path of a module"},
      {"dependency without a way", "a.ko: b.ko\n", "does not know the dependency b"},
      {"bad dependency", "a.ko: b\n", "modules.dep:1: a dependency is no path"},
      {"twice", "a-b.ko:\nextra/a_b.ko.xz:\n", "modules.dep:2: a second module a_b"},
      {"circle", "a.ko: b.ko\nb.ko: a.ko\n", "the module a depends on itself"},
      {"endless", endless, "the dependencies of m0 have no end"},
  };
  for (const auto& one : cases) {
    const auto first = [&]() -> base::Result<std::vector<std::string>> {
      TRY(const ModuleIndex index, ModuleIndex::parse(one.dep, ""));
      return index.load_order(std::vector<std::string>{std::string(index.names().front())});
    }();
    EXPECT_THAT(first, FailsWith(Kind::corrupt, HasSubstr(one.message))) << one.what;
  }
  EXPECT_THAT(ModuleIndex::parse("", "a.ko\nb\n"),
              FailsWith(Kind::corrupt, HasSubstr("modules.builtin:2: not the path")));
}

TEST(Initrd, IsListedByCpio) {
  ::setenv("TZ", "UTC", 1);
  InitrdSpec spec = sample();
  spec.device_nodes = image::InitrdDeviceNodes::console_and_null;
  const auto initrd = build_initrd(spec);
  ASSERT_THAT(initrd, Succeeds());
  const auto listed = base::run_checked(
      {.argv = {"cpio", "-itv", "--quiet", "--numeric-uid-gid"}, .input = std::string(base::text_of(initrd->archive))});
  ASSERT_THAT(listed, Succeeds());
  EXPECT_EQ(*listed, ("drwxr-xr-x   2 0        0               0 Jan  1  1970 dev\n"
                      "crw-------   1 0        0          5,   1 Jan  1  1970 dev/console\n"
                      "crw-rw-rw-   1 0        0          1,   3 Jan  1  1970 dev/null\n"
                      "-rwxr-xr-x   1 0        0               6 Jan  1  1970 init\n"
                      "drwxr-xr-x   2 0        0               0 Jan  1  1970 modules\n"
                      "-rw-r--r--   1 0        0              73 Jan  1  1970 modules.list\n"
                      "-rw-r--r--   1 0        0              44 Jan  1  1970 modules/dm-bufio.ko\n"
                      "-rw-r--r--   1 0        0              42 Jan  1  1970 modules/dm-mod.ko\n"
                      "-rw-r--r--   1 0        0              45 Jan  1  1970 modules/dm-verity.ko\n"
                      "-rw-r--r--   1 0        0              41 Jan  1  1970 modules/erofs.ko\n"
                      "-rw-r--r--   1 0        0              45 Jan  1  1970 modules/libcrc32c.ko\n"
                      "-rw-r--r--   1 0        0              48 Jan  1  1970 modules/reed_solomon.ko\n"
                      "drwxr-xr-x   2 0        0               0 Jan  1  1970 proc\n"
                      "drwxr-xr-x   2 0        0               0 Jan  1  1970 run\n"
                      "drwxr-xr-x   2 0        0               0 Jan  1  1970 sys\n"
                      "drwxr-xr-x   2 0        0               0 Jan  1  1970 sysroot\n"));
}

TEST(Initrd, ListsItsModulesInLoadOrder) {
  const auto initrd = build_initrd(sample());
  ASSERT_THAT(initrd, Succeeds());
  EXPECT_THAT(initrd->modules,
              ElementsAre("reed_solomon.ko", "dm-mod.ko", "dm-bufio.ko", "dm-verity.ko", "libcrc32c.ko", "erofs.ko"));
  EXPECT_EQ(content_of(initrd->archive, "modules.list"),
            "reed_solomon.ko\ndm-mod.ko\ndm-bufio.ko\ndm-verity.ko\nlibcrc32c.ko\nerofs.ko\n");
}

TEST(Initrd, HoldsModulesUncompressedAndToTheBit) {
  const auto initrd = build_initrd(sample());
  ASSERT_THAT(initrd, Succeeds());
  for (const char* name : {"dm-mod", "dm-verity", "reed_solomon"}) {
    EXPECT_EQ(content_of(initrd->archive, "modules/" + std::string(name) + ".ko"), module_content(name));
  }
}

TEST(Initrd, NeedsNoKernelWhenItNeedsNoModules) {
  const auto initrd = build_initrd({.init = bytes_of("init"), .modules = {}, .kernel_files = {}});
  ASSERT_THAT(initrd, Succeeds());
  EXPECT_EQ(content_of(initrd->archive, "modules.list"), "");
}

TEST(Initrd, IsTheSameInEveryRun) {
  for (const auto compression : {image::InitrdCompression::none, image::InitrdCompression::zstd}) {
    InitrdSpec spec = sample();
    spec.compression = compression;
    const auto here = build_initrd(spec);
    ::setenv("TZ", "Pacific/Kiritimati", 1);
    const mode_t mask = ::umask(0777);
    const auto there = build_initrd(spec);
    ::umask(mask);
    ::unsetenv("TZ");
    ASSERT_THAT(here, Succeeds());
    ASSERT_THAT(there, Succeeds());
    EXPECT_EQ(here->archive, there->archive);
  }
}

TEST(Initrd, IsCompressedAsZstdReadsIt) {
  InitrdSpec spec = sample();
  const auto plain = build_initrd(spec);
  spec.compression = image::InitrdCompression::zstd;
  const auto packed = build_initrd(spec);
  ASSERT_THAT(packed, Succeeds());
  EXPECT_LT(packed->archive.size(), plain->archive.size());
  const auto unpacked =
      base::run_checked({.argv = {"zstd", "-dc"}, .input = std::string(base::text_of(packed->archive))});
  EXPECT_THAT(unpacked, Holds(testing::Eq(std::string(base::text_of(plain->archive)))));
}

TEST(Initrd, RefusesWhatTheKernelWouldNotLoad) {
  struct {
    const char* what;
    const char* path;
    std::string content;
    Kind kind;
    const char* message;
  } const cases[] = {
      {"no ELF", "kernel/fs/erofs/erofs.ko", "version https://git-lfs", Kind::corrupt, "erofs.ko is no ELF file"},
      {"no xz", "kernel/drivers/md/dm-verity.ko.xz", module_content("x"), Kind::corrupt,
       "dm-verity.ko.xz: not an xz file"},
      {"no zstd", "kernel/lib/reed_solomon/reed_solomon.ko.zst", module_content("x"), Kind::corrupt,
       "the zstd file is damaged"},
      {"depmod's file", "modules.dep", "x", Kind::corrupt, "modules.dep:1"},
  };
  for (const auto& one : cases) {
    auto kernel = sample_kernel();
    kernel[one.path] = one.content;
    InitrdSpec spec = sample();
    spec.kernel_files = files_of(kernel);
    EXPECT_THAT(build_initrd(spec), FailsWith(one.kind, HasSubstr(one.message))) << one.what;
  }
  for (const char* missing : {"modules.dep", "modules.builtin", "kernel/lib/libcrc32c.ko"}) {
    auto kernel = sample_kernel();
    kernel.erase(missing);
    InitrdSpec spec = sample();
    spec.kernel_files = files_of(kernel);
    EXPECT_THAT(build_initrd(spec), FailsWith(Kind::not_found, HasSubstr(missing)));
  }
  EXPECT_THAT(build_initrd({.init = {}, .modules = {}, .kernel_files = {}}),
              FailsWith(Kind::invalid_input, HasSubstr("init")));
  EXPECT_THAT(image::read_module(files_of({{"a.ko.gz", "x"}}), "a.ko.gz"),
              FailsWith(Kind::unsupported, HasSubstr("gzip")));
}

TEST(Compression, RefusesWhatIsCutShortOrTooLargeOrFollowed) {
  const base::Bytes noise = support::pattern(300000);
  const std::string content(base::text_of(noise));
  struct {
    const char* program;
    base::Result<base::Bytes> (*decompress)(base::ByteView, std::size_t);
  } const cases[] = {{"xz", image::decompress_xz}, {"zstd", image::decompress_zstd}};
  for (const auto& one : cases) {
    SCOPED_TRACE(one.program);
    const std::string file = compressed(one.program, content);
    EXPECT_THAT(one.decompress(bytes_of(file), 300000), Holds(noise));
    EXPECT_THAT(one.decompress(bytes_of(file), 299999), FailsWith(Kind::no_space, HasSubstr("more than 299999 bytes")));
    EXPECT_THAT(one.decompress(bytes_of(file + "x"), 300000), FailsWith(Kind::corrupt, HasSubstr("something follows")));
    for (const std::size_t size : {std::size_t{0}, std::size_t{10}, file.size() / 2, file.size() - 1}) {
      EXPECT_THAT(one.decompress(bytes_of(file).first(size), 300000), FailsWith(Kind::corrupt, HasSubstr("cut short")));
    }
    std::string damaged = file;
    damaged[file.size() / 2] ^= 1;
    EXPECT_THAT(one.decompress(bytes_of(damaged), 300000), FailsWith(Kind::corrupt, HasSubstr("damaged")));
    const std::string bomb = compressed(one.program, std::string(std::size_t{8} << 20, '\0'));
    EXPECT_THAT(one.decompress(bytes_of(bomb), 4096), FailsWith(Kind::no_space, HasSubstr("more than 4096 bytes")));
  }
}

}  // namespace
