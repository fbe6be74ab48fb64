// What each keyword lets through, and what is refused with which words.
#include "tests/unit/kernels/constraint_sample.hpp"

using namespace constraint_sample;

namespace {

struct keyword_case {
  std::string schema;
  std::vector<std::string> right, wrong;
};

void check_cases(const std::vector<keyword_case>& cases) {
  for (const keyword_case& c : cases) {
    CAPTURE(c.schema);
    const auto rules = rules_of(c.schema);
    for (const std::string& text : c.right) CHECK_MESSAGE(takes(rules, text), text);
    for (const std::string& text : c.wrong) CHECK_FALSE_MESSAGE(takes(rules, text), text);
  }
}

bool speaks_of(const std::string& message, const std::string& part) {
  return message.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("constraint: any JSON object") {
  const auto rules = json_constraint::compile({});
  REQUIRE(rules.ok());
  for (const std::string text :
       {"{}", "{ }", "{\"a\":1}",
        "{\"a\": [1, 2.5e-3, {\"b\": null}], \"c\":\"\\u00e9\\ud83d\\ude00\"}",
        "{\n  \"x\": true,\n  \"y\": {\n    \"z\": []\n  }\n}",
        " {\"é漢🙂\": \"\\\\\\\"\\n\"}"})
    CHECK_MESSAGE(takes(*rules, text), text);
  for (const std::string text :
       {"[]", "1", "{", "{\"a\"}", "{\"a\":}", "{\"a\":01}", "{\"a\":1,}", "{,}", "{\"a\":tru}",
        "{\"a\":\"\x01\"}", "{\"a\":\"\\x\"}", "{\"a\":1} ", "{}{}", "{'a':1}", "{\"a\":.5}",
        "{\"a\":-}", "{\"a\":1.}"})
    CHECK_FALSE_MESSAGE(takes(*rules, text), text);
}

TEST_CASE("constraint: texts are valid UTF-8 and surrogates come in pairs") {
  const auto rules = rules_of(R"({"type": "string"})");
  for (const std::string text :
       {"\"\xC3\xA9\"", "\"\xED\x9F\xBF\"", "\"\xF4\x8F\xBF\xBF\"", "\"\\uD7FF\\uE000\"",
        "\"\\uD800\\uDC00\"", "\"\\uDBFF\\udfff\"", "\"\\u0000\\/\"", "\"\x7F\""})
    CHECK_MESSAGE(takes(rules, text), text);
  for (const std::string text :
       {"\"\xC3\"", "\"\x80\"", "\"\xC0\x80\"", "\"\xED\xA0\x80\"", "\"\xF4\x90\x80\x80\"",
        "\"\xE0\x80\x80\"", "\"\\uDC00\"", "\"\\uD800\"", "\"\\uD800x\"", "\"\\uD800\\n\"",
        "\"\\uD800\\uD800\"", "\"\\u12\"", "\"\\u12G4\""})
    CHECK_FALSE_MESSAGE(takes(rules, text), text);
  json_matcher at(rules);  // a token may end inside a character
  CHECK(at.accept("\"\xF0\x9F"));
  CHECK_FALSE(at.can_end());
  CHECK_FALSE(at.accept("\""));
  CHECK(at.accept("\x99\x82"));
  CHECK(at.accept("\""));
  CHECK(at.must_end());
}

TEST_CASE("constraint: keywords of single values") {
  check_cases({
      {R"({"type": "null"})", {"null", " null", "\nnull"}, {"nul", "0", "null "}},
      {R"({"type": ["boolean", "null"]})", {"true", "false", "null"}, {"\"true\"", "1"}},
      {R"({"type": "integer"})", {"0", "-1", "123456789012345678"}, {"-0", "1.0", "01", "1e2"}},
      {R"({"type": "number"})", {"0", "-0.5", "1e5", "2.50", "-1E-9"}, {"+1", "1.", "1e", "1e100"}},
      {R"({"type": "integer", "minimum": -3, "maximum": 12})",
       {"-3", "-1", "0", "9", "10", "12"},
       {"-4", "-30", "13", "20", "100", "-0"}},
      {R"({"type": "integer", "exclusiveMinimum": 7, "exclusiveMaximum": 1.05e1})",
       {"8", "9", "10"},
       {"7", "11", "1"}},
      {R"({"type": "integer", "minimum": 10, "multipleOf": 7})",
       {"14", "21", "700"},
       {"7", "15", "0"}},
      {R"({"type": "integer", "multipleOf": 3, "allOf": [{"multipleOf": 2}]})",
       {"0", "6", "-12"},
       {"3", "8"}},
      {R"({"type": "number", "minimum": 0, "exclusiveMaximum": 1})",
       {"0", "0.0", "0.5", "0.99999"},
       {"1", "1.0", "-0.1", "5e-1", "-0"}},
      {R"({"type": "number", "minimum": -1.25, "maximum": -0.5})",
       {"-1.25", "-1", "-0.5", "-0.50", "-1.2499"},
       {"-1.26", "-0.49", "0", "-1.251", "-10"}},
      {R"({"type": "string", "minLength": 2, "maxLength": 3})",
       {"\"ab\"", "\"漢字\"", "\"\\n🙂a\"", "\"\\ud83d\\ude00x\"", "\"\\u0041bc\""},
       {"\"a\"", "\"abcd\"", "\"\\ud83d\\ude00\"", "\"\""}},
      {R"({"enum": ["a", 1, null, {"k": [true]}, "é\n"]})",
       {"\"a\"", "1", "null", "{\"k\":[true]}", "{ \"k\": [\n true ]\n}", "\"é\\n\""},
       {"\"b\"", "2", "\"a\\u0062\"", "{}"}},
      {R"({"const": "x"})", {"\"x\""}, {"\"y\"", "null"}},
      {R"({"type": "string", "enum": ["a", 1, "b"]})", {"\"a\"", "\"b\""}, {"1"}},
      {R"({"enum": [1, 2, 3], "const": 2.0})", {"2"}, {"1", "2.0"}},
  });
}

TEST_CASE("constraint: patterns and formats") {
  check_cases({
      {R"({"type": "string", "pattern": "^[a-c]{2,3}$"})",
       {"\"ab\"", "\"ccc\""},
       {"\"a\"", "\"abca\"", "\"abd\""}},
      {R"({"type": "string", "pattern": "b+"})",
       {"\"b\"", "\"xbby\"", "\"\\n漢b\""},
       {"\"\"", "\"ac\""}},
      {R"({"type": "string", "pattern": "^(foo|ba[rz]?)$|^x"})",
       {"\"foo\"", "\"ba\"", "\"baz\"", "\"x!\""},
       {"\"fo\"", "\"bazz\""}},
      {R"({"type": "string", "pattern": "^\\d+(\\.\\d*)?\\s\\w$"})",
       {"\"1 a\"", "\"12.5 _\"", "\"1. 9\""},
       {"\".5 a\"", "\"1 -\""}},
      {R"({"type": "string", "pattern": "^[^a]é?\"$"})",
       {"\"bé\\\"\"", "\"\\\\\\\"\"", "\"漢\\\"\""},
       {"\"a\\\"\"", "\"b\"\""}},
      {R"({"type": "string", "pattern": "^.$"})", {"\"🙂\"", "\"\\t\""}, {"\"\\n\"", "\"ab\""}},
      {R"({"type": "string", "pattern": "^a*$", "minLength": 2, "maxLength": 3})",
       {"\"aa\"", "\"aaa\""},
       {"\"a\"", "\"aaaa\""}},
      {R"({"type": "string", "pattern": "^a", "allOf": [{"pattern": "b$"}]})",
       {"\"ab\"", "\"axb\""},
       {"\"a\"", "\"b\"", "\"ba\""}},
      {R"({"type": "string", "format": "date"})",
       {"\"2024-02-29\"", "\"2000-02-29\"", "\"1999-12-31\""},
       {"\"2023-02-29\"", "\"1900-02-29\"", "\"2024-04-31\"", "\"2024-13-01\"", "\"24-01-01\""}},
      {R"({"type": "string", "format": "date-time"})",
       {"\"2024-02-29T23:59:59Z\"", "\"2024-01-01T00:00:00.125+05:30\""},
       {"\"2024-01-01\"", "\"2024-01-01T24:00:00Z\"", "\"2024-01-01T00:00:00\""}},
      {R"({"type": "string", "format": "time"})", {"\"07:30:00Z\""}, {"\"7:30:00Z\""}},
      {R"({"type": "string", "format": "uuid"})",
       {"\"01234567-89ab-cdef-0123-456789ABCDEF\""},
       {"\"0123\""}},
      {R"({"type": "string", "format": "ipv4"})",
       {"\"0.10.255.1\""},
       {"\"256.1.1.1\"", "\"01.1.1.1\"", "\"1.1.1\""}},
      {R"({"type": "string", "format": "email"})",
       {"\"a.b@example.org\""},
       {"\"a@b\"", "\"@x.org\"", "\"a b@x.org\""}},
  });
}

