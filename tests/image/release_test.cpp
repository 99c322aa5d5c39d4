#include "image/release.hpp"

#include <gmock/gmock.h>

#include "base/json.hpp"
#include "tests/support/files.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/pattern.hpp"
#include "tests/support/program.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

using base::Kind;
using image::parse_release;
using image::Release;
using support::FailsWith;
using support::Holds;
using support::Succeeds;
using testing::HasSubstr;

base::Sha256Digest digest(std::uint64_t seed) {
  base::Sha256Digest result{};
  std::ranges::copy(support::pattern(result.size(), seed), result.begin());
  return result;
}

image::FileInCommit in_commit(std::string path, std::uint64_t seed) {
  return {.path = std::move(path), .size_bytes = 1000 * seed, .sha256 = digest(seed)};
}

Release sample() {
  const auto root_hash = *verity::RootHash::parse("2e534ef0107d592d1706ac38ad58596b85ef3375d360a6d669f974792df5cb5a");
  return {.identity = *image::ImageIdentity::of("node", "1.0.0"),
          .commit = digest(1),
          .composer = {.version = 2,
                       .compression = image::erofs::Compression::lz4hc,
                       .cluster_bytes = 65536,
                       .compressor = "liblz4 1.9.4"},
          .erofs_uuid = *base::Uuid::parse("00112233-4455-6677-8899-aabbccddeeff"),
          .erofs_time = 1795219200,
          .root_hash = root_hash,
          .root_hash_signature = support::pattern(500),
          .root_hash_certificate = digest(8),
          .image_bytes = std::uint64_t{159} << 20,
          .hash_tree_bytes = 1318912,
          .slot_bytes = std::uint64_t{2} << 30,
          .uki = image::UkiFromParts{.size_bytes = 20000000,
                                     .sha256 = digest(2),
                                     .signature = support::pattern(1500),
                                     .cmdline = "roothash=" + root_hash.hex() + " quiet",
                                     .uname = "6.1.0-44-cloud-amd64",
                                     .stub = in_commit("usr/lib/keelson/boot/linuxx64.efi.stub", 3),
                                     .os_release = in_commit("usr/lib/os-release", 4),
                                     .initrd = in_commit("usr/lib/keelson/boot/initrd", 5),
                                     .kernel = in_commit("usr/lib/modules/6.1.0-44-cloud-amd64/vmlinuz", 6)},
          .full_image = {.name = "node_1.0.0.root.zst",
                         .size_bytes = 104857600,
                         .sha256 = digest(7),
                         .compression = image::FileCompression::zstd},
          .minimum_agent_version = "0.1.0"};
}

Release sample_with_whole_uki() {
  Release release = sample();
  release.uki = image::WholeUki{.name = "node_1.0.0.efi", .size_bytes = 20000000, .sha256 = digest(2)};
  release.composer = {};
  return release;
}

TEST(Release, ComesBackAsItWasWritten) {
  EXPECT_THAT(parse_release(to_json(sample())), Holds(sample()));
  EXPECT_THAT(parse_release(to_json(sample_with_whole_uki())), Holds(sample_with_whole_uki()));
  Release unsigned_uki = sample();
  std::get<image::UkiFromParts>(unsigned_uki.uki).signature.clear();
  EXPECT_THAT(parse_release(to_json(unsigned_uki)), Holds(unsigned_uki));
}

