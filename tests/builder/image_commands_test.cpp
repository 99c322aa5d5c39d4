#include <gmock/gmock.h>

#include "base/json.hpp"
#include "image/release.hpp"
#include "tests/image/disk_data.hpp"
#include "tests/support/files.hpp"
#include "tests/support/program.hpp"

namespace {

using disk_data::Parts;
using support::keelson;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

const std::string root_hash_certificate = std::string(disk_data::keys) + "rsa-2048.crt.pem";
const std::string secure_boot_certificate = std::string(disk_data::keys) + "rsa-3072.crt.pem";

base::Json json_of(const base::CommandResult& result) {
  auto json = base::parse_json(result.output);
  EXPECT_THAT(json, support::Succeeds()) << result.output << result.errors;
  return json ? *json : base::Json();
}

class ImageCommands : public testing::Test {
 protected:
  std::vector<std::string> verify(const std::string& image) const {
    return {"verify", image, "--cert", root_hash_certificate, "--secure-boot-cert", secure_boot_certificate};
  }
  std::vector<std::string> with_json(std::vector<std::string> arguments) const {
    arguments.emplace_back("--json");
    return arguments;
  }

  const Parts parts;
  const std::string disk = parts.disk();
};

TEST_F(ImageCommands, VerifyFollowsTheWholeChain) {
  const auto good = keelson(verify(disk));
  EXPECT_EQ(good.exit_status, 0) << good.errors;
  EXPECT_THAT(good.output, AllOf(HasSubstr("ok       uki-signature"), HasSubstr("ok       hash-tree"),
                                 HasSubstr("ok       root-hash-signature"), Not(HasSubstr("FAILED"))));
  EXPECT_THAT(good.errors, HasSubstr("verifying partition 2 (node_1.0.0): 100% of"));
  const base::Json json = json_of(keelson(with_json(verify(disk))));
  EXPECT_EQ(json["genuine"], true);
  EXPECT_EQ(json["checks"].size(), 16);
}

TEST_F(ImageCommands, VerifySaysWhatIsWrongAndExitsWith3) {
  support::flip_byte(disk, (41 << 20) + 17 * 4096);
  const auto bad = keelson(verify(disk));
  EXPECT_EQ(bad.exit_status, 3);
  EXPECT_THAT(bad.output, HasSubstr("FAILED   hash-tree"));
  EXPECT_THAT(bad.errors, AllOf(HasSubstr("1 of 16 checks failed"), HasSubstr("data block 17 at offset 69632")));
  const auto json = keelson(with_json(verify(disk)));
  EXPECT_EQ(json.exit_status, 3);
  // Two objects: the report, then the error.
  EXPECT_THAT(json.output, AllOf(HasSubstr("\"genuine\": false"), HasSubstr("\"kind\": \"corrupt\"")));
}

TEST_F(ImageCommands, VerifyTakesTheOneCertificateForBoth) {
  const auto refused = keelson({"verify", disk, "--cert", root_hash_certificate});
  EXPECT_EQ(refused.exit_status, 3);
  EXPECT_THAT(refused.output, HasSubstr("FAILED   uki-signature"));
  const Parts one_key({.secure_boot_key = "rsa-2048"});
  EXPECT_EQ(keelson({"verify", one_key.disk(), "--cert", root_hash_certificate}).exit_status, 0);
}

TEST_F(ImageCommands, VerifyRefusesBadInput) {
  EXPECT_EQ(keelson({"verify", disk}).exit_status, 2);
  EXPECT_EQ(keelson({"verify", disk, "--cert", disk}).exit_status, 2);
  EXPECT_EQ(keelson({"verify", "/nonexistent", "--cert", root_hash_certificate}).exit_status, 1);
}

TEST_F(ImageCommands, ShowTellsOfADisk) {
  const auto shown = keelson({"show", disk});
  ASSERT_EQ(shown.exit_status, 0) << shown.errors;
  EXPECT_THAT(shown.output,
              AllOf(HasSubstr("disk image"), HasSubstr("root-x86-64-verity-sig"), HasSubstr(parts.root_hash.hex()),
                    HasSubstr("EFI/Linux/node_1.0.0+3-0.efi (on trial, 3 tries left, 0 done)"),
                    HasSubstr("PRETTY_NAME=Keelson test"), HasSubstr("of this root hash")));
  const base::Json json = json_of(keelson({"show", disk, "--json"}));
  EXPECT_EQ(json["partitions"].size(), 7);
  EXPECT_EQ(json["slot_a"]["root_hash"], parts.root_hash.hex());
  EXPECT_EQ(json["ukis"][0]["version"], "1.0.0");
  EXPECT_EQ(json["ukis"][0]["tries_left"], 3);
  EXPECT_EQ(json["ukis"][0]["cmdline"], "roothash=" + parts.root_hash.hex() + " quiet");
  EXPECT_EQ(json["table_copies"], "agree");
}

TEST_F(ImageCommands, ShowTellsOfADamagedDiskWhatItCan) {
  support::flip_byte(disk, 512 + 40);
  support::flip_byte(disk, (1 << 20) + 510);
  support::flip_byte(disk, (41 << 20) + 1024);
  support::flip_byte(disk, 45 << 20);
  const base::Json json = json_of(keelson({"show", disk, "--json"}));
  EXPECT_EQ(json["table_copies"], "primary_damaged");
  EXPECT_EQ(json["esp"]["error"]["kind"], "corrupt");
  EXPECT_EQ(json["slot_a"]["root"]["error"]["kind"], "corrupt");
  EXPECT_EQ(json["slot_a"]["hash_tree"]["error"]["kind"], "corrupt");
  EXPECT_EQ(json["slot_a"]["signature"]["root_hash"], parts.root_hash.hex());
}

TEST_F(ImageCommands, ShowTellsOfAnErofsImage) {
  const base::Json json = json_of(keelson({"show", parts.directory.path("root.erofs"), "--json"}));
  const std::string dump = support::run_program({"dump.erofs", parts.directory.path("root.erofs")}).output;
  EXPECT_THAT(dump, HasSubstr(json["uuid"].get<std::string>()));
  EXPECT_EQ(json["size_bytes"], std::filesystem::file_size(parts.directory.path("root.erofs")));
  EXPECT_EQ(json["volume_name"], "root");
  EXPECT_EQ(json["inodes"], 5);  // the root, usr, usr/lib and two files
  EXPECT_THAT(keelson({"show", parts.directory.path("root.erofs")}).output, HasSubstr("EROFS image"));
}

TEST_F(ImageCommands, ShowTellsOfAUkiAndOfAStub) {
  const std::string uki = parts.directory.write("uki.efi", base::text_of(parts.uki()));
  const auto shown = keelson({"show", uki});
  EXPECT_THAT(shown.output, AllOf(HasSubstr("Unified Kernel Image"), HasSubstr(".linux"), HasSubstr("(not verified)"),
                                  HasSubstr("IMAGE_VERSION=1.0.0"), HasSubstr("6.1.0-44-cloud-amd64")));
  EXPECT_THAT(keelson({"show", pe_data::stub_path}).output, AllOf(HasSubstr("PE file"), HasSubstr("none: not signed")));
}

TEST_F(ImageCommands, ShowTellsOfARelease) {
  const std::string path = KEELSON_CORPUS "/release/valid-parts";
  const auto shown = keelson({"show", path});
  EXPECT_EQ(shown.exit_status, 0) << shown.errors;
  EXPECT_THAT(shown.output,
              AllOf(HasSubstr("node_1.0.0"), HasSubstr("usr/lib/os-release"), HasSubstr("0.1.0 or later")));
  EXPECT_EQ(json_of(keelson({"show", path, "--json"}))["image"]["id"], "node");
  const auto refused = keelson({"show", KEELSON_CORPUS "/release/unknown-key"});
  EXPECT_EQ(refused.exit_status, 2);
  EXPECT_THAT(refused.errors, HasSubstr("/uki/x: this key is not known here"));
}

TEST_F(ImageCommands, ShowSaysWhatElseToDo) {
  EXPECT_THAT(keelson({"show", parts.directory.path("root.verity")}).errors, HasSubstr("keelson verity dump"));
  EXPECT_THAT(keelson({"show", parts.directory.write("text", "text")}).errors, HasSubstr("is no disk image"));
  EXPECT_EQ(keelson({"show", parts.directory.path()}).exit_status, 2);
}

TEST_F(ImageCommands, NothingThatAnImageSaysReachesATerminalUnescaped) {
  const Parts evil({.cmdline = "roothash=\x1b[2J\x07\nok       uki-root-hash"});
  const auto shown = keelson({"show", evil.disk()});
  EXPECT_THAT(shown.output, AllOf(HasSubstr("roothash=?[2J??ok "), Not(HasSubstr("\x1b"))));
  const auto verified = keelson(verify(evil.disk()));
  EXPECT_THAT(verified.output + verified.errors, Not(HasSubstr("\x1b")));
  EXPECT_THAT(verified.output, Not(HasSubstr("\nok       uki-root-hash")));
}

TEST_F(ImageCommands, HelpWithAnExample) {
  for (const char* verb : {"show", "verify"}) {
    EXPECT_THAT(keelson({verb, "--help"}).output, HasSubstr(std::string("Example: keelson ") + verb));
  }
}

}  // namespace
