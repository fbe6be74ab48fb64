// Constrained decoding against a plain validator and plain masks, on random schemas.
#include <rapidcheck.h>

#include <map>

#include "tests/property/kernels/constraint_random.hpp"
#include "tests/unit/kernels/constraint_sample.hpp"

using namespace constraint_sample;
using constraint_reference::document_maker;
using constraint_reference::json;
using constraint_reference::random_source;
using constraint_reference::schema_maker;
using constraint_reference::validator;

namespace {

const std::vector<std::string>& texts() {
  static const std::vector<std::string> all = vocabulary(
      {"{\"",   "\":",   "\": ",    "\", \"",   "\"}",     "},{",  "],[",        "[[",
       "]]",    "\"a\"", "\"ab\":", "\"tag\":", "tag",     "next", "\"next\": ", "null",
       "null}", "true",  "12",      "-1",       "345",     ".5",   "1,",         "1]",
       "\n  ",  "  ",    "é",       "\xC3",     "\xA9\"",  "\\u",  "\\ud83d",    "\\ude00",
       "\\\"",  "ab",    "abc",     "xyz",      "x\",\"",  ", ",   "[]",         "{}",
       "2024-", "00:",   "-02-",    "🙂",     "\xF0\x9F"});
  return all;
}

std::optional<std::shared_ptr<const json_constraint>> compiled_or_not(const json& schema) {
  auto made = compiled(schema.dump());
  if (made.ok()) return *made;
  // Random schemas may be impossible, or a oneOf not seen to be apart; nothing else.
  const std::string said = made.failure().text();
  RC_ASSERT(said.find("nothing satisfies") != std::string::npos ||
            said.find("to be apart") != std::string::npos ||
            said.find("stands beside") != std::string::npos);
  return std::nullopt;
}

random_source any_source() {
  return random_source(*rc::gen::arbitrary<std::uint64_t>());
}

std::vector<token_id> tokens_of(const std::vector<std::uint64_t>& mask) {
  std::vector<token_id> out;
  for (std::size_t id = 0; id < texts().size(); ++id)
    if (has(mask, static_cast<token_id>(id))) out.push_back(static_cast<token_id>(id));
  return out;
}

// Most of the tokens drawn close something, so that walks come to an end.
token_id draw(random_source& random, const std::vector<token_id>& allowed, bool hurry) {
  if (hurry)
    for (const token_id id : allowed) {
      const std::string& text = texts()[static_cast<std::size_t>(id)];
      if (text.empty() || text == "\"" || text == "]" || text == "}") return id;
    }
  return random.one_of(allowed);
}

}  // namespace

TEST_CASE("constraint: whatever is drawn from the masks satisfies the schema") {
  const auto trie = trie_of(texts());
  token_masks masks(trie, 1 << 20);  // shared by all schemas, and now and then full
  int finished = 0;
  const bool held = rc::check("random walks end in documents that satisfy the schema", [&] {
    random_source random = any_source();
    const json schema = schema_maker(random).whole();
    RC_LOG() << schema.dump() << std::endl;
    const auto rules = compiled_or_not(schema);
    if (!rules) return;
    json_matcher at(*rules);
    std::vector<std::uint64_t> mask(trie->mask_words()), plain(mask);
    std::string answer;
    const token_id end = trie->ends().front();
    for (int step = 0; step < 400; ++step) {
      RC_ASSERT(masks.allowed_tokens(at, mask));  // no dead ends
      if (step % 7 == 0) {
        allowed_tokens(at, *trie, plain);
        RC_ASSERT(mask == plain);
        RC_ASSERT(mask == slow_mask(at, texts(), trie->ends()));
      }
      const token_id next = draw(random, tokens_of(mask), step > 60 || random.once_in(3));
      if (next == end) {
        ++finished;
        RC_LOG() << answer << std::endl;
        const json document = json::parse(answer);
        RC_ASSERT(validator(schema).satisfies(document));
        json_matcher again(*rules);
        RC_ASSERT(again.accept(answer));
        RC_ASSERT(again == at);
        return;
      }
      const std::string& text = texts()[static_cast<std::size_t>(next)];
      RC_ASSERT(at.accept(text));
      answer += text;
    }
  });
  CHECK(held);
  CHECK(finished > 50);
}