TEST(Release, HasTheWholeSignaturePartition) {
  Release release = sample();
  // python3 -c 'import hashlib, json; ...' over {"rootHash","certificateFingerprint","signature"} and zeros up to 4096.
  const support::TemporaryDirectory directory;
  const std::string path = directory.write("release.json", to_json(release));
  const auto python = support::run_program(
      {"/usr/bin/python3", "-c",
       "import hashlib, json, sys; r = json.load(open(sys.argv[1]))['root']; "
       "o = {'rootHash': r['hash'], 'certificateFingerprint': r['certificate'], 'signature': r['signature']}; "
       "print(hashlib.sha256(json.dumps(o, separators=(',', ':')).encode().ljust(4096, b'\\0')).hexdigest(), end='')",
       path});
  ASSERT_EQ(python.exit_status, 0) << python.errors;
  const auto partition = image::signature_partition_of(release);
  ASSERT_TRUE(partition.has_value());
  EXPECT_EQ(base::to_hex(base::sha256(*partition)), python.output);

  std::get<image::UkiFromParts>(release.uki).cmdline += " keelson.sig=" + python.output;
  EXPECT_THAT(parse_release(to_json(release)), Holds(release));
  release.root_hash_certificate.reset();
  EXPECT_THAT(parse_release(to_json(release)),
              FailsWith(Kind::invalid_input, HasSubstr("/uki/cmdline: it names another signature than")));
  std::get<image::UkiFromParts>(release.uki).cmdline += " keelson.sig=";
  EXPECT_THAT(parse_release(to_json(release)), FailsWith(Kind::invalid_input, HasSubstr("keelson.sig= twice")));
}

TEST(Release, IsTheTextThatPythonWouldWriteOfIt) {
  const support::TemporaryDirectory directory;
  const std::string path = directory.write("release.json", to_json(sample()));
  const auto python = support::run_program(
      {"/usr/bin/python3", "-c",
       "import json, sys; print(json.dumps(json.load(open(sys.argv[1])), sort_keys=True, indent=2))", path});
  EXPECT_EQ(to_json(sample()), python.output) << python.errors;
}

