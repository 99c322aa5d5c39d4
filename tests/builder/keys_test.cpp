// The judges: openssl, efitools (cert-to-efi-sig-list, sign-efi-sig-list, sig-list-to-certs), sbverify.

#include "builder/keys/keys.hpp"

#include <sys/stat.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <map>
#include <thread>

#include <gmock/gmock.h>

#include "base/file.hpp"
#include "base/json.hpp"
#include "builder/keys/efi_variable.hpp"
#include "image/authenticode.hpp"
#include "tests/support/files.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/program.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/verity/signature_data.hpp"
#include "verity/root_hash_signature.hpp"

namespace {

namespace fs = std::filesystem;
namespace keys = builder::keys;

using base::Kind;
using keys::EfiVariable;
using support::FailsWith;
using support::Holds;
using support::output_of;
using support::run_program;
using support::slurp;
using support::Succeeds;
using testing::AllOf;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Property;

constexpr const char* boot_loader = "/usr/lib/systemd/boot/efi/systemd-bootx64.efi";

base::Bytes bytes_of_file(const std::string& path) {
  const std::string content = slurp(path);
  return {base::bytes_of(content).begin(), base::bytes_of(content).end()};
}

unsigned mode_of(const std::string& path) {
  return static_cast<unsigned>(fs::status(path).permissions()) & 07777U;
}

std::vector<std::string> names_in(const std::string& directory) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(directory)) names.push_back(entry.path().filename());
  std::ranges::sort(names);
  return names;
}

/// Made once; a test that changes something copies them.
class Keys : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    directory = new support::TemporaryDirectory;
    const auto made = support::keelson({"keys", "new", path(), "--name", "Example Inc."});
    ASSERT_EQ(made.exit_status, 0) << made.errors;
  }
  static void TearDownTestSuite() {
    delete directory;
    directory = nullptr;
  }

  static std::string path(const std::string& name = "") {
    return directory->path("keys") + (name.empty() ? "" : "/") + name;
  }
  static keys::EfiUpdate update(const std::string& name) {
    return keys::parse_efi_update(bytes_of_file(path(name))).value();
  }
  static verity::Certificate certificate(const std::string& name) {
    return verity::read_certificate(path(name + ".crt")).value();
  }

  /// A copy to spoil.
  class Copy {
   public:
    Copy() { fs::copy(Keys::path(), path(), fs::copy_options::recursive); }
    std::string path(const std::string& name = "") const {
      return directory_.path("copy") + (name.empty() ? "" : "/") + name;
    }

   private:
    support::TemporaryDirectory directory_;
  };

  static inline support::TemporaryDirectory* directory = nullptr;
};

TEST_F(Keys, AreForTheirOwnerOnly) {
  EXPECT_EQ(mode_of(path()), 0700U);
  for (const std::string& name : names_in(path())) {
    EXPECT_EQ(mode_of(path(name)), name.ends_with(".key") ? 0600U : 0644U) << name;
  }
  EXPECT_THAT(names_in(path()),
              ElementsAre("KEK.auth", "KEK.crt", "KEK.key", "PK.auth", "PK.crt", "PK.key", "README.txt", "db.auth",
                          "db.crt", "db.key", "owner.guid", "tuf-root.key", "tuf-root.pub", "tuf-snapshot.key",
                          "tuf-snapshot.pub", "tuf-targets.key", "tuf-targets.pub", "tuf-timestamp.key",
                          "tuf-timestamp.pub", "update.key", "update.pub", "verity.crt", "verity.key"));
}