TEST_CASE("constraint: arrays and objects") {
  check_cases({
      {R"({"type": "array", "items": {"type": "integer"}})",
       {"[]", "[1]", "[1, 2,3]", "[\n  1,\n  2\n]"},
       {"[1,]", "[,]", "[\"a\"]", "[1 ,2]"}},
      {R"({"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 3})",
       {"[true,false]", "[true, true, true\n]"},
       {"[]", "[true]", "[true\n]", "[true,true,true,true]"}},
      {R"({"type": "array", "maxItems": 0})", {"[]", "[ ]"}, {"[1]"}},
      {R"({"type": "array", "maxItems": 1})", {"[]", "[{}]"}, {"[1,2]"}},
      {R"({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}]})",
       {"[]", "[1]", "[1,\"a\"]", "[1,\"a\",null,[]]"},
       {"[\"a\"]", "[1,2]"}},
      {R"({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "items": false, "minItems": 1})",
       {"[1]", "[1,\"a\"]"},
       {"[]", "[1,\"a\",1]"}},
      {R"({"type": "array", "prefixItems": [{"type": "integer"}], "items": {"type": "null"}, "minItems": 3, "maxItems": 4})",
       {"[1,null,null]", "[1,null,null,null]"},
       {"[1,null]", "[1,null\n]", "[1,null,null,null,null]", "[null,null,null]"}},
      {R"({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}, "required": ["a"]})",
       {"{\"a\":1}", "{\"a\": 1, \"b\":\"x\"}", "{ \"a\":1 }"},
       {"{}", "{\"b\":\"x\"}", "{\"b\":\"x\",\"a\":1}", "{\"a\":1,\"a\":1}", "{\"a\":1,\"c\":1}",
        "{\"a\":1,}"}},
      {R"({"type": "object", "properties": {"a": {}, "b": {}, "c": {}}, "required": ["c"], "additionalProperties": false})",
       {"{\"c\":0}", "{\"a\":0,\"c\":0}", "{\"b\":0,\"c\":0}",
        "{\"a\":{\"x\":[1]},\"b\":0,\"c\":0}"},
       {"{\"a\":0}", "{\"a\":0,\"b\":0}", "{\"c\":0,\"b\":0}"}},
      {R"({"type": "object", "properties": {"name": {"type": "null"}}, "additionalProperties": {"type": "integer"}})",
       {"{}", "{\"name\":null}", "{\"name\":null,\"x\":1,\"names\":2,\"nam\":3}", "{\"é\":1}",
        "{\"\":1}"},
       {"{\"name\":1}", "{\"x\":null}", "{\"x\":1,\"name\":null}", "{\"n\\u0061me\":1}",
        "{\"x\":1,\"name\":1}"}},
      {R"({"type": "object", "additionalProperties": {"type": "integer"}, "required": ["k"]})",
       {"{\"k\":1}", "{\"k\":1,\"z\":2}"},
       {"{}", "{\"z\":2}", "{\"k\":null}"}},
      {R"({"type": "object", "additionalProperties": false})", {"{}", "{ }"}, {"{\"a\":1}"}},
      {R"({"properties": {"a\"\n": {"type": "null"}}, "required": ["a\"\n"]})",
       {"{\"a\\\"\\n\":null}"},
       {"null", "{}"}},
  });
}

