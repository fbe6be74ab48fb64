// Chat templates: what they render, what they refuse and where, and that every bound holds.
// tests/chat_template compares with Jinja2 itself.
#include <doctest/doctest.h>

#include <string>

#include "kernels/chat_template/chat_template.hpp"

using namespace troupe;
using namespace troupe::kernels;

namespace {

chat_context question() {
  chat_context context;
  context.messages = chat_json::parse(R"([{"role": "user", "content": "Hi"}])");
  context.bos_token = "<s>";
  context.eos_token = "</s>";
  return context;
}

std::string rendered(std::string_view source, const chat_context& context = question()) {
  const auto parsed = chat_template::parse(source);
  REQUIRE_MESSAGE(parsed.ok(), parsed.failure().text());
  const auto text = parsed->render(context);
  REQUIRE_MESSAGE(text.ok(), text.failure().text());
  return *text;
}

error refusal(std::string_view source, const chat_context& context = question(),
              chat_template_bounds bounds = {}) {
  const auto parsed = chat_template::parse(source, bounds);
  if (!parsed.ok()) return parsed.failure();
  const auto text = parsed->render(context);
  REQUIRE_MESSAGE(!text.ok(), "rendered " << *text);
  return text.failure();
}

bool says(const error& e, std::string_view part) {
  return e.text().find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a chat template turns a conversation into a prompt") {
  chat_context context = question();
  context.messages = chat_json::parse(
      R"([{"role": "system", "content": "Be brief."}, {"role": "user", "content": " 世界? "}])");
  const std::string source =
      "{{ bos_token }}{% for m in messages %}\n<|{{ m.role }}|>{{ m['content'] | trim }}\n"
      "{% endfor %}\n{% if add_generation_prompt %}\n<|assistant|>\n{% endif %}\n";
  CHECK(rendered(source, context) == "<s><|system|>Be brief.\n<|user|>世界?\n<|assistant|>\n");
  context.add_generation_prompt = false;
  CHECK(rendered(source, context) == "<s><|system|>Be brief.\n<|user|>世界?\n");
}

TEST_CASE("a chat template sees tools and documents as none where there are none") {
  CHECK(rendered("{{ tools is none }}{{ documents is none }}") == "TrueTrue");
  chat_context context = question();
  context.tools = chat_json::parse(R"([{"z": 1, "a": {"b": "é"}}])");
  context.variables = {{"documents", {1, 2}}, {"eos_token", "END"}};
  CHECK(rendered("{{ tools | tojson }}{{ documents }}{{ eos_token }}", context) ==
        "[{\"z\": 1, \"a\": {\"b\": \"é\"}}][1, 2]END");
}

TEST_CASE("a chat template knows only the time that it is given") {
  chat_context context = question();
  CHECK(rendered("{{ strftime_now is defined }}", context) == "False");
  CHECK(says(refusal("{{ strftime_now('%Y') }}", context), "'strftime_now' is undefined"));
  context.now = std::chrono::local_days(std::chrono::year(2024) / 2 / 29) + std::chrono::hours(9);
  CHECK(rendered("{{ strftime_now('%A %-d %B %Y, %j, %I:%M %p') }}", context) ==
        "Thursday 29 February 2024, 060, 09:00 AM");
  CHECK(refusal("{{ strftime_now('%Q') }}", context).code == error_code::unsupported);
}

TEST_CASE("raise_exception in a chat template gives its message as it is") {
  const error raised = refusal("a\n{{ raise_exception('Only one role, not ' ~ 2) }}");
  CHECK(raised.code == error_code::invalid_argument);
  CHECK(raised.message == "Only one role, not 2");
  CHECK(says(raised, "line 2"));
}

TEST_CASE("a chat template with unsupported syntax is refused when it is parsed, with its place") {
  struct refused_case {
    std::string source, part, place;
  };
  const refused_case cases[] = {
      {"a\nb {% include 'x' %}", "the block 'include' is not supported", "line 2, column 6"},
      {"é{{ x | urlize }}", "the filter 'urlize' is not supported", "line 1, column 9"},
      {"{{ x is hidden }}", "the test 'hidden' is not supported", "line 1, column 9"},
      {"{% for a in b recursive %}", "recursive loops are not supported", "line 1, column 15"},
      {"{{ joiner(',') }}", "the function 'joiner' is not supported", "line 1, column 4"},
      {"{% if x %}\n{% do y %}{% endif %}", "the block 'do'", "line 2, column 4"},
      {"{{ x[1, 2] }}", "more than one index", "line 1, column 7"},
  };
  for (const refused_case& one : cases) {
    CAPTURE(one.source);
    const auto parsed = chat_template::parse(one.source);
    REQUIRE(!parsed.ok());
    CHECK(parsed.failure().code == error_code::unsupported);
    CHECK_MESSAGE(says(parsed.failure(), one.part), parsed.failure().text());
    CHECK_MESSAGE(says(parsed.failure(), one.place), parsed.failure().text());
  }
}

TEST_CASE("what is no template is refused when it is parsed") {
  for (const std::string source :
       {"{{ 1 +", "{% if x %}", "{# a", "{% endif %}", "{{ 'a }}", "{% for x %}{% endfor %}",
        "{{ (1 }}", "{% set 1 = 2 %}", "{% break %}", "{{ f(a=1, 2) }}", "{% else %}", "{{ a b }}",
        "{% macro m(a=1, b) %}{% endmacro %}", "\xff", "{{ 99999999999999999999 }}",
        "{{ '\\ud800' }}"}) {
    CAPTURE(source);
    const auto parsed = chat_template::parse(source);
    REQUIRE(!parsed.ok());
    CHECK(parsed.failure().code == error_code::invalid_argument);
  }
}

TEST_CASE("a chat template cannot change what it was given") {
  for (const std::string source :
       {"{% set x = messages.append(1) %}", "{{ messages[0].update({'a': 1}) }}",
        "{{ messages.pop() }}", "{{ messages[0].clear() }}", "{% set messages.x = 1 %}"}) {
    CAPTURE(source);
    CHECK(refusal(source).code == error_code::invalid_argument);
  }
}

TEST_CASE("what is undefined prints as nothing and fails where something is taken from it") {
  CHECK(rendered("[{{ nope }}{{ messages[0].nope }}{{ messages[9] }}]") == "[]");
  CHECK(says(refusal("{{ nope.a }}"), "'nope' is undefined"));
  CHECK(says(refusal("\n {{ messages[0].nope.a }}"), "line 2, column 21"));
  CHECK(says(refusal("{{ messages[0].nope.a }}"), "'dict object' has no attribute 'nope'"));
  CHECK(says(refusal("{{ nope + 1 }}"), "'nope' is undefined"));
  CHECK(says(refusal("{{ nope() }}"), "'nope' is undefined"));
}

TEST_CASE("empty texts of a chat template are searched like any other") {
  CHECK(rendered("{{ 'a' in '' }}{{ '' in '' }}{{ ''.find('a') }}{{ ''.replace('', 'x') }}"
                 "{{ ''.split('a') }}{{ ''.rfind('') }}") == "FalseTrue-1x['']0");
}

TEST_CASE("integers of a chat template never wrap") {
  for (const std::string source :
       {"{{ 9223372036854775807 + 1 }}", "{{ -9223372036854775807 - 2 }}", "{{ 2 ** 63 }}",
        "{{ 9223372036854775807 * 2 }}", "{{ (-9223372036854775807 - 1) // -1 }}",
        "{{ -(-9223372036854775807 - 1) }}", "{{ (-9223372036854775807 - 1) | abs }}",
        "{{ '9223372036854775808' | int }}"}) {
    CAPTURE(source);
    CHECK(says(refusal(source), "64 bits"));
  }
  CHECK(rendered("{{ 2 ** 62 }}") == "4611686018427387904");
  CHECK(rendered("{{ (-9223372036854775807 - 1) % -1 }}") == "0");
}

TEST_CASE("every resource of a chat template has a bound") {
  chat_template_bounds bounds;
  bounds.source_bytes = 100;
  CHECK(says(refusal(std::string(101, 'a'), question(), bounds), "at most 100"));

  bounds = {};
  bounds.steps = 1000;
  const std::string loops =
      "{% for a in range(99) %}{% for b in range(99) %}{% endfor %}{% endfor %}";
  CHECK(says(refusal(loops, question(), bounds), "1000 steps"));
  bounds = {};
  bounds.loop_turns = 500;
  CHECK(says(refusal(loops, question(), bounds), "500 turns"));
  CHECK(says(refusal("{{ range(501) | list }}", question(), bounds), "more than 500"));
  CHECK(says(refusal("{{ range(99999999999) }}"), "more than"));

  bounds = {};
  bounds.text_bytes = 1000;
  CHECK(says(refusal("{{ 'ab' * 501 }}", question(), bounds), "1000 bytes in one text"));
  CHECK(says(refusal("{% for a in range(99) %}twelve bytes{% endfor %}", question(), bounds),
             "1000 bytes in one text"));
  CHECK(says(refusal("{{ 'ab' * 99999999999 }}"), "in one text"));
  bounds = {};
  bounds.memory_bytes = 20'000;
  CHECK(
      says(refusal("{% set x = [1] * 100 %}{% for a in range(99) %}{% set y = x + x %}{% endfor %}",
                   question(), bounds),
           "bytes of memory"));
  CHECK(says(refusal("{{ [1, 2] * 99999999999 }}"), "too long"));
}

TEST_CASE("whatever nests in a chat template has a bound") {
  const auto repeated = [](std::string_view part, int times) {
    std::string text;
    for (int i = 0; i < times; ++i) text += part;
    return text;
  };
  const std::string deep[] = {
      "{{ " + repeated("(", 5000) + "1" + repeated(")", 5000) + " }}",
      "{{ " + repeated("[", 5000) + repeated("]", 5000) + " }}",
      "{{ " + repeated("-", 5000) + "1 }}",
      "{{ " + repeated("not ", 5000) + "1 }}",
      "{{ a" + repeated(".a", 5000) + " }}",
      "{{ a" + repeated("|e", 5000) + " }}",
      "{{ 1" + repeated(" if 1 else 1", 5000) + " }}",
      repeated("{% if 1 %}", 5000) + repeated("{% endif %}", 5000),
      "{% for " + repeated("(", 5000) + "a" + repeated(")", 5000) + " in b %}{% endfor %}",
      "{{ 'a' | map('map'" + repeated(", 'map'", 5000) + ", 'list') | list }}",
  };
  for (const std::string& source : deep) {
    CAPTURE(source.substr(0, 40));
    CHECK(says(refusal(source), "deeper than 100"));
  }
  CHECK(rendered("{{ 1" + repeated(" + 1", 5000) + " }}") == "5001");
  CHECK(rendered("{{ ''" + repeated(" ~ 1", 50) + " }}").size() == 50);
  CHECK(says(refusal("{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}"), "deeper than 40"));
  CHECK(says(
      refusal("{% macro f() %}" + repeated("{% if 1 %}", 90) + "{{ " + repeated("[", 40) + "f()" +
              repeated("]", 40) + " }}" + repeated("{% endif %}", 90) + "{% endmacro %}{{ f() }}"),
      "deeper than 800"));
  CHECK(says(refusal("{% set ns = namespace() %}{% set ns.a = ns %}{{ ns }}"), "deeper than 100"));
  CHECK(says(refusal("{% set ns = namespace(a=[]) %}{% for i in range(5000) %}"
                     "{% set ns.a = [ns.a] %}{% endfor %}{{ ns.a == ns.a | list }}{{ ns.a }}"),
             "deeper than 100"));
  CHECK(says(refusal("{% set ns = namespace(a=[1]) %}{% for i in range(60) %}"
                     "{% set ns.a = [ns.a, ns.a] %}{% endfor %}{{ ns.a }}"),
             "more than"));
  chat_context context = question();
  for (int i = 0; i < 200; ++i) context.messages = chat_json::array({context.messages});
  CHECK(says(refusal("x", context), "deeper than 100"));
}

TEST_CASE("a conversation that is not UTF-8 is refused") {
  chat_context context = question();
  context.messages[0]["content"] = "\xc3";
  CHECK(says(refusal("{{ messages[0].content }}", context), "not UTF-8"));
  context = question();
  context.bos_token = "\xff";
  CHECK(says(refusal("x", context), "not UTF-8"));
}

TEST_CASE("a chat template renders again to the same, and keeps nothing between") {
  const auto parsed = chat_template::parse(
      "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}"
      "{{ ns.n }}{{ seen is defined }}{% set seen = 1 %}");
  REQUIRE(parsed.ok());
  CHECK(*parsed->render(question()) == "1False");
  CHECK(*parsed->render(question()) == "1False");
}