TEST_F(Keys, AreWhatOpensslTakesForThem) {
  const std::map<std::string, std::string> subjects = {{"PK", "CN = Example Inc. Platform Key"},
                                                       {"KEK", "CN = Example Inc. Key Exchange Key"},
                                                       {"db", "CN = Example Inc. Secure Boot"},
                                                       {"verity", "CN = Example Inc. Root Hash"}};
  for (const auto& [name, subject] : subjects) {
    SCOPED_TRACE(name);
    const std::string text =
        output_of({"openssl", "x509", "-in", path(name + ".crt"), "-noout", "-subject", "-enddate", "-text"});
    EXPECT_THAT(text, AllOf(HasSubstr("subject=" + subject), HasSubstr("notAfter=Dec 31 23:59:59 9999 GMT"),
                            HasSubstr("Public-Key: (2048 bit)"), HasSubstr("sha256WithRSAEncryption"),
                            HasSubstr("CA:FALSE"), HasSubstr("Version: 3")));
    output_of({"openssl", "verify", "-check_ss_sig", "-CAfile", path(name + ".crt"), path(name + ".crt")});
    EXPECT_EQ(output_of({"openssl", "pkey", "-in", path(name + ".key"), "-check", "-pubout"}),
              "Key is valid\n" + output_of({"openssl", "x509", "-in", path(name + ".crt"), "-noout", "-pubkey"}));
  }
  for (const char* name : {"update", "tuf-root", "tuf-targets", "tuf-snapshot", "tuf-timestamp"}) {
    SCOPED_TRACE(name);
    const std::string file = path(name);
    EXPECT_THAT(output_of({"openssl", "pkey", "-in", file + ".key", "-noout", "-text"}),
                HasSubstr("ED25519 Private-Key"));
    EXPECT_EQ(output_of({"openssl", "pkey", "-in", file + ".key", "-pubout"}), output_of({"cat", file + ".pub"}));
  }
}

TEST_F(Keys, AreEachAnother) {
  std::set<std::string> seen;
  for (const std::string& name : names_in(path())) {
    if (name.ends_with(".key")) {
      EXPECT_TRUE(seen.insert(slurp(path(name))).second) << name;
    }
  }
}

TEST_F(Keys, EnrolWithTheBytesOfEfitools) {
  const support::TemporaryDirectory work;
  const std::string start = output_of({"openssl", "x509", "-in", path("PK.crt"), "-noout", "-startdate"});
  const std::string time = output_of({"date", "--utc", "--date=" + start.substr(10), "+%Y-%m-%d %H:%M:%S"});
  const std::string owner = output_of({"cat", path("owner.guid")});
  for (const auto& [variable, signer] : {std::pair("PK", "PK"), {"KEK", "PK"}, {"db", "KEK"}}) {
    SCOPED_TRACE(variable);
    const std::string list = work.path("esl");
    const std::string theirs = work.path("auth");
    output_of({"cert-to-efi-sig-list", "-g", owner, path(variable + std::string(".crt")), list});
    output_of({"sign-efi-sig-list", "-t", time, "-k", path(signer + std::string(".key")), "-c",
               path(signer + std::string(".crt")), variable, list, theirs});
    EXPECT_TRUE(slurp(theirs) == slurp(path(variable + std::string(".auth"))));
  }
}

TEST_F(Keys, AreReadBackFromTheUpdatesOfTheFirmware) {
  const support::TemporaryDirectory work;
  for (const char* variable : {"PK", "KEK", "db"}) {
    SCOPED_TRACE(variable);
    const keys::EfiUpdate parsed = update(variable + std::string(".auth"));
    ASSERT_EQ(parsed.certificates.size(), 1U);
    EXPECT_EQ(parsed.certificates[0].certificate.fingerprint(), certificate(variable).fingerprint());
    EXPECT_EQ(parsed.certificates[0].owner.text(), output_of({"cat", path("owner.guid")}));
    EXPECT_LT(std::chrono::system_clock::now() - parsed.timestamp, std::chrono::minutes(10));
    EXPECT_THAT(output_of({"sig-list-to-certs", work.write("esl", base::text_of(parsed.content)), work.path(variable)}),
                HasSubstr(output_of({"cat", path("owner.guid")})));
    EXPECT_EQ(output_of({"openssl", "x509", "-in", work.path(variable) + "-0.der", "-outform", "pem"}) + "\n",
              slurp(path(variable + std::string(".crt"))));
  }
}