TEST_CASE("constraint: documents that satisfy the schema are accepted") {
  int tried = 0;
  const bool held = rc::check("documents made from a schema are accepted, others are not", [&] {
    random_source random = any_source();
    const json schema = schema_maker(random).whole();
    RC_LOG() << schema.dump() << std::endl;
    const auto rules = compiled_or_not(schema);
    if (!rules) return;
    const validator valid(schema), closed(schema, true);
    document_maker maker(random, valid);
    for (int i = 0; i < 20; ++i) {
      const auto document = maker.fit(schema, 12);
      if (!document) continue;
      const std::string text = maker.write(*document);
      RC_LOG() << text << std::endl;
      const bool right = valid.satisfies(*document);
      if (right != closed.satisfies(*document)) continue;  // right, and not among what is written
      tried += right ? 1 : 0;
      RC_ASSERT(takes(*rules, text) == right);
    }
  });
  CHECK(held);
  CHECK(tried > 100);
}

TEST_CASE("constraint: numbers are those between the bounds") {
  CHECK(rc::check("a decimal is accepted where it satisfies the bounds", [] {
    random_source random = any_source();
    const auto decimal = [&] {
      return std::to_string(random.below(41) - 20) + "." + std::to_string(random.below(100));
    };
    json schema = {{"type", random.once_in(2) ? "integer" : "number"}};
    for (const char* name : {"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"})
      if (random.once_in(3)) schema[name] = json::parse(decimal());
    RC_LOG() << schema.dump() << std::endl;
    const auto rules = compiled_or_not(schema);
    if (!rules) return;
    const validator valid(schema);
    const bool bounded = schema.size() > 1;
    for (int i = 0; i < 60; ++i) {
      const bool whole = schema["type"] == "integer" || random.once_in(3);
      const std::string text = whole ? std::to_string(random.below(61) - 30) : decimal();
      const bool zero = text.starts_with("-0") && json::parse(text) == 0;
      RC_LOG() << text << std::endl;
      if (!(zero && bounded)) RC_ASSERT(takes(*rules, text) == valid.satisfies(json::parse(text)));
    }
  }));
}

TEST_CASE("constraint: patterns are those of ECMA-262") {
  CHECK(rc::check("a text is accepted where a plain matcher finds the pattern", [] {
    random_source random = any_source();
    std::function<std::string(int)> piece = [&](int depth) -> std::string {
      switch (random.below(depth > 0 ? 9 : 4)) {
        case 0:
          return random.one_of<std::string>({"a", "b", "c"});
        case 1:
          return random.one_of<std::string>({"[ab]", "[^a]", "[b-c]", ".", "\\d", "\\W"});
        case 2:
          return "\\.";
        case 3:
          return "";
        case 4:
          return "(" + piece(depth - 1) + "|" + piece(depth - 1) + ")";
        case 5:
          return "(?:" + piece(depth - 1) + ")" +
                 random.one_of<std::string>({"*", "+", "?", "{2}", "{1,2}", "{0,}"});
        default:
          return piece(depth - 1) + piece(depth - 1);
      }
    };
    const std::string pattern =
        (random.once_in(2) ? "^" : "") + piece(4) + (random.once_in(2) ? "$" : "");
    const json schema = {{"type", "string"}, {"pattern", pattern}};
    RC_LOG() << schema.dump() << std::endl;
    const auto rules = compiled_or_not(schema);
    if (!rules) return;
    const std::regex plain(pattern);
    for (int i = 0; i < 60; ++i) {
      std::string text;
      for (int n = random.below(7); n > 0; --n)
        text += random.one_of<std::string>({"a", "b", "c", "1", ".", "\n", "\""});
      RC_LOG() << text << std::endl;
      RC_ASSERT(takes(*rules, json(text).dump()) == std::regex_search(text, plain));
    }
  }));
}
