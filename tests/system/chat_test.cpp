// A conversation through real daemons: the model's own template makes the prompt of it.
#include <doctest/doctest.h>

#include "nodes.hpp"

using namespace system_test;
using troupe::error_code;

namespace {

constexpr const char* plain_template =
    "{% for message in messages %}[{{ message.role }}] {{ message.content }}\n{% endfor %}"
    "{% if tools %}[tools] {{ tools | length }}\n{% endif %}"
    "{% if add_generation_prompt %}[assistant] {% endif %}";

troupe::client::job chat_of(std::vector<troupe::client::chat_message> messages) {
  troupe::client::job job = job_of("", 12);
  job.chat.emplace();
  job.chat->messages = std::move(messages);
  return job;
}

}  // namespace

TEST_CASE("a chat answers as the text that its template makes, at either node") {
  node left({.name = "left", .chat_template = plain_template});
  REQUIRE_MESSAGE(left.ready(), left.errors());
  node right({.name = "right", .peers = {left.address()}, .has_model = false, .computes = false});
  REQUIRE_MESSAGE(right.ready(), right.errors());
  auto at_left = left.connect();
  auto at_right = right.connect();
  REQUIRE(nodes_up(*at_right, 1));

  troupe::client::job by_hand =
      job_of("[system] Be brief.\n[user] Once upon\n[tools] 1\n[assistant] ", 12);
  const answer expected = ask(*at_left, by_hand);
  REQUIRE_MESSAGE(!expected.failure, expected.failure->text());

  troupe::client::job chat = chat_of({{"system", "Be brief."}, {"user", "Once upon"}});
  chat.chat->tools_json = R"([{"type": "function"}])";
  const answer cached = ask(*at_left, chat);  // the same prompt ids, and so the same cache key
  REQUIRE_MESSAGE(!cached.failure, cached.failure->text());
  CHECK(cached.report.source == troupe::client::answer_source::local_cache);
  CHECK(cached.ids == expected.ids);
  CHECK(cached.report.prompt_tokens == expected.report.prompt_tokens);

  chat.cache_bypass = true;
  const answer elsewhere = ask(*at_right, chat);
  REQUIRE_MESSAGE(!elsewhere.failure, elsewhere.failure->text());
  CHECK(elsewhere.report.gateway_node == "right");
  CHECK(elsewhere.ids == expected.ids);
}

TEST_CASE("chats that cannot be: no template, a broken one, one that refuses, no JSON") {
  node broken({.name = "broken", .chat_template = "{{ messages }}\n{% nonsense %}"});
  REQUIRE_MESSAGE(broken.ready(), broken.errors());
  auto at = broken.connect();
  const auto refusal = [](troupe::client::cluster& where, const troupe::client::job& job) {
    const answer got = ask(where, job);
    return got.failure ? *got.failure : troupe::error{error_code::ok, {}, {}};
  };
  const troupe::client::job chat = chat_of({{"user", "hello"}});
  CHECK(refusal(*at, chat).code == error_code::unsupported);
  CHECK(refusal(*at, chat).text().find("line 2") != std::string::npos);
  CHECK(!ask(*at, job_of("text works")).failure);
  const nlohmann::json status = status_of(*at);
  const nlohmann::json& model = part_of(status, "broken")->at("models").at(0);
  CHECK(model.at("has_chat_template") == true);
  CHECK(model.at("chat_template_failure").get<std::string>().find("line 2") != std::string::npos);

  node plain({.name = "plain", .chat_template = ""});
  REQUIRE_MESSAGE(plain.ready(), plain.errors());
  auto at_plain = plain.connect();
  CHECK(refusal(*at_plain, chat).code == error_code::unsupported);
  CHECK(refusal(*at_plain, chat).text().find("as text") != std::string::npos);

  node strict(
      {.name = "strict", .chat_template = "{{ raise_exception('Roles must alternate, dear') }}"});
  REQUIRE_MESSAGE(strict.ready(), strict.errors());
  auto at_strict = strict.connect();
  CHECK(refusal(*at_strict, chat).code == error_code::invalid_argument);
  CHECK(refusal(*at_strict, chat).text().find("Roles must alternate, dear") != std::string::npos);
  troupe::client::job wrong = job_of("");
  wrong.chat.emplace();
  wrong.chat->messages_json = "[{";
  CHECK(refusal(*at_strict, wrong).text().find("no JSON") != std::string::npos);
}
