#include <gmock/gmock.h>

#include "base/json.hpp"
#include "tests/support/files.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/program.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr const char* manifests = KEELSON_TEST_DATA "/../../manifests/";

TEST(CheckCommand, KnowsTheManifestsThatWeShip) {
  for (const char* name : {"minimal.yaml"}) {
    const auto checked = support::keelson({"check", std::string(manifests) + name});
    EXPECT_EQ(checked.exit_status, 0) << checked.errors;
  }
}

TEST(CheckCommand, HasTheSchemaThatWeShip) {
  EXPECT_EQ(support::keelson({"check", "--schema"}).output, support::slurp(std::string(manifests) + "schema.json"))
      << "make it anew: keelson check --schema > manifests/schema.json";
}

TEST(CheckCommand, HasASchemaThatAnotherProgramAgreesWith) {
  // Python's jsonschema and YAML reader judge: what we take it takes, what we refuse for its form it refuses.
  const support::TemporaryDirectory directory;
  const std::string good = std::string(manifests) + "minimal.yaml";
  const std::string bad = directory.write("bad.yaml", support::slurp(good) + "boot: {tres: 3}\n");
  const std::string script =
      "import sys, json, yaml, jsonschema\n"
      "schema = json.load(open(sys.argv[1]))\n"
      "jsonschema.Draft202012Validator.check_schema(schema)\n"
      "jsonschema.Draft202012Validator(schema).validate(yaml.safe_load(open(sys.argv[2])))\n";
  const auto judge = [&](const std::string& manifest) {
    return support::run_program({"/usr/bin/python3", "-c", script, std::string(manifests) + "schema.json", manifest});
  };
  const auto accepted = judge(good);
  EXPECT_EQ(accepted.exit_status, 0) << accepted.errors;
  EXPECT_THAT(judge(bad).errors, HasSubstr("'tres' was unexpected"));
  const auto refused = support::keelson({"check", bad});
  EXPECT_EQ(refused.exit_status, 2);
  EXPECT_THAT(refused.errors, AllOf(HasSubstr("bad.yaml:"), HasSubstr("did you mean \"tries\"")));
}

TEST(CheckCommand, PrintsWhatIsBuiltFromAndWhereItStands) {
  const support::TemporaryDirectory directory;
  directory.write("base.yaml",
                  "keelson: 1\nimage: {id: a, version: 1}\npackages: {debian: {suite: bookworm, install: [vim]}}\n");
  const std::string manifest = directory.write("m.yaml", "include: [base.yaml]\nhostname: a\n");
  const auto shown = support::keelson({"check", manifest, "--effective", "--set", "image.version=2"});
  ASSERT_EQ(shown.exit_status, 0) << shown.errors;
  EXPECT_THAT(shown.output, AllOf(HasSubstr("base.yaml:2:13\n"), HasSubstr("  version: \"2\"  # --set image.version\n"),
                                  HasSubstr("hostname: \"a\"  # " + manifest + ":2:11\n")));
  // It is a manifest itself.
  const auto again = support::keelson({"check", directory.write("effective.yaml", shown.output)});
  EXPECT_EQ(again.exit_status, 0) << again.errors;
}

}  // namespace
