// The images of the stories, built once: CTest runs this before them. What is there already, from the same programs
// and manifests, stays.

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "qemu-tests/stories/story.hpp"

namespace qemu {
namespace {

namespace fs = std::filesystem;

using support::run_program;
using support::slurp;
using support::Succeeds;

const std::string images = KEELSON_STORY_IMAGES;

std::string output_of(std::vector<std::string> argv) {
  const auto result = base::run({.argv = std::move(argv), .time_limit = std::chrono::minutes(12)});
  EXPECT_THAT(result, Succeeds());
  if (!result) return "";
  EXPECT_EQ(result->exit_status, 0) << result->output << result->errors;
  return result->output;
}

void build(const std::string& manifest, const std::string& output, std::vector<std::string> more = {}) {
  std::vector<std::string> argv = {KEELSON_PROGRAM, "-q",
                                   "build",         fmt::format("{}/manifests/{}.yaml", images, manifest),
                                   "--out",         fmt::format("{}/{}", images, output),
                                   "--cache",       images + "/cache"};
  argv.insert(argv.end(), more.begin(), more.end());
  output_of(std::move(argv));
}

void copy(const std::string& from, const std::string& to) {
  fs::copy_file(from, to, fs::copy_options::overwrite_existing);
}

/// A manifest that asks for something else needs other packages, and so does one that includes it.
void take_manifest(const std::string& from, const std::string& to) {
  if (fs::exists(to) && slurp(from) == slurp(to)) return;
  for (const char* lock : {"story.yaml.lock", "shipped.yaml.lock"}) {
    fs::remove(fmt::format("{}/manifests/{}", images, lock));
  }
  copy(from, to);
}

/// The parts of a UKI, for a boot without firmware.
void dump_parts(const std::string& output, const std::string& uki) {
  const std::string parts = fmt::format("{}/{}/parts", images, output);
  fs::create_directories(parts);
  std::vector<std::string> argv = {"objcopy"};
  for (const char* part : {"linux", "initrd", "cmdline"}) {
    argv.insert(argv.end(), {"--dump-section", fmt::format(".{0}={1}/{0}", part, parts)});
  }
  argv.insert(argv.end(), {fmt::format("{}/{}/{}", images, output, uki), parts + "/copy"});
  output_of(std::move(argv));
  std::string cmdline = slurp(parts + "/cmdline");
  while (!cmdline.empty() && (cmdline.back() == '\0' || cmdline.back() == '\n')) cmdline.pop_back();
  std::ofstream(parts + "/cmdline") << cmdline;
}

std::string esp_of(const std::string& disk) {
  return fmt::format("{}@@{}", disk, partitions_of(disk).at(1).offset);
}

/// Version 2.0.0 beside version 1.0.0 which is blessed, with the field's own tools: what an update leaves.
void make_two_versions() {
  const std::string disk = images + "/two.raw";
  const std::string second = images + "/second/story_2.0.0.raw";
  output_of({"cp", "--sparse=always", images + "/first/story_1.0.0.raw", disk});
  const auto from = partitions_of(second);
  const auto to = partitions_of(disk);
  for (const int number : {2, 3, 4}) {
    output_of({"dd", "if=" + second, "of=" + disk, "bs=1M", fmt::format("skip={}", from.at(number).offset >> 20),
               fmt::format("seek={}", to.at(number + 3).offset >> 20),
               fmt::format("count={}", from.at(number).size >> 20), "conv=notrunc,sparse", "status=none"});
    output_of({"sfdisk", "-q", "--no-reread", "--part-uuid", disk, std::to_string(number + 3), from.at(number).uuid});
    output_of({"sfdisk", "-q", "--no-reread", "--part-label", disk, std::to_string(number + 3), from.at(number).label});
    output_of({"sfdisk", "-q", "--no-reread", "--part-attrs", disk, std::to_string(number + 3), "GUID:60"});
  }
  output_of({"mren", "-i", esp_of(disk), "::EFI/Linux/story_1.0.0+3-0.efi", "::EFI/Linux/story_1.0.0.efi"});
  output_of({"mcopy", "-i", esp_of(disk), images + "/second/story_2.0.0.efi", "::EFI/Linux/story_2.0.0+3-0.efi"});
}

/// A web server as an image of one layer, with the tools that one packs such by hand with.
void make_container_archive(const std::string& archive) {
  const support::TemporaryDirectory directory;
  constexpr const char* script = R"(set -e
cd "$1"
apt-get -q download busybox-static >/dev/null 2>&1
mkdir -p root/www layout/blobs/sha256
dpkg-deb --fsys-tarfile busybox-static_*.deb | tar -x -C root ./bin/busybox
echo 'a container answers' >root/www/index.html
blob() { sha=$(sha256sum "$1" | cut -d' ' -f1); size=$(stat -c %s "$1"); mv "$1" "layout/blobs/sha256/$sha"; }
tar -C root --sort=name --mtime=@0 --owner=0 --group=0 -cf layer.tar .
blob layer.tar
layer=$sha layer_size=$size
printf '{"architecture":"amd64","os":"linux","config":{"Entrypoint":["/bin/busybox","httpd","-f","-p","8080","-h","/www"]},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' "$layer" >config.json
blob config.json
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:%s","size":%s},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:%s","size":%s}]}' "$sha" "$size" "$layer" "$layer_size" >manifest.json
blob manifest.json
printf '{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:%s","size":%s}]}' "$sha" "$size" >layout/index.json
printf '{"imageLayoutVersion":"1.0.0"}' >layout/oci-layout
tar -C layout --sort=name --mtime=@0 --owner=0 --group=0 -cf "$2" .
)";
  output_of({"sh", "-c", script, "sh", directory.path(), archive});
}