/// The text with one piece of it replaced.
std::string with(std::string_view from, std::string_view to, const Release& release = sample()) {
  std::string text = to_json(release);
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(Release, IsRefusedWithThePlaceThatIsWrong) {
  struct {
    const char* what;
    std::string text;
    Kind kind;
    const char* message;
  } const cases[] = {
      {"no JSON", "{", Kind::invalid_input, "parse error at line 1"},
      {"no object", "[]", Kind::invalid_input, "the release: an object is wanted"},
      {"something behind it", to_json(sample()) + "x", Kind::invalid_input, "parse error"},
      {"too long", to_json(sample()) + std::string(300000, ' '), Kind::invalid_input, "262144 are allowed"},
      {"a key twice", with("\"agent\"", "\"commit\": 1, \"agent\""), Kind::invalid_input, "twice"},
      {"another format", with("\"keelson_release\": 1", "\"keelson_release\": 2, \"new\": 1"), Kind::unsupported,
       "/keelson_release: version 2 of the format; this program reads version 1"},
      {"missing", with("\"time\": 1795219200,", ""), Kind::invalid_input, "/erofs/time: is missing"},
      {"unknown", with("\"composer\"", "\"compozer\""), Kind::invalid_input,
       "/compozer: this key is not known here; did you mean \"composer\"?"},
      {"unknown and strange", with("\"minimum_version\"", "\"a/~\\u001b\": 1, \"minimum_version\""),
       Kind::invalid_input, "/agent/a~1~0?: this key"},
      {"a type", with("\"time\": 1795219200", "\"time\": \"now\""), Kind::invalid_input, "/erofs/time: a whole number"},
      {"a fraction", with("1795219200", "1795219200.0"), Kind::invalid_input, "/erofs/time: a whole number from 0"},
      {"below zero", with("1795219200", "-1"), Kind::invalid_input, "/erofs/time: a whole number"},
      {"beyond 64 bits", with("1795219200", "18446744073709551616"), Kind::invalid_input, "/erofs/time"},
      {"image size", with("\"image_bytes\": 166723584", "\"image_bytes\": 166723585"), Kind::invalid_input,
       "/root/image_bytes: a multiple of 4096"},
      {"larger than its slot", with("\"slot_bytes\": 2147483648", "\"slot_bytes\": 1048576"), Kind::invalid_input,
       "/root/image_bytes: the image of 166723584 bytes does not fit into its slot of 1048576"},
      {"upper case digest", with("\"hash\": \"2e", "\"hash\": \"2E"), Kind::invalid_input, "/root/hash: 64 lower-case"},
      {"base64", with("\"signature\": \"", "\"signature\": \"!"), Kind::invalid_input, "/root/signature: "},
      {"a way out", with("usr/lib/os-release", "usr/../../etc"), Kind::invalid_input, "/uki/os_release/path: "},
      {"an absolute path", with("usr/lib/os-release", "/etc/shadow"), Kind::invalid_input, "/uki/os_release/path: "},
      {"a name with a slash", with("node_1.0.0.root.zst", "../node"), Kind::invalid_input, "/full_image/name: a file"},
      {"another root hash", with("roothash=2", "roothash=3"), Kind::invalid_input, "/uki/cmdline: it names another"},
      {"no root hash", with("roothash=", "rootHash="), Kind::invalid_input, "/uki/cmdline: the command line names no"},
      {"a line feed", with(" quiet", " quiet\\n"), Kind::invalid_input, "/uki/cmdline: a line of printable"},
      {"form", with("\"form\": \"parts\"", "\"form\": \"part\""), Kind::invalid_input,
       "/uki/form: one of \"parts\", \"whole\" is wanted"},
      {"parts of a whole", with("\"form\": \"parts\"", "\"form\": \"whole\""), Kind::invalid_input, "/uki/cmdline"},
      {"id", with("\"id\": \"node\"", "\"id\": \"no_de\""), Kind::invalid_input, "/image/id: the image's id"},
      {"version", with("\"version\": \"1.0.0\"", "\"version\": \"1+0\""), Kind::invalid_input, "/image/version: "},
      {"label", with("\"id\": \"node\"", "\"id\": \"" + std::string(32, 'n') + "\""), Kind::invalid_input,
       "/image/version: \"nnn"},
      {"agent", with("\"minimum_version\": \"0.1.0\"", "\"minimum_version\": \"0.1.\""), Kind::invalid_input,
       "/agent/minimum_version: one to four numbers"},
      {"cluster", with("65536", "65535"), Kind::invalid_input, "/composer/cluster_bytes: a power of two"},
      {"clusters of nothing", with("\"lz4hc\"", "\"none\""), Kind::invalid_input, "/composer/cluster_bytes: without"},
      {"compressor", with("liblz4 1.9.4", ""), Kind::invalid_input, "/composer/compressor: it has a name where"},
      {"a compressor's name", with("liblz4 1.9.4", "LZ4"), Kind::invalid_input, "/composer/compressor: a name and"},
      {"compression", with("\"lz4hc\"", "\"lzma\""), Kind::invalid_input, "/composer/compression: one of \"none\""},
      {"architecture", with("x86-64", "arm64"), Kind::invalid_input, "/image/architecture: one of \"x86-64\""},
  };
  for (const auto& one : cases) {
    EXPECT_THAT(parse_release(one.text), FailsWith(one.kind, HasSubstr(one.message))) << one.what;
  }
}

// --- The schema and the parser say the same --------------------------------------------------------------------------

/// All places in a document, the document itself ("") among them.
void collect_pointers(const nlohmann::json& value, const nlohmann::json::json_pointer& at,
                      std::vector<nlohmann::json::json_pointer>& to) {
  to.push_back(at);
  if (!value.is_object()) return;
  for (const auto& [key, member] : value.items()) collect_pointers(member, at / key, to);
}

/// The document with, at each place in turn: the member left out, one too many, and every kind of value.
std::vector<std::string> variants(const std::string& text) {
  const auto document = nlohmann::json::parse(text);
  std::vector<nlohmann::json::json_pointer> pointers;
  collect_pointers(document, nlohmann::json::json_pointer(), pointers);
  const std::vector<nlohmann::json> values = {nullptr,
                                              true,
                                              -1,
                                              0,
                                              1,
                                              2,
                                              4095,
                                              4096,
                                              8192,
                                              1048576,
                                              1048577,
                                              1.5,
                                              4294967295U,
                                              4294967296U,
                                              4294967297U,
                                              253402300799U,
                                              253402300800U,
                                              1125899906842624U,
                                              1125899906846720U,
                                              "",
                                              "x",
                                              "X",
                                              "x_1",
                                              "-",
                                              ".",
                                              "..",
                                              "a/../b",
                                              "a//b",
                                              "/a",
                                              "a/",
                                              "a b",
                                              "none",
                                              "zstd",
                                              "lz4hc",
                                              "liblz4 1.9.4",
                                              "parts",
                                              "whole",
                                              "x86-64",
                                              "1.2.3.4",
                                              "1.2.3.4.5",
                                              "1.",
                                              "0123456789",
                                              std::string(34, 'a'),
                                              std::string(35, 'a'),
                                              std::string(64, 'a'),
                                              std::string(64, 'A'),
                                              std::string(65, 'a'),
                                              std::string(128, 'a'),
                                              std::string(129, 'a'),
                                              std::string(1024, 'a'),
                                              std::string(1025, 'a'),
                                              "00112233-4455-6677-8899-AABBCCDDEEFF",
                                              "MA==",
                                              "MAA=",
                                              "MAAA",
                                              "MA=",
                                              "MA ==",
                                              "roothash=",
                                              "caf\u00e9",
                                              "roothash=" + std::string(64, 'z'),
                                              nlohmann::json::array(),
                                              nlohmann::json::object()};
  std::vector<std::string> result = {text};
  for (const auto& pointer : pointers) {
    for (const auto& value : values) {
      auto changed = document;
      changed[pointer] = value;
      result.push_back(changed.dump());
    }
    if (document[pointer].is_object()) {
      auto more = document;
      more[pointer]["one_too_many"] = 1;
      result.push_back(more.dump());
    }
    if (!pointer.empty()) {
      auto less = document;
      less[pointer.parent_pointer()].erase(pointer.back());
      result.push_back(less.dump());
    }
  }
  return result;
}

/// Who accepts which lines, by python3-jsonschema.
std::string accepted_by_schema(const std::vector<std::string>& lines) {
  const support::TemporaryDirectory directory;
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  const auto python =
      support::run_program({"/usr/bin/python3", "-c", R"(
import json, sys
from jsonschema import Draft202012Validator as Validator
schema = json.load(open(sys.argv[1]))
Validator.check_schema(schema)
validator = Validator(schema)
print("".join("+" if validator.is_valid(json.loads(line)) else "-" for line in open(sys.argv[2])), end=""))",
                            KEELSON_SOURCE "/image/release.schema.json", directory.write("lines", text)});
  EXPECT_EQ(python.exit_status, 0) << python.errors;
  return python.output;
}