TEST_F(Keys, SignUpdatesOfOneVariableOnly) {
  const auto verified_by = [this](const char* file, EfiVariable variable, const char* name) {
    const verity::Certificate trusted = certificate(name);
    return keys::verify_efi_update(update(file), variable, std::span(&trusted, 1));
  };
  EXPECT_THAT(verified_by("PK.auth", EfiVariable::platform_key, "PK"), Succeeds());
  EXPECT_THAT(verified_by("KEK.auth", EfiVariable::key_exchange_key, "PK"), Succeeds());
  EXPECT_THAT(verified_by("db.auth", EfiVariable::signature_database, "KEK"), Succeeds());
  EXPECT_THAT(verified_by("db.auth", EfiVariable::signature_database, "PK"),
              FailsWith(Kind::untrusted, HasSubstr("db")));
  EXPECT_THAT(verified_by("KEK.auth", EfiVariable::platform_key, "PK"), FailsWith(Kind::untrusted, HasSubstr("PK")));
}

TEST_F(Keys, SignWhatABuildSigns) {
  const auto read = keys::read_keys(path());
  ASSERT_THAT(read, Succeeds());
  const support::TemporaryDirectory work;
  const auto signed_loader =
      image::sign_pe(bytes_of_file(boot_loader), read->secure_boot.key, read->secure_boot.certificate);
  ASSERT_THAT(signed_loader, Succeeds());
  const std::string file = work.write("boot.efi", base::text_of(*signed_loader));
  EXPECT_THAT(output_of({"sbverify", "--cert", path("db.crt"), file}), HasSubstr("Signature verification OK"));

  const auto signature =
      verity::sign_root_hash(signature_data::root(), read->root_hash.key, read->root_hash.certificate);
  ASSERT_THAT(signature, Succeeds());
  output_of({"openssl", "smime", "-verify", "-binary", "-inform", "der", "-in",
             work.write("p7", base::text_of(*signature)), "-content", work.write("hash", signature_data::root().hex()),
             "-certfile", path("verity.crt"), "-nointern", "-noverify", "-out", work.path("out")});
  EXPECT_EQ(read->enroll_keys().platform_key.size(), fs::file_size(path("PK.auth")));
  EXPECT_EQ(read->enroll_keys().key_exchange_key.size(), fs::file_size(path("KEK.auth")));
  EXPECT_EQ(read->enroll_keys().signature_database.size(), fs::file_size(path("db.auth")));
}

TEST_F(Keys, OfABuildNeedNeitherPkNorKek) {
  const Copy copy;
  for (const char* name : {"PK.key", "PK.crt", "KEK.key", "KEK.crt", "tuf-root.key", "update.key"}) {
    fs::remove(copy.path(name));
  }
  EXPECT_THAT(keys::read_keys(copy.path()), Succeeds());
}

TEST_F(Keys, ThatOthersMayReadAreRefused) {
  for (const unsigned mode : {0640U, 0604U, 0660U, 0644U}) {
    const Copy copy;
    fs::permissions(copy.path("db.key"), static_cast<fs::perms>(mode));
    EXPECT_THAT(keys::read_keys(copy.path()),
                FailsWith(Kind::permission, AllOf(HasSubstr(copy.path("db.key")), HasSubstr("chmod 600"),
                                                  HasSubstr(fmt::format("mode {:04o}", mode)))));
  }
}

TEST_F(Keys, ThatAreMissingAreNamedWithWhatMakesThem) {
  for (const char* name : {"db.key", "db.crt", "verity.key", "verity.crt", "PK.auth", "KEK.auth", "db.auth"}) {
    const Copy copy;
    fs::remove(copy.path(name));
    EXPECT_THAT(keys::read_keys(copy.path()),
                FailsWith(Kind::not_found, AllOf(HasSubstr(copy.path(name)), HasSubstr("keelson keys new DIR"))));
  }
  EXPECT_THAT(keys::examine_keys(directory->path("none")),
              FailsWith(Kind::not_found, HasSubstr("keelson keys new " + directory->path("none"))));
}