/// systemd-boot enrols the project's keys at the first boot of a machine in setup mode; these are its variables then.
void enrol_keys() {
  const std::string variables = images + "/enrolled.fd.new";
  copy(firmware_variables, variables);
  const support::TemporaryDirectory directory;
  const std::string disk = directory.path("disk.raw");
  output_of({"cp", "--sparse=always", images + "/first/story_1.0.0.raw", disk});
  auto guest = Guest::start(
      {.disk = disk, .direct = {}, .variables = variables, .secure_boot = true, .load_state = "", .more = {}});
  ASSERT_THAT(guest, Succeeds());
  const auto boot = guest->wait_for_boot(Guest::Limit(240));
  ASSERT_THAT(boot, Succeeds());
  const auto on =
      guest->run("od -An -tu1 -j4 /sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c");
  ASSERT_THAT(on, Succeeds());
  EXPECT_THAT(on->output, testing::HasSubstr("1"));
  guest->cut_power();
  fs::rename(variables, images + "/enrolled.fd");
}

/// Version 1.0.0 as it is once it is up, for stories that only begin there.
void save_state() {
  const std::string disk = images + "/saved.qcow2";
  output_of(
      {"qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", images + "/first/story_1.0.0.raw", disk, "2G"});
  auto guest = Guest::start(saved_machine(disk));
  ASSERT_THAT(guest, Succeeds());
  ASSERT_THAT(guest->wait_for_boot(Guest::Limit(240)), Succeeds());
  ASSERT_THAT(guest->run("systemctl is-system-running --wait", Guest::Limit(240)), Succeeds());
  ASSERT_THAT(guest->save_state(saved_state), Succeeds());
}

/// All that the images are made of besides packages.
std::string stamp() {
  std::string text;
  for (const std::string& release :
       {images + "/first/story_1.0.0.release.json", images + "/large-sectors/story_1.0.0.release.json",
        images + "/second/story_2.0.0.release.json", images + "/foreign/story_2.0.0.release.json",
        images + "/shipped/shipped_1.0.0.release.json"}) {
    text += slurp(release);
  }
  return text;
}

TEST(StoryImages, AreBuilt) {
  fs::create_directories(images + "/manifests");
  for (const char* manifest : {"qemu-tests/stories/images/story.yaml", "qemu-tests/stories/images/shipped.yaml",
                               "manifests/node.yaml", "manifests/base.yaml"}) {
    take_manifest(fmt::format("{}/{}", KEELSON_SOURCE, manifest),
                  fmt::format("{}/manifests/{}", images, fs::path(manifest).filename().string()));
  }
  copy(KEELSON_STORY_AGENT, images + "/manifests/agent");
  if (!fs::exists(images + "/manifests/web.tar")) make_container_archive(images + "/manifests/web.tar");
  build("story", "first");
  build("story", "second", {"--set", "image.version=2.0.0"});
  if (!fs::exists(images + "/manifests/foreign-keys")) {
    output_of({KEELSON_PROGRAM, "-q", "keys", "new", images + "/manifests/foreign-keys"});
  }
  build("story", "foreign", {"--set", "image.version=2.0.0", "--set", "keys=foreign-keys"});
  build("shipped", "shipped");
  build("story", "large-sectors", {"--set", "partitions.sector_size=4096", "--set", "partitions.esp=260MiB"});
  ASSERT_FALSE(HasFailure());

  std::ifstream file(images + "/stamp");
  const std::string before(std::istreambuf_iterator<char>(file), {});
  if (before == stamp()) return;
  dump_parts("first", "story_1.0.0.efi");
  dump_parts("large-sectors", "story_1.0.0.efi");
  dump_parts("shipped", "shipped_1.0.0.efi");
  make_two_versions();
  enrol_keys();
  save_state();
  if (!HasFailure()) std::ofstream(images + "/stamp") << stamp();
}

}  // namespace
}  // namespace qemu
