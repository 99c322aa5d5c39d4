#include <gmock/gmock.h>

#include "base/json.hpp"
#include "tests/support/files.hpp"
#include "tests/support/pattern.hpp"
#include "tests/support/program.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

using support::keelson;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class VerityCommand : public testing::Test {
 protected:
  VerityCommand() : data(directory.write("root.img", base::text_of(support::pattern(std::size_t{300} * 4096)))) {}

  void format() {
    const auto done = keelson({"verity", "format", data, hash, "--root-hash-file", root_file});
    ASSERT_EQ(done.exit_status, 0) << done.errors;
    root = support::slurp(root_file);
  }

  const support::TemporaryDirectory directory;
  const std::string data;
  const std::string hash = directory.path("root.verity");
  const std::string root_file = directory.path("root.hash");
  std::string root;
};

TEST_F(VerityCommand, FormatsWithoutAnythingRandom) {
  format();
  const std::string first = support::slurp(hash);
  format();
  EXPECT_TRUE(support::slurp(hash) == first);
}

TEST_F(VerityCommand, ShowsWhatItFormatted) {
  format();
  const auto dump = keelson({"verity", "dump", hash, "--json"});
  ASSERT_EQ(dump.exit_status, 0) << dump.errors;
  const auto facts = base::parse_json(dump.output);
  ASSERT_TRUE(facts.has_value()) << dump.output;
  EXPECT_EQ(facts->at("data_blocks"), 300);
  EXPECT_EQ(facts->at("salt"), "-");
  EXPECT_EQ(facts->at("hash_blocks"), 4);
  EXPECT_THAT(keelson({"verity", "dump", hash}).output,
              AllOf(HasSubstr("data blocks      300\n"), HasSubstr("sha256")));
}

TEST_F(VerityCommand, SaysWhereTheDataIsNotGenuine) {
  format();
  support::flip_byte(data, 17 * 4096 + 5);
  const auto verify = keelson({"verity", "verify", data, hash, root});
  EXPECT_EQ(verify.exit_status, 3);
  EXPECT_THAT(verify.errors, HasSubstr("data block 17 at offset 69632 of " + data));
}

TEST_F(VerityCommand, SaysThatNothingCanBeSaidUnderAnotherRootHash) {
  format();
  const auto verify = keelson({"verity", "verify", data, hash, std::string(64, '0')});
  EXPECT_EQ(verify.exit_status, 3);
  EXPECT_THAT(verify.errors,
              AllOf(HasSubstr("hash block 0 (level 1)"), HasSubstr("300 data blocks lie below bad hash blocks")));
}

TEST_F(VerityCommand, GivesErrorsToAMachineToo) {
  const auto dump = keelson({"--json", "verity", "dump", data});
  EXPECT_EQ(dump.exit_status, 3);
  const auto object = base::parse_json(dump.output);
  ASSERT_TRUE(object.has_value()) << dump.output;
  EXPECT_EQ(object->at("error").at("kind"), "corrupt");
  EXPECT_THAT(object->at("error").at("message").get<std::string>(), HasSubstr("no verity superblock"));
}

TEST_F(VerityCommand, LeavesNoHashFileBehindWhenItFails) {
  EXPECT_EQ(keelson({"verity", "format", data, hash, "--salt", "xyz"}).exit_status, 2);
  EXPECT_FALSE(std::filesystem::exists(hash));
}

TEST_F(VerityCommand, NeverOverwritesTheDataWithItsTree) {
  const std::string before = support::slurp(data);
  for (const char* offset : {"0", "4096", "1224704"}) {
    const auto refused = keelson({"verity", "format", data, data, "--hash-offset", offset});
    EXPECT_EQ(refused.exit_status, 2);
    EXPECT_THAT(refused.errors, HasSubstr("would overwrite it"));
  }
  const std::string link = directory.path("link.img");
  std::filesystem::create_symlink(data, link);
  EXPECT_EQ(keelson({"verity", "format", data, link}).exit_status, 2);
  EXPECT_TRUE(support::slurp(data) == before);
  EXPECT_EQ(keelson({"verity", "format", data, data, "--hash-offset", "1228800"}).exit_status, 0);
}