TEST_F(Keys, ThatDoNotBelongTogetherAreRefused) {
  const Copy copy;
  fs::copy_file(copy.path("verity.key"), copy.path("db.key"), fs::copy_options::overwrite_existing);
  EXPECT_THAT(keys::read_keys(copy.path()), FailsWith(Kind::invalid_input, HasSubstr("db.key does not belong to")));
  EXPECT_THAT(keys::examine_keys(copy.path()), FailsWith(Kind::invalid_input, HasSubstr("db.key does not belong to")));

  const Copy other;
  fs::copy_file(other.path("KEK.auth"), other.path("db.auth"), fs::copy_options::overwrite_existing);
  EXPECT_THAT(keys::read_keys(other.path()), FailsWith(Kind::invalid_input, HasSubstr("db.auth does not name")));
  EXPECT_THAT(keys::examine_keys(other.path()), FailsWith(Kind::untrusted, HasSubstr("db.auth")));
}

TEST_F(Keys, OfWhichAnUpdateIsSpoiledAreRefused) {
  const Copy copy;
  fs::resize_file(copy.path("PK.auth"), 100);
  EXPECT_THAT(keys::read_keys(copy.path()), FailsWith(Kind::corrupt, HasSubstr(copy.path("PK.auth"))));
}

TEST_F(Keys, AreNeverOverwritten) {
  const std::string before = slurp(path("PK.key"));
  const auto again = support::keelson({"keys", "new", path()});
  EXPECT_EQ(again.exit_status, 2);
  EXPECT_THAT(again.errors, HasSubstr(path("KEK.auth") + " is there already"));
  EXPECT_EQ(slurp(path("PK.key")), before);

  const support::TemporaryDirectory work;
  work.write("file", "");
  EXPECT_EQ(support::keelson({"keys", "new", work.path("file")}).exit_status, 2);
  EXPECT_THAT(names_in(work.path()), ElementsAre("file"));
}

TEST_F(Keys, AreShownToPeopleAndMachines) {
  const auto shown = support::keelson({"keys", "show", path()});
  EXPECT_THAT(shown.output, AllOf(HasSubstr("sets db to CN=Example Inc. Secure Boot; signed by KEK"),
                                  HasSubstr("rsa2048"), HasSubstr("private key here")));
  const auto machine = support::keelson({"keys", "show", path(), "--json"});
  const auto json = base::parse_json(machine.output);
  ASSERT_THAT(json, Succeeds());
  EXPECT_EQ((*json)["keys"]["db"]["fingerprint"], certificate("db").fingerprint());
  EXPECT_EQ((*json)["keys"]["tuf-root"]["type"], "ed25519");
  EXPECT_EQ((*json)["keys"]["tuf-root"]["private_key_mode"], "0600");
  EXPECT_EQ((*json)["updates"]["KEK.auth"]["signed_by"], "PK");

  const Copy copy;
  fs::remove(copy.path("KEK.crt"));
  fs::remove(copy.path("db.key"));
  const auto less = base::parse_json(support::keelson({"keys", "show", copy.path(), "--json"}).output);
  ASSERT_THAT(less, Succeeds());
  EXPECT_EQ((*less)["keys"]["db"]["private_key"], false);
  EXPECT_TRUE((*less)["updates"]["db.auth"]["signed_by"].is_null());
}

TEST(NewKeys, GoIntoAnEmptyDirectoryAndARelativeOne) {
  const support::TemporaryDirectory work;
  fs::create_directory(work.path("empty"));
  const std::string script = "cd '" + work.path() +
                             "' && umask 077 && " KEELSON_PROGRAM " -q keys new empty/ && " KEELSON_PROGRAM
                             " -q keys new fresh --type rsa3072";
  const auto made = run_program({"sh", "-c", script});
  ASSERT_EQ(made.exit_status, 0) << made.errors;
  EXPECT_THAT(names_in(work.path()), ElementsAre("empty", "fresh"));
  EXPECT_THAT(keys::read_keys(work.path("empty")), Succeeds());
  EXPECT_EQ(mode_of(work.path("empty/db.crt")), 0644U);
  EXPECT_THAT(
      keys::examine_keys(work.path("fresh")),
      Holds(Field(&keys::KeyDirectory::keys, testing::Contains(Field(&keys::KeyFacts::kind, "rsa3072")).Times(4))));
}

