#include "agent/init/etc.hpp"

#include <filesystem>
#include <string>

#include <gmock/gmock.h>

#include "tests/support/files.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

namespace fs = std::filesystem;
using agent::init::EtcPlaces;
using agent::init::prepare_etc;
using base::Kind;
using support::FailsWith;
using support::Holds;
using support::Succeeds;
using testing::HasSubstr;

const verity::RootHash root_hash =
    *verity::RootHash::parse("2e534ef0107d592d1706ac38ad58596b85ef3375d360a6d669f974792df5cb5a");

class PrepareEtc : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(directory_.path("usr/etc/ssh"));
    directory_.write("usr/etc/machine-id", "");
    directory_.write("usr/etc/ssh/sshd_config", "PermitRootLogin no\n");
  }

  support::TemporaryDirectory directory_;
  EtcPlaces places_{.factory = directory_.path("usr/etc"), .generations = directory_.path("var/lib/keelson/etc")};
  std::string generation_ = places_.generations + "/" + root_hash.hex();
};

TEST_F(PrepareEtc, MakesTheFirstOneFromWhatTheVersionBrings) {
  EXPECT_THAT(prepare_etc(places_, root_hash), Holds(generation_));
  EXPECT_EQ(support::slurp(generation_ + "/ssh/sshd_config"), "PermitRootLogin no\n");
  EXPECT_EQ(support::slurp(generation_ + "/machine-id"), "");
  EXPECT_FALSE(fs::exists(generation_ + ".new"));
  EXPECT_EQ(fs::status(places_.generations).permissions(), fs::perms::owner_all);
}

TEST_F(PrepareEtc, LeavesAGenerationThatIsThereAlone) {
  ASSERT_THAT(prepare_etc(places_, root_hash), Succeeds());
  directory_.write("var/lib/keelson/etc/" + root_hash.hex() + "/machine-id", "0123");
  fs::remove(generation_ + "/ssh/sshd_config");
  EXPECT_THAT(prepare_etc(places_, root_hash), Holds(generation_));
  EXPECT_EQ(support::slurp(generation_ + "/machine-id"), "0123");
  EXPECT_FALSE(fs::exists(generation_ + "/ssh/sshd_config"));
}

TEST_F(PrepareEtc, BeginsAnewAfterACut) {
  fs::create_directories(generation_ + ".new/ssh");
  directory_.write("var/lib/keelson/etc/" + root_hash.hex() + ".new/ssh/sshd_config", "Permit");
  directory_.write("var/lib/keelson/etc/" + root_hash.hex() + ".new/other", "");
  EXPECT_THAT(prepare_etc(places_, root_hash), Holds(generation_));
  EXPECT_EQ(support::slurp(generation_ + "/ssh/sshd_config"), "PermitRootLogin no\n");
  EXPECT_FALSE(fs::exists(generation_ + "/other"));
}

TEST_F(PrepareEtc, MakesNoGenerationOfNothing) {
  fs::remove_all(places_.factory);
  EXPECT_THAT(
      prepare_etc(places_, root_hash),
      FailsWith(Kind::not_found, HasSubstr("making the first /etc of this version: examining " + places_.factory)));
  EXPECT_FALSE(fs::exists(generation_));
}

TEST_F(PrepareEtc, RefusesAFileInItsPlace) {
  fs::create_directories(places_.generations);
  directory_.write("var/lib/keelson/etc/" + root_hash.hex(), "");
  EXPECT_THAT(prepare_etc(places_, root_hash), FailsWith(Kind::invalid_input, HasSubstr("is no directory")));
}

}  // namespace
