#include "image/inspect.hpp"

#include <gmock/gmock.h>

#include "tests/image/disk_data.hpp"
#include "tests/support/files.hpp"
#include "tests/support/program.hpp"

namespace {

using disk_data::Parts;
using image::FileKind;
using support::Holds;
using support::run_program;
using support::Succeeds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Optional;

class Inspect : public testing::Test {
 protected:
  base::Result<FileKind> kind_of(const std::string& path) {
    TRY(const auto file, base::FileDevice::open(path, base::Access::read_only));
    return image::recognise(*file);
  }
  const Parts parts;
  const std::string disk = parts.disk();
};

TEST_F(Inspect, RecognisesFilesByWhatTheyBeginWith) {
  EXPECT_THAT(kind_of(disk), Holds(FileKind::disk));
  EXPECT_THAT(kind_of(parts.directory.path("root.erofs")), Holds(FileKind::erofs));
  EXPECT_THAT(kind_of(parts.directory.path("root.verity")), Holds(FileKind::hash_tree));
  EXPECT_THAT(kind_of(pe_data::stub_path), Holds(FileKind::pe));
  EXPECT_THAT(kind_of(parts.directory.write("release", " \n{}")), Holds(FileKind::release));
  EXPECT_THAT(kind_of(parts.directory.write("qcow2", "QFI\xfb")), Holds(FileKind::qcow2));
  EXPECT_THAT(kind_of(parts.directory.write("empty", "")), Holds(FileKind::unknown));
  EXPECT_THAT(kind_of(parts.directory.write("text", "text")), Holds(FileKind::unknown));
}

TEST_F(Inspect, TellsOfAUkiWhatObjdumpAndSha256sumTell) {
  const std::string path = parts.directory.write("uki.efi", base::text_of(parts.uki()));
  const auto facts = image::inspect_pe(parts.uki());
  ASSERT_THAT(facts, Succeeds());
  EXPECT_THAT(run_program({"sha256sum", path}).output, HasSubstr(base::to_hex(facts->sha256)));
  for (const auto& section : facts->sections) {
    const std::string out = parts.directory.path("section");
    if (section.name == ".reloc") continue;  // objcopy makes it anew
    const std::string as_dump = parts.directory.path("dump");
    ASSERT_EQ(run_program({"objcopy", "-O", "binary", "--only-section=" + section.name, path, as_dump}).exit_status, 0);
    // A part of it may be fill: objcopy gives all that is in the file.
    const std::string content = support::slurp(as_dump).substr(0, section.size_bytes);
    const std::string file = parts.directory.write("content", content);
    EXPECT_THAT(run_program({"sha256sum", file}).output, HasSubstr(base::to_hex(section.sha256))) << section.name;
  }
  EXPECT_THAT(facts->claimed_signers, ElementsAre(disk_data::certificate("rsa-3072").subject()));
  EXPECT_THAT(facts->cmdline, Optional("roothash=" + parts.root_hash.hex() + " quiet"));
  EXPECT_THAT(facts->uname, Optional(std::string("6.1.0-44-cloud-amd64")));
}

TEST_F(Inspect, FindsSlotsAndUkisOnADisk) {
  const auto device = base::FileDevice::open(disk, base::Access::read_only);
  const auto facts = image::inspect_disk(**device);
  ASSERT_THAT(facts, Succeeds());
  ASSERT_EQ(facts->slots.size(), 1);
  EXPECT_EQ(facts->slots[0].slot.root_hash(), parts.root_hash);
  EXPECT_EQ(facts->slots[0].root->volume_name, "root");
  EXPECT_EQ(facts->slots[0].hash_tree->uuid, image::derive_uuid(parts.identity, image::role::verity_superblock));
  EXPECT_EQ(facts->slots[0].signature->root_hash, parts.root_hash);
  ASSERT_TRUE(facts->esp.has_value());
  ASSERT_THAT(*facts->esp, Succeeds());
  EXPECT_EQ((*facts->esp)->files.size(), 4);
  ASSERT_EQ((*facts->esp)->ukis.size(), 1);
  EXPECT_THAT((*facts->esp)->ukis[0].name, Holds(testing::Field(&image::UkiName::version, "1.0.0")));
}

TEST(OsRelease, GivesAValueWithoutItsQuotes) {
  const std::string text = "# comment\nID=keelson\nPRETTY_NAME=\"Keelson 1\"\nVERSION='1'\nEMPTY=\nXID=no\nODD=\"";
  EXPECT_THAT(image::os_release_value(text, "ID"), Optional(std::string("keelson")));
  EXPECT_THAT(image::os_release_value(text, "PRETTY_NAME"), Optional(std::string("Keelson 1")));
  EXPECT_THAT(image::os_release_value(text, "VERSION"), Optional(std::string("1")));
  EXPECT_THAT(image::os_release_value(text, "EMPTY"), Optional(std::string()));
  EXPECT_THAT(image::os_release_value(text, "ODD"), Optional(std::string("\"")));
  EXPECT_EQ(image::os_release_value(text, "NAME"), std::nullopt);
}

}  // namespace