TEST_F(VerityCommand, RefusesBadInputAndSaysWhy) {
  format();
  const std::string odd = directory.write("odd.img", std::string(5000, 'x'));
  const std::string empty = directory.write("empty.img", "");
  const std::string short_data = directory.write("short.img", std::string(4096, 'x'));
  struct {
    const char* what;
    std::vector<std::string> arguments;
    int exit_status;
    std::string message;
  } const cases[] = {
      {"no verb", {"verity"}, 2, "subcommand is required"},
      {"unknown verb", {"verity", "fromat"}, 2, "\"fromat\" is not known here; did you mean \"format\"?"},
      {"unknown option", {"verity", "dump", hash, "--hash-ofset", "1"}, 2, "did you mean \"--hash-offset\"?"},
      {"no such file", {"verity", "dump", "/nonexistent"}, 1, "/nonexistent: No such file or directory"},
      {"a directory", {"verity", "dump", directory.path()}, 2, "neither a regular file nor a block device"},
      {"odd size",
       {"verity", "format", odd, hash},
       2,
       "5000 bytes of data are no multiple of the data block size 4096"},
      {"no data", {"verity", "format", empty, hash}, 2, "no data"},
      {"more blocks than data", {"verity", "format", data, hash, "--data-blocks", "301"}, 2, "has 1228800 bytes"},
      {"block size", {"verity", "format", data, hash, "--data-block-size", "3000"}, 2, "data block size 3000"},
      {"salt", {"verity", "format", data, hash, "--salt", "0g"}, 2, "the salt: the character at position 2"},
      {"uuid", {"verity", "format", data, hash, "--uuid", "1234"}, 2, "\"1234\" is no UUID"},
      {"hash offset", {"verity", "format", data, hash, "--hash-offset", "100"}, 2, "no multiple of 512"},
      {"root hash", {"verity", "verify", data, hash, "abc"}, 2, "odd number of digits"},
      {"two root hashes",
       {"verity", "verify", data, hash, root, "--root-hash-file", root_file},
       2,
       "either as an argument"},
      {"no root hash", {"verity", "verify", data, hash}, 2, "either as an argument"},
      {"salt beside a superblock", {"verity", "verify", data, hash, root, "--salt", "00"}, 2, "--no-superblock"},
      {"short data", {"verity", "verify", short_data, hash, root}, 3, "has only 4096 of the 1228800 bytes"},
      {"threads", {"verity", "verify", data, hash, root, "--threads", "0"}, 2, "threads"},
  };
  for (const auto& one : cases) {
    const auto refused = keelson(one.arguments);
    EXPECT_EQ(refused.exit_status, one.exit_status) << one.what << ": " << refused.errors;
    EXPECT_THAT(refused.errors, HasSubstr(one.message)) << one.what;
  }
}

TEST_F(VerityCommand, FindsASuperblockThatPromisesMoreThanTheFileHolds) {
  format();
  std::filesystem::resize_file(hash, 8192);
  const auto verify = keelson({"verity", "verify", data, hash, root});
  EXPECT_EQ(verify.exit_status, 3);
  EXPECT_THAT(verify.errors, AllOf(HasSubstr("takes 16384 bytes from offset 4096"), HasSubstr("only 8192")));
}

TEST_F(VerityCommand, WritesResultsToOutputAndProgressToErrors) {
  const auto quiet = keelson({"-q", "verity", "format", data, hash});
  EXPECT_EQ(quiet.output + quiet.errors, "");
  const auto json = keelson({"--json", "verity", "format", data, hash});
  EXPECT_TRUE(base::parse_json(json.output).has_value()) << json.output;
  const auto last = base::parse_json(json.errors.substr(json.errors.rfind('\n', json.errors.size() - 2) + 1));
  ASSERT_TRUE(last.has_value()) << json.errors;
  EXPECT_EQ(last->at("progress").at("done"), 300 * 4096);
}

TEST_F(VerityCommand, RestoresDamagedBlocksFromTheirParity) {
  const std::string parity = directory.path("root.fec");
  const std::string before = support::slurp(data);
  ASSERT_EQ(
      keelson({"verity", "format", data, hash, "--fec-device", parity, "--root-hash-file", root_file}).exit_status, 0);
  root = support::slurp(root_file);
  EXPECT_EQ(support::veritysetup({"verify", data, hash, root, "--fec-device", parity}).exit_status, 0);

  support::flip_byte(data, 17 * 4096 + 5);
  support::flip_byte(hash, 4096 + 5);
  const auto verify = keelson({"verity", "verify", data, hash, root, "--fec-device", parity});
  EXPECT_EQ(verify.exit_status, 3);
  EXPECT_THAT(verify.errors, HasSubstr("The parity can restore all of it"));

  const std::vector<std::string> repair = {"verity", "repair", data, hash, root, "--fec-device", parity};
  std::vector<std::string> rehearse = repair;
  rehearse.emplace_back("--dry-run");
  EXPECT_THAT(keelson(rehearse).output, AllOf(HasSubstr("nothing was written"), HasSubstr("2 blocks")));
  EXPECT_EQ(keelson({"verity", "verify", data, hash, root}).exit_status, 3);
  EXPECT_THAT(keelson(repair).output,
              AllOf(HasSubstr("data block 17 at offset 69632"), HasSubstr("hash block 0 (level 1)")));
  EXPECT_TRUE(support::slurp(data) == before);
  EXPECT_EQ(support::veritysetup({"verify", data, hash, root}).exit_status, 0);
}

