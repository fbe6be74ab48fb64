// Masks over small vocabularies, and the state of a matcher.
#include "tests/unit/kernels/constraint_sample.hpp"

using namespace constraint_sample;

namespace {

const std::vector<std::string> more_tokens = {
    "{\"",  "\":",        "\": ",   "\": \"", "\",",  "\", \"",  "\"}",     "},{",
    "],[",  "[[",         "]]",     "[{\"",   "}}",   "a",       "ab",      "abc",
    "name", "\"name\"",   "\"na",   "me\":",  "true", "false",   "null",    "12",
    "345",  "0.",         "1,",     "1]",     "1}",   "\n  ",    "\n    ",  "  ",
    " \"",  "é",          "\xC3",   "\xA9\"", "\\u",  "\\ud83d", "\\ude00", "\\",
    "\\\"", "xxxxxxxxxx", "x\",\"", ", ",     "2, 3", "[]",      "{}"};

}  // namespace

TEST_CASE("constraint: a mask has exactly the tokens that a copy would take") {
  const std::vector<std::string> texts = vocabulary(more_tokens);
  const auto trie = trie_of(texts);
  token_masks masks(trie);
  const std::pair<std::string, std::string> answers[] = {
      {R"({"type": "object"})",
       "{\"name\": [1, {\"a\":\"\\ud83d\\ude00é\"}, [[]], 12],\n  \"b\":{}}"},
      {R"({"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 4}, "minItems": 2, "maxItems": 3})",
       "[\"abc\", \"é\\nxx\",\n  \"a\"]"},
      {R"({"type": "object", "properties": {"name": {"type": "number"}, "na": {"enum": ["a", "ab"]}}, "additionalProperties": {"type": "array", "items": {"type": "integer"}}})",
       "{\"name\": 12.5, \"na\":\"ab\", \"abc\":[1, 2], \"nam\":[]}"},
      {R"({"anyOf": [{"type": "array", "items": {"type": "integer"}}, {"type": "array", "items": {"type": ["number", "string"]}, "maxItems": 2}]})",
       "[12, 3.5]"},
  };
  for (const auto& one : answers) {
    const auto& schema = one.first;
    const auto& answer = one.second;
    CAPTURE(schema);
    const auto rules = rules_of(schema);
    json_matcher at(rules);
    token_masks forgetful(trie, 60000);
    std::vector<std::uint64_t> plain(trie->mask_words()), kept(plain), forgot(plain);
    for (const char byte : answer + "!") {
      CHECK(allowed_tokens(at, *trie, plain));
      CHECK(masks.allowed_tokens(at, kept));
      CHECK(forgetful.allowed_tokens(at, forgot));
      CHECK(plain == slow_mask(at, texts, trie->ends()));
      CHECK(kept == plain);
      CHECK(forgot == plain);
      CHECK(forgetful.bytes_used() <= 60000);
      if (byte != '!') REQUIRE(at.accept_byte(byte));
    }
    CHECK(at.can_end());
    CHECK(has(plain, static_cast<token_id>(texts.size() - 1)));
  }
}

TEST_CASE("constraint: the end is allowed exactly where the answer may end") {
  const std::vector<std::string> texts = vocabulary({});
  const auto trie = trie_of(texts);
  const token_id end = trie->ends().front();
  std::vector<std::uint64_t> mask(trie->mask_words());
  json_matcher at(rules_of(R"({"type": "integer", "maximum": 99})"));
  allowed_tokens(at, *trie, mask);
  CHECK_FALSE(has(mask, end));
  CHECK(at.accept("1"));
  CHECK(at.can_end());
  CHECK_FALSE(at.must_end());
  allowed_tokens(at, *trie, mask);
  CHECK(has(mask, end));
  CHECK(has(mask, '7'));
  CHECK(at.accept("7"));
  CHECK(at.must_end());
  allowed_tokens(at, *trie, mask);
  CHECK(has(mask, end));
  CHECK_FALSE(has(mask, '7'));
}

TEST_CASE("constraint: a mask says when the vocabulary cannot go on") {
  const std::vector<std::string> texts = {"{", "\"", "a", ""};
  const auto trie = trie_of(texts);
  std::vector<std::uint64_t> mask(trie->mask_words());
  json_matcher at(rules_of(R"({"type": "object", "additionalProperties": false})"));
  CHECK(allowed_tokens(at, *trie, mask));
  CHECK(at.accept("{"));
  CHECK_FALSE(allowed_tokens(at, *trie, mask));
}

TEST_CASE("constraint: a refused text changes nothing, and cuts of the text do not matter") {
  const auto rules = rules_of(R"({"anyOf": [{"type": "array", "items": {"type": "integer"}},
      {"type": "array", "items": {"type": "array", "items": {"type": "number"}}}]})");
  const std::string answer = "[[1, 2.5], [], [3]]";
  json_matcher whole(rules), bytes(rules);
  CHECK(whole.accept(answer));
  for (const char byte : answer) {
    const json_matcher before = bytes;
    CHECK_FALSE(bytes.accept(std::string(1, byte) + "x"));
    CHECK(bytes == before);
    CHECK(bytes.accept_byte(byte));
  }
  CHECK(bytes == whole);
  CHECK(bytes.heads() == whole.heads());
}

TEST_CASE("constraint: many readings of one text stay few") {
  // Each level may be either alternative until its last member is read.
  const auto rules = rules_of(R"({"$defs": {"n": {"anyOf": [
      {"type": "object", "properties": {"d": {"$ref": "#/$defs/n"}, "k": {"const": 1}}, "required": ["k"]},
      {"type": "object", "properties": {"d": {"$ref": "#/$defs/n"}, "k": {"const": 2}}, "required": ["k"]}]}},
      "$ref": "#/$defs/n"})");
  json_matcher at(rules);
  std::string answer;
  for (int i = 0; i < 40; ++i) answer += "{\"d\":";
  REQUIRE(at.accept(answer));
  CHECK(at.heads().size() <= 2);
  answer = "{\"k\":1}";
  for (int i = 0; i < 40; ++i) answer += i % 2 ? ",\"k\":1}" : ",\"k\":2}";
  CHECK(at.accept(answer));
  CHECK(at.must_end());
}