TEST_CASE("constraint: alternatives, references, all of") {
  check_cases({
      {R"({"anyOf": [{"type": "integer"}, {"type": "string", "maxLength": 1}]})",
       {"5", "\"a\""},
       {"\"ab\"", "null"}},
      {R"({"type": "object", "properties": {"t": {"type": "string"}}, "required": ["t"], "anyOf": [
            {"properties": {"t": {"const": "a"}, "x": {"type": "integer"}}, "required": ["x"]},
            {"properties": {"t": {"const": "b"}, "y": {"type": "null"}}}]})",
       {"{\"t\":\"a\",\"x\":1}", "{\"t\":\"b\"}", "{\"t\":\"b\",\"y\":null}"},
       {"{\"t\":\"a\"}", "{\"t\":\"b\",\"x\":1}", "{\"t\":\"c\"}"}},
      {R"({"anyOf": [{"type": "object", "properties": {"v": {"type": "integer"}, "k": {"const": 1}}, "required": ["v", "k"]},
                     {"type": "object", "properties": {"v": {"type": "number"}, "k": {"const": 2}}, "required": ["v", "k"]}]})",
       {"{\"v\":1,\"k\":1}", "{\"v\":1,\"k\":2}", "{\"v\":1.5,\"k\":2}"},
       {"{\"v\":1.5,\"k\":1}", "{\"v\":1,\"k\":3}"}},
      {R"({"oneOf": [{"type": "string"}, {"type": "integer"}, {"const": null}]})",
       {"\"\"", "1", "null"},
       {"1.5", "[]"}},
      {R"({"type": "integer", "anyOf": [{"type": "string"}, {"minimum": 5}]})",
       {"5", "77"},
       {"4", "\"a\""}},
      {R"({"$defs": {"n": {"type": "object", "properties": {"v": {"type": "integer"}, "next": {"anyOf": [{"$ref": "#/$defs/n"}, {"type": "null"}]}},
            "required": ["v", "next"]}}, "$ref": "#/$defs/n"})",
       {"{\"v\":1,\"next\":null}", "{\"v\":1,\"next\":{\"v\":2,\"next\":null}}"},
       {"{\"v\":1}", "{\"v\":1,\"next\":{}}"}},
      {R"({"type": "array", "items": {"$ref": "#"}})", {"[]", "[[],[[]]]"}, {"[1]"}},
      {R"({"allOf": [{"type": "object", "properties": {"a": {"type": "number"}}}, {"properties": {"a": {"minimum": 3}, "b": {"type": "null"}}, "required": ["b"]}]})",
       {"{\"a\":3.5,\"b\":null}", "{\"b\":null}"},
       {"{\"a\":2,\"b\":null}", "{\"a\":3}"}},
      {R"({"definitions": {"a/b": {"type": "null"}}, "properties": {"x": {"$ref": "#/definitions/a~1b"}}})",
       {"{\"x\":null}"},
       {"{\"x\":1}"}},
      {R"({"anyOf": [{"anyOf": [{"const": 1}, {"const": 2}]}, {"type": "string"}], "title": "t", "default": 3})",
       {"1", "2", "\"\""},
       {"3"}},
      {"true", {"null", "[1,{\"a\":\"b\"}]", "-3.5"}, {"", "x"}},
  });
}