TEST_F(VerityCommand, SaysWhatTheParityCannotRestore) {
  const std::string parity = directory.path("root.fec");
  ASSERT_EQ(
      keelson({"verity", "format", data, hash, "--fec-device", parity, "--root-hash-file", root_file}).exit_status, 0);
  // 300 data blocks and 4 above them make two rounds: two roots bear two lost blocks in each.
  for (const int block : {0, 2, 4}) support::flip_byte(data, static_cast<std::uint64_t>(block) * 4096);
  const auto repair = keelson({"verity", "repair", data, hash, support::slurp(root_file), "--fec-device", parity});
  EXPECT_EQ(repair.exit_status, 3);
  EXPECT_THAT(repair.errors, AllOf(HasSubstr("3 blocks do not match"), HasSubstr("cannot restore them")));
}

TEST_F(VerityCommand, KeepsParityBehindTheTreeOfTheSameFile) {
  const auto format = keelson({"verity", "format", data, hash, "--fec-device", hash, "--fec-offset", "20480",
                               "--fec-roots", "4", "--root-hash-file", root_file});
  ASSERT_EQ(format.exit_status, 0) << format.errors;
  EXPECT_EQ(support::veritysetup({"verify", data, hash, support::slurp(root_file), "--fec-device", hash, "--fec-offset",
                                  "20480", "--fec-roots", "4"})
                .exit_status,
            0);
  const auto overlap = keelson({"verity", "format", data, hash, "--fec-device", hash, "--fec-offset", "8192"});
  EXPECT_EQ(overlap.exit_status, 2);
  EXPECT_EQ(keelson({"verity", "format", data, hash, "--fec-device", data}).exit_status, 2);
}

TEST_F(VerityCommand, SignsAndChecksInBothForms) {
  format();
  const std::string keys = KEELSON_TEST_DATA "/keys/";
  const std::string signature = directory.path("root.p7s");
  for (const bool partition : {false, true}) {
    std::vector<std::string> sign = {
        "verity", "sign",   root, "--key", keys + "rsa-2048.key.pem", "--cert", keys + "rsa-2048.crt.pem",
        "-o",     signature};
    if (partition) sign.emplace_back("--partition");
    ASSERT_EQ(keelson(sign).exit_status, 0);

    const auto good = keelson({"verity", "check-signature", signature, root, "--cert", keys + "p256.crt.pem", "--cert",
                               keys + "rsa-2048.crt.pem", "--json"});
    EXPECT_EQ(good.exit_status, 0) << good.errors;
    EXPECT_EQ(base::parse_json(good.output)->at("signature"), "good");

    const auto stranger = keelson({"verity", "check-signature", signature, root, "--cert", keys + "p256.crt.pem"});
    EXPECT_EQ(stranger.exit_status, 3);
    EXPECT_THAT(stranger.errors, HasSubstr("not among the 1 trusted"));

    const auto other =
        keelson({"verity", "check-signature", signature, std::string(64, '0'), "--cert", keys + "rsa-2048.crt.pem"});
    EXPECT_EQ(other.exit_status, 3);
  }
}

TEST_F(VerityCommand, RefusesToSignWithAKeyOfAnotherCertificate) {
  format();
  const std::string keys = KEELSON_TEST_DATA "/keys/";
  const std::string signature = directory.path("root.p7s");
  const auto refused = keelson({"verity", "sign", root, "--key", keys + "impostor-rsa-2048.key.pem", "--cert",
                                keys + "rsa-2048.crt.pem", "-o", signature});
  EXPECT_EQ(refused.exit_status, 2);
  EXPECT_THAT(refused.errors, HasSubstr("does not belong"));
  EXPECT_FALSE(std::filesystem::exists(signature));
}

TEST_F(VerityCommand, HelpsWithAnExample) {
  for (const char* verb : {"format", "verify", "dump", "sign", "check-signature", "repair"}) {
    const auto help = keelson({"verity", verb, "--help"});
    EXPECT_EQ(help.exit_status, 0);
    EXPECT_THAT(help.output, HasSubstr(std::string("Example: keelson verity ") + verb));
  }
  EXPECT_THAT(keelson({"--version"}).output, HasSubstr("keelson 0."));
}

}  // namespace