TEST(NewKeys, HaveANameThatFitsIntoACertificate) {
  const support::TemporaryDirectory work;
  for (const std::string& name : {std::string(), std::string(41, 'x'), std::string("a\nb"), std::string("\xff\xfe")}) {
    EXPECT_THAT(keys::make_keys(work.path("keys"), {.name = name}), FailsWith(Kind::invalid_input, HasSubstr("name")));
  }
  EXPECT_THAT(names_in(work.path()), IsEmpty());
  EXPECT_EQ(support::keelson({"keys", "new", work.path("keys"), "--type", "rsa512"}).exit_status, 2);
}

TEST(NewKeys, LeaveNothingWhenInterrupted) {
  const support::TemporaryDirectory work;
  auto started =
      base::Subprocess::start({.argv = {KEELSON_PROGRAM, "keys", "new", work.path("keys"), "--type", "rsa4096"},
                               .time_limit = std::chrono::seconds(60)});
  ASSERT_THAT(started, Succeeds());
  while (names_in(work.path()).empty()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_EQ(::kill(started->pid(), SIGTERM), 0);
  EXPECT_THAT(started->wait(), Holds(Field(&base::CommandResult::exit_status, 130)));
  EXPECT_THAT(names_in(work.path()), IsEmpty());
}

TEST(EfiUpdate, OfOthersIsRead) {
  EXPECT_THAT(keys::parse_efi_update(signature_data::corpus("efi_update/valid")),
              Holds(AllOf(Field(&keys::EfiUpdate::timestamp, std::chrono::sys_days(std::chrono::year(2026) / 11 / 21) +
                                                                 std::chrono::hours(10) + std::chrono::minutes(11) +
                                                                 std::chrono::seconds(12)),
                          Field(&keys::EfiUpdate::certificates, testing::SizeIs(1)))));
  EXPECT_THAT(keys::parse_efi_update(signature_data::corpus("efi_update/two-lists")),
              Holds(Field(&keys::EfiUpdate::certificates, testing::SizeIs(2))));
}

TEST(EfiUpdate, ThatIsSpoiledIsRefused) {
  const std::vector<std::tuple<const char*, Kind, const char*>> cases = {
      {"empty", Kind::corrupt, "header"},
      {"half-a-header", Kind::corrupt, "header"},
      {"cut-short", Kind::corrupt, "lengths"},
      {"month-13", Kind::corrupt, "time"},
      {"time-zone", Kind::corrupt, "time"},
      {"signature-of-4-gib", Kind::corrupt, "wrong length"},
      {"signature-shorter-than-its-header", Kind::corrupt, "wrong length"},
      {"another-authentication", Kind::unsupported, "PKCS#7"},
      {"to-nothing", Kind::corrupt, "nothing"},
      {"hashes", Kind::unsupported, "X.509"},
      {"list-of-4-gib", Kind::corrupt, "lengths"},
      {"list-of-nothing", Kind::corrupt, "lengths"},
      {"list-with-a-header", Kind::unsupported, "X.509"},
      {"entries-of-nothing", Kind::corrupt, "lengths"},
      {"entries-of-4-gib", Kind::corrupt, "lengths"},
  };
  for (const auto& [name, kind, message] : cases) {
    SCOPED_TRACE(name);
    EXPECT_THAT(keys::parse_efi_update(signature_data::corpus(std::string("efi_update/") + name)),
                FailsWith(kind, HasSubstr(message)));
  }
}

TEST(EfiUpdate, WithAnotherSignatureIsRefused) {
  const verity::Certificate trusted = signature_data::certificate("rsa-2048");
  const auto verdict = [&](const char* name) {
    return keys::verify_efi_update(keys::parse_efi_update(signature_data::corpus(name)).value(),
                                   EfiVariable::signature_database, std::span(&trusted, 1));
  };
  EXPECT_THAT(verdict("efi_update/valid"), Succeeds());
  EXPECT_THAT(verdict("efi_update/of-another-variable"), FailsWith(Kind::untrusted, HasSubstr("db")));
  EXPECT_THAT(verdict("efi_update/spoiled-signature"), testing::Not(Succeeds()));
}

}  // namespace
