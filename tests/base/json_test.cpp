#include "base/json.hpp"

#include <gmock/gmock.h>

#include "tests/support/matchers.hpp"

namespace {

using base::Kind;
using base::parse_json;
using support::FailsWith;
using support::Holds;
using testing::HasSubstr;

TEST(Json, KeepsTheOrderOfItsKeys) {
  const auto value = parse_json(R"({"b": 1, "a": [true, null, "x"]})");
  ASSERT_TRUE(value.has_value());
  EXPECT_EQ(value->dump(), R"({"b":1,"a":[true,null,"x"]})");
}

TEST(Json, RefusesWhatParsersDisagreeAbout) {
  struct {
    const char* what;
    std::string text;
    const char* message;
  } const cases[] = {
      {"nothing", "", "unexpected end of input"},
      {"duplicate keys", R"({"a": 1, "a": 2})", "\"a\" stands twice"},
      {"duplicate keys further in", R"([{"x": {"a": 1, "b": 2, "a": 3}}])", "\"a\" stands twice"},
      {"something behind the value", "{} {}", "line 1, column 4"},
      {"a trailing comma", "[1,]", "line 1, column 4"},
      {"a comment", "[1] // one", "parse error"},
      {"single quotes", "{'a': 1}", "parse error"},
      {"no UTF-8", "\"\xff\"", "invalid string"},
      {"not a number", "[NaN]", "parse error"},
      {"too deep", std::string(33, '[') + std::string(33, ']'), "more than 32 levels"},
      {"far too deep", std::string(100000, '['), "parse error"},
  };
  for (const auto& one : cases) {
    EXPECT_THAT(parse_json(one.text), FailsWith(Kind::invalid_input, HasSubstr(one.message))) << one.what;
  }
}

TEST(Json, TheSameKeyInTwoObjectsIsNoDuplicate) {
  EXPECT_TRUE(parse_json(R"({"a": {"x": 1}, "b": {"x": 2}})").has_value());
}

TEST(Json, IsBounded) {
  EXPECT_THAT(parse_json("[1,2]", {.max_bytes = 4}),
              FailsWith(Kind::invalid_input, HasSubstr("5 bytes; 4 are allowed")));
  EXPECT_TRUE(parse_json("[1,2]", {.max_bytes = 5}).has_value());
  EXPECT_TRUE(parse_json("[[1]]", {.max_depth = 2}).has_value());
}

TEST(JsonText, NamesTheMemberThatIsMissingOrOfAnotherType) {
  const base::Json object = {{"name", "x"}, {"size", 3}};
  EXPECT_THAT(base::json_text(object, "name"), Holds("x"));
  EXPECT_THAT(base::json_text(object, "size"), FailsWith(Kind::invalid_input, HasSubstr("\"size\" is not a text")));
  EXPECT_THAT(base::json_text(object, "id"), FailsWith(Kind::invalid_input, HasSubstr("\"id\" is missing")));
}

}  // namespace