TEST_CASE("constraint: refusals name the keyword and the place") {
  const std::pair<std::string, std::string> cases[] = {
      {R"({"type": "array", "uniqueItems": true})", "#: the keyword \"uniqueItems\""},
      {R"({"properties": {"a": {"not": {}}}})", "#/properties/a: the keyword \"not\""},
      {R"({"type": "object", "patternProperties": {}})", "patternProperties"},
      {R"({"type": "strin"})", "type is \"strin\""},
      {R"({"type": "number", "multipleOf": 0.1})", "multipleOf is 0.1"},
      {R"({"type": "string", "format": "hostname"})", "\"hostname\""},
      {R"({"type": "string", "pattern": "(?=a)b"})", "look-around"},
      {R"({"properties": {"p": {"type": "string", "pattern": "a\\b"}}})",
       "#/properties/p: the pattern has at byte 2: \\b"},
      {R"({"type": "string", "pattern": "(a"})", "'(' without ')'"},
      {R"({"type": "string", "minLength": -1})", "minLength is -1"},
      {R"({"$ref": "other.json"})", "other.json"},
      {R"({"$ref": "#/$defs/none"})", "which is not there"},
      {R"({"$ref": "#"})", "defined by itself"},
      {R"({"$defs": {"a": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"})",
       "defined by itself"},
      {R"({"oneOf": [{"type": "integer"}, {"type": "number"}]})", "#/oneOf: alternatives 0 and 1"},
      {R"({"oneOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}]})",
       "not seen to be apart"},
      {R"({"enum": ["abc"], "minLength": 2})", "enum or const stands beside"},
      {R"({"type": "array", "items": [{}]})", "#: items is an array"},
      {R"({"type": "object", "required": "a"})", "required is a text"},
      {R"({"a": 1, "a": 2})", "there twice"},
      {"{", "not JSON at byte 1"},
      {"7", "#: is a number"},
  };
  for (const auto& one : cases) {
    const auto& schema = one.first;
    const auto& words = one.second;
    CAPTURE(schema);
    const std::string said = refusal(schema);
    CHECK_MESSAGE(speaks_of(said, words), said);
  }
}

