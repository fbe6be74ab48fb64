// What a caller's job becomes on its way to the gateway.
#include "cluster/client/job_message.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

using namespace troupe;
using namespace troupe::client;

namespace {

job chat_job() {
  job out;
  out.model = "tiny";
  out.chat.emplace();
  out.chat->messages = {{"system", "Be \"brief\"."}, {"user", "caf\u00e9"}};
  return out;
}

std::string refusal_of(const job& request) {
  const status checked = check_job(request);
  return checked ? std::string() : checked.failure().text();
}

}  // namespace

TEST_CASE("a chat leaves as its messages in order, under their roles") {
  job request = chat_job();
  request.chat->tools_json = R"([{"type":"function"}])";
  request.chat->variables_json = R"({"date_string":"today"})";
  REQUIRE(check_job(request));
  const proto::SubmitJob message = message_of(request, std::string(16, 'j'));
  REQUIRE(message.job().has_chat());
  const auto messages = nlohmann::json::parse(message.job().chat().messages_json());
  REQUIRE(messages.size() == 2);
  CHECK(messages[0]["role"] == "system");
  CHECK(messages[0]["content"] == "Be \"brief\".");
  CHECK(messages[1]["content"] == "caf\u00e9");
  CHECK(message.job().chat().tools_json() == request.chat->tools_json);
  CHECK(message.job().chat().variables_json() == request.chat->variables_json);

  request.chat->messages.clear();
  request.chat->messages_json = R"([{"role":"tool","tool_call_id":"7"}])";
  CHECK(message_of(request, {}).job().chat().messages_json() == request.chat->messages_json);
}

TEST_CASE("every wish of a job is in its message") {
  job request;
  request.prompt = "x";
  request.sampling.logit_bias = {{7, -100}, {3, 2.5f}};
  request.json_schema = R"({"type":"object"})";
  request.alternatives = 5;
  request.embed = true;
  request.score = true;
  request.tenant = "shop";
  request.priority = job_priority::background;
  const proto::SubmitJob message = message_of(request, std::string(16, 'j'));
  CHECK(message.job().text() == "x");
  REQUIRE(message.job().sampling().logit_bias_size() == 2);
  CHECK(message.job().sampling().logit_bias(0).id() == 7);
  CHECK(message.job().sampling().logit_bias(1).bias() == 2.5f);
  CHECK(message.job().sampling().constraint().json_schema() == request.json_schema);
  CHECK(message.job().alternatives() == 5);
  CHECK(message.job().embed());
  CHECK(message.job().score());
  CHECK(message.tenant() == "shop");
  CHECK(message.priority() == proto::PRIORITY_BACKGROUND);

  request = {};
  request.prompt_ids = {4, 5};
  request.json_object = true;
  request.priority = job_priority::urgent;
  const proto::SubmitJob other = message_of(request, std::string(16, 'j'));
  CHECK(other.job().token_ids().ids_size() == 2);
  CHECK(other.job().sampling().constraint().json_object());
  CHECK(other.priority() == proto::PRIORITY_URGENT);
  CHECK(!message_of({}, {}).job().sampling().has_constraint());
}

TEST_CASE("wishes that exclude each other, and text that is not UTF-8, are refused here") {
  job request = chat_job();
  request.prompt = "x";
  CHECK(refusal_of(request).find("a chat and a prompt") != std::string::npos);
  request = chat_job();
  request.chat->messages_json = "[]";
  CHECK(refusal_of(request).find("messages_json") != std::string::npos);
  request = chat_job();
  request.chat->messages[1].content = "caf\xe9";
  CHECK(refusal_of(request).find("byte 3") != std::string::npos);
  request = {};
  request.json_object = true;
  request.json_schema = "{}";
  CHECK(refusal_of(request).find("json_schema") != std::string::npos);
  request = {};
  request.tenant = "\xff";
  CHECK(refusal_of(request).find("tenant") != std::string::npos);
}