/// What a schema cannot say, as the header lists it.
bool beyond_a_schema(const std::string& message) {
  for (const char* part : {"does not fit into its slot", "it names another root hash", "a partition label",
                           "is no canonical", "unused bits", "command line names roothash= twice"}) {
    if (message.find(part) != std::string::npos) return true;
  }
  return false;
}

TEST(Release, HasASchemaThatAcceptsWhatTheParserAccepts) {
  std::size_t accepted = 0;
  for (const Release& release : {sample(), sample_with_whole_uki()}) {
    std::vector<std::string> lines = variants(to_json(release));
    lines[0] = nlohmann::json::parse(lines[0]).dump();
    const std::string by_schema = accepted_by_schema(lines);
    ASSERT_EQ(by_schema.size(), lines.size());
    for (std::size_t i = 0; i < lines.size(); ++i) {
      const auto parsed = parse_release(lines[i]);
      if (!parsed && beyond_a_schema(parsed.error().message())) continue;
      EXPECT_EQ(by_schema[i] == '+', parsed.has_value())
          << lines[i] << "\n"
          << (parsed ? "the parser accepts it" : parsed.error().message());
      if (parsed) ++accepted;
    }
  }
  EXPECT_GT(accepted, 200);  // both sides of the fence have been seen
}

}  // namespace