TEST_CASE("constraint: what nothing satisfies is refused at its place") {
  const std::pair<std::string, std::string> cases[] = {
      {"false", "#: false"},
      {R"({"properties": {"a": false}})", "#/properties/a: false"},
      {R"({"enum": []})", "#: enum and const leave no value"},
      {R"({"type": "integer", "enum": ["a"]})", "leave no value"},
      {R"({"type": "integer", "minimum": 2, "maximum": 1})", "#: no number lies between"},
      {R"({"type": "number", "minimum": 1, "exclusiveMaximum": 1})", "no number lies between"},
      {R"({"items": {"type": "integer", "exclusiveMinimum": 1, "exclusiveMaximum": 2}})",
       "#/items: nothing satisfies"},
      {R"({"type": "string", "minLength": 3, "maxLength": 2})", "minLength is more"},
      {R"({"type": "array", "minItems": 3, "maxItems": 2})", "minItems is more"},
      {R"({"type": "array", "prefixItems": [{}], "items": false, "minItems": 2})",
       "minItems is more"},
      {R"({"type": "object", "additionalProperties": false, "required": ["a"]})", "forbids \"a\""},
      {R"({"allOf": [{"type": "string"}, {"type": "null"}]})", "no type is left"},
      {R"({"type": "string", "pattern": "^a{5}$", "maxLength": 4})", "nothing satisfies"},
      {R"({"anyOf": []})", "no alternatives"},
      {R"({"anyOf": [{"enum": []}, false]})", "#/anyOf/0: enum"},
      {R"({"type": "object", "properties": {"n": {"$ref": "#"}}, "required": ["n"]})",
       "open containers"},
  };
  for (const auto& one : cases) {
    const auto& schema = one.first;
    const auto& words = one.second;
    CAPTURE(schema);
    const std::string said = refusal(schema);
    CHECK_MESSAGE(speaks_of(said, words), said);
    CHECK(speaks_of(said, "nothing satisfies"));
  }
}

TEST_CASE("constraint: everything is bounded") {
  json_constraint_bounds small;
  small.states_max = 500;
  CHECK(speaks_of(refusal(R"({"type": "string", "pattern": "^(a|b)*a(a|b){12}$"})", small),
                  "states that are left"));
  CHECK(speaks_of(refusal(R"({"type": "string", "pattern": "^.{9000}$"})"), "states"));
  CHECK(speaks_of(refusal(R"({"type": "string", "pattern": "^(((a{999}){999}){999}){999}$"})"),
                  "states"));
  small = {};
  small.schema_bytes_max = 10;
  CHECK(speaks_of(refusal(R"({"type": "string"})", small), "18 bytes"));
  small = {};
  small.schema_parts_max = 3;
  CHECK(speaks_of(
      refusal(
          R"({"properties": {"a": {"type": "null"}, "b": {"type": "integer"}, "c": {"type": "string"}}})",
          small),
      "more than 3 parts"));
  CHECK(speaks_of(refusal(std::string(100, '[')), "nests deeper"));
  std::string wide = "{\"properties\": {", patterns = "{\"anyOf\": [", several = wide;
  for (int i = 0; i < 5000; ++i) wide += "\"p" + std::to_string(i) + "\": true,";
  CHECK(speaks_of(refusal(wide + "\"q\": true}}"), "too wide"));
  for (int i = 0; i < 2000; ++i) several += "\"p" + std::to_string(i) + "\": {\"type\": \"null\"},";
  for (int i = 0; i < 60; ++i)
    patterns += "{\"type\": \"string\", \"pattern\": \"x(a|b|cc*|[^e]d*){150}y{" +
                std::to_string(i) + "}$\"},";
  CHECK(speaks_of(refusal(patterns + "{}]}"), "states"));
  several += "\"q\": true}, \"anyOf\": [";
  for (int i = 0; i < 100; ++i) several += "{\"minLength\": " + std::to_string(i) + "},";
  CHECK(speaks_of(refusal(several + "{}]}"), "too large"));
  small = {};
  small.answer_depth_max = 3;
  const auto any = json_constraint::compile({}, small);
  REQUIRE(any.ok());
  CHECK(takes(*any, "{\"a\":[[1]]}"));
  CHECK_FALSE(takes(*any, "{\"a\":[[[]]]}"));
  // Where the depth is nearly used up, only what can still be completed may begin.
  const auto chain =
      compiled(R"({"$defs": {"n": {"type": "array", "items": {"anyOf": [{"type": "integer"},
      {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/n"}}]}}}, "$ref": "#/$defs/n"})",
               small);
  REQUIRE(chain.ok());
  CHECK(takes(*chain, "[[[1]]]"));
  CHECK_FALSE(json_matcher(*chain).accept("[[[["));
  CHECK_FALSE(json_matcher(*chain).accept("[[[1],[["));
}

TEST_CASE("constraint: blanks come to an end") {
  json_matcher at(rules_of(R"({"type": "array"})"));
  CHECK(at.accept("[\n"));
  int blanks = 0;
  while (at.accept(" ")) ++blanks;
  CHECK(blanks == 20);
  CHECK_FALSE(at.accept("\n"));
  CHECK(at.accept("]"));
  CHECK(at.must_end());
}
