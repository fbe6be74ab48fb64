// Bodies become jobs, field by field; what is wrong is refused by its name.
#include <doctest/doctest.h>

#include "cluster/http/job_book.hpp"
#include "cluster/http/json_fields.hpp"
#include "cluster/http/ollama_request.hpp"
#include "cluster/http/openai_request.hpp"

using namespace troupe;
using namespace troupe::http;

namespace {

const request_limits limits;

asked_work fine(const work_or_error& read) {
  if (auto* why = std::get_if<api_error>(&read)) FAIL(why->message);
  return std::get<asked_work>(read);
}

api_error refused(const work_or_error& read) {
  REQUIRE(std::holds_alternative<api_error>(read));
  return std::get<api_error>(read);
}

std::string completion_with(const std::string& field) {
  return R"({"model":"tiny","prompt":"hi",)" + field + "}";
}

}  // namespace

TEST_CASE("a completion's fields become the job's, absent ones take OpenAI's defaults") {
  const asked_work plain = fine(read_completion(R"({"model":"tiny","prompt":"hi"})", limits));
  REQUIRE(plain.jobs.size() == 1);
  const proto::JobSpecification& job = plain.jobs[0].job();
  CHECK(job.model() == "tiny");
  CHECK(job.text() == "hi");
  CHECK(job.tokens_max() == 16);
  CHECK(job.sampling().temperature() == 1);
  CHECK(job.sampling().top_p() == 1);
  CHECK(job.sampling().repetition_penalty() == 1);
  CHECK_FALSE(job.sampling().has_seed());
  CHECK_FALSE(plain.plan.streams);

  const asked_work full = fine(read_completion(
      R"({"model":"tiny","prompt":[1,2,3],"max_tokens":7,"temperature":0.5,"top_p":0.25,"top_k":40,
          "min_p":0.125,"repetition_penalty":1.5,"presence_penalty":-1,"frequency_penalty":2,
          "seed":-1,
          "stop":["a","b"],"ignore_eos":true,"logprobs":3,"user":"me","stream":true,
          "stream_options":{"include_usage":true},"logit_bias":{"7":-100,"5":1,"9":0},"echo":false,
          "best_of":null})",
      limits));
  const proto::JobSpecification& asked = full.jobs[0].job();
  CHECK(asked.token_ids().ids_size() == 3);
  CHECK(asked.tokens_max() == 7);
  CHECK(asked.sampling().top_k() == 40);
  CHECK(asked.sampling().min_p() == 0.125F);
  CHECK(asked.sampling().repetition_penalty() == 1.5F);
  CHECK(asked.sampling().presence_penalty() == -1);
  CHECK(asked.sampling().frequency_penalty() == 2);
  CHECK(asked.sampling().seed() == UINT64_MAX);
  REQUIRE(asked.sampling().logit_bias_size() == 2);
  CHECK(asked.sampling().logit_bias(0).id() == 5);
  CHECK(asked.sampling().logit_bias(1).id() == 7);
  CHECK(asked.stop_size() == 2);
  CHECK(asked.ignore_end());
  CHECK(asked.alternatives() == 3);
  CHECK(full.plan.log_probabilities);
  CHECK(full.plan.usage_in_stream);
  CHECK(full.user == "me");
}

TEST_CASE("choices and lists of prompts become jobs, each choice with a seed of its own") {
  const asked_work work =
      fine(read_completion(R"({"model":"tiny","prompt":["a","b"],"n":3,"seed":11})", limits));
  REQUIRE(work.jobs.size() == 6);
  CHECK(work.plan.choices == 3);
  CHECK(work.jobs[0].job().text() == "a");
  CHECK(work.jobs[3].job().text() == "b");
  CHECK(work.jobs[0].job().sampling().seed() == 11);
  CHECK(work.jobs[1].job().sampling().seed() == choice_seed(11, 1));
  CHECK(work.jobs[4].job().sampling().seed() == choice_seed(11, 1));
  CHECK(choice_seed(11, 1) != choice_seed(11, 2));
  CHECK(fine(read_completion(R"({"model":"t","prompt":[[1,2],[3]]})", limits)).jobs.size() == 2);
}

TEST_CASE("every field that is wrong is refused by its name") {
  const std::pair<const char*, const char*> cases[] = {
      {R"("max_tokens":0)", "max_tokens"},
      {R"("max_tokens":1.5)", "max_tokens"},
      {R"("max_tokens":"9")", "max_tokens"},
      {R"("max_tokens":99999999999999999999)", "max_tokens"},
      {R"("temperature":-1)", "temperature"},
      {R"("temperature":true)", "temperature"},
      {R"("top_p":0)", "top_p"},
      {R"("top_p":1.01)", "top_p"},
      {R"("top_k":-2)", "top_k"},
      {R"("n":0)", "n"},
      {R"("n":17)", "n"},
      {R"("seed":"x")", "seed"},
      {R"("stop":[""])", "stop[0]"},
      {R"("stop":{})", "stop"},
      {R"("stop":["a","a","a","a","a","a","a","a","a","a","a","a","a","a","a","a","a"])", "stop"},
      {R"("stream":1)", "stream"},
      {R"("stream_options":{"include_usage":true})", "stream_options"},
      {R"("stream":true,"stream_options":{"foo":1})", "stream_options.foo"},
      {R"("logit_bias":{"x":1})", "logit_bias"},
      {R"("logit_bias":{"05":1})", "logit_bias"},
      {R"("logit_bias":{"5":101})", "logit_bias.5"},
      {R"("logprobs":21)", "logprobs"},
      {R"("echo":true)", "echo"},
      {R"("best_of":2)", "best_of"},
      {R"("response_format":{"type":"xml"})", "response_format.type"},
      {R"("response_format":{"type":"json_schema"})", "response_format.json_schema"},
      {R"("tools":[])", "tools"},
      {R"("grammar":"root ::= x")", "grammar"},
      {R"("user":7)", "user"},
      {R"("model":"again")", "model"},
  };
  for (const auto& [field, name] : cases) {
    CAPTURE(field);
    const api_error why = refused(read_completion(completion_with(field), limits));
    CHECK(why.status == 400);
    CHECK(why.param == name);
    CHECK(why.type == "invalid_request_error");
  }
  CHECK(refused(read_completion(R"({"prompt":"x"})", limits)).param == "model");
  CHECK(refused(read_completion(R"({"model":"x"})", limits)).param == "prompt");
  CHECK(refused(read_completion(R"({"model":"x","prompt":[]})", limits)).param == "prompt");
  CHECK(refused(read_completion(R"({"model":"x","prompt":[1,"a"]})", limits)).param == "prompt[1]");
  CHECK(refused(read_completion(R"({"model":"x","prompt":[-1]})", limits)).param == "prompt[0]");
  CHECK(refused(read_completion(R"({"model":"x","prompt":["a",[]]})", limits)).param ==
        "prompt[1]");
}

TEST_CASE("bodies that are no JSON object within bounds are refused") {
  const auto why = [](const std::string& body) {
    const auto read = parse_object(body);
    REQUIRE(std::holds_alternative<api_error>(read));
    return std::get<api_error>(read).message;
  };
  CHECK(why("").find("not JSON") != std::string::npos);
  CHECK(why("{\"a\":\"\xff\"}").find("not JSON in UTF-8") != std::string::npos);
  CHECK(why("{\"a\":1} x").find("not JSON") != std::string::npos);
  CHECK(why("[1]").find("a list") != std::string::npos);
  CHECK(why(std::string(100'000, '[')).find("nested deeper") != std::string::npos);
  CHECK(why("{\"a\":[" + std::string(500'000, ',') + "]}").find("values") != std::string::npos);
  CHECK(why(R"({"a":1e999})").find("out of range") != std::string::npos);
  CHECK(why(R"({"a":{"b":1,"b":2}})").find("b: stands twice") != std::string::npos);
  std::string names = "{";
  for (int i = 0; i < 1100; ++i) names += "\"k" + std::to_string(i) + "\":1,";
  CHECK(why(names + "\"z\":1}").find("1024 names") != std::string::npos);
  CHECK(std::holds_alternative<nlohmann::ordered_json>(parse_object(R"({"a":"[[[\"{{"})")));
}

TEST_CASE("a chat becomes a conversation for the model's template") {
  const asked_work work = fine(read_chat(
      R"({"model":"tiny","messages":[{"role":"system","content":"be brief"},
          {"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}],
          "max_completion_tokens":5,"logprobs":true,"top_logprobs":2,
          "chat_template_kwargs":{"enable_thinking":false},
          "response_format":{"type":"json_schema","json_schema":{"name":"n","strict":true,
            "schema":{"type":"object","properties":{"z":{},"a":{}}}}}})",
      limits));
  const proto::JobSpecification& job = work.jobs.at(0).job();
  CHECK(job.chat().messages_json() ==
        R"([{"role":"system","content":"be brief"},{"role":"user","content":"ab"}])");
  CHECK(job.chat().variables_json() == R"({"enable_thinking":false})");
  CHECK(job.tokens_max() == 5);
  CHECK(job.alternatives() == 2);
  // The order of properties is the order of the answer: it is kept.
  CHECK(job.sampling().constraint().json_schema() ==
        R"({"type":"object","properties":{"z":{},"a":{}}})");
  CHECK(fine(read_chat(R"({"model":"t","messages":[{"role":"user","content":"x"}],
                           "response_format":{"type":"json_object"}})",
                       limits))
            .jobs[0]
            .job()
            .sampling()
            .constraint()
            .json_object());
}

TEST_CASE("messages that are wrong are refused with their place") {
  const auto param = [](const std::string& messages) {
    return refused(read_chat(R"({"model":"t","messages":)" + messages + "}", limits)).param;
  };
  CHECK(param("[]") == "messages");
  CHECK(param("{}") == "messages");
  CHECK(param("[1]") == "messages[0]");
  CHECK(param(R"([{"role":"wizard","content":"x"}])") == "messages[0].role");
  CHECK(param(R"([{"role":"user"}])") == "messages[0].content");
  CHECK(param(R"([{"role":"user","content":7}])") == "messages[0].content");
  CHECK(param(R"([{"role":"user","content":[{"type":"image_url","image_url":"x"}]}])") ==
        "messages[0].content[0].type");
  CHECK(param(R"([{"role":"user","content":"x","tool_calls":[]}])") == "messages[0].tool_calls");
}

TEST_CASE("embeddings take texts and token ids") {
  const asked_work work = fine(
      read_embeddings(R"({"model":"t","input":["a",[1,2]],"encoding_format":"base64"})", limits));
  REQUIRE(work.jobs.size() == 2);
  CHECK(work.jobs[0].job().embed());
  CHECK(work.plan.base64);
  CHECK(refused(read_embeddings(R"({"model":"t","input":"a","dimensions":5})", limits)).param ==
        "dimensions");
}

TEST_CASE("Ollama's bodies stream unless told not to and keep their parameters in options") {
  const asked_work chat = fine(read_ollama_chat(
      R"({"model":"tiny:latest","messages":[{"role":"user","content":"x"}],
          "options":{"num_predict":9,"seed":4,"temperature":0,"repeat_penalty":1.1,"stop":["."]},
          "format":"json","keep_alive":"5m"})",
      limits));
  CHECK(chat.plan.streams);
  CHECK(chat.plan.model == "tiny");
  CHECK(fine(read_ollama_generate(R"({"model":":latest","prompt":"p"})", limits)).plan.model ==
        ":latest");
  CHECK(chat.jobs[0].job().tokens_max() == 9);
  CHECK(chat.jobs[0].job().sampling().seed() == 4);
  CHECK(chat.jobs[0].job().sampling().constraint().json_object());
  const asked_work said = fine(
      read_ollama_generate(R"({"model":"t","prompt":"p","system":"s","stream":false})", limits));
  CHECK(said.jobs[0].job().chat().messages_json() ==
        R"([{"role":"system","content":"s"},{"role":"user","content":"p"}])");
  CHECK(said.jobs[0].job().tokens_max() == limits.tokens_max);
  CHECK(fine(read_ollama_generate(R"({"model":"t","prompt":"p","raw":true})", limits))
            .jobs[0]
            .job()
            .text() == "p");
  CHECK(refused(
            read_ollama_generate(R"({"model":"t","prompt":"p","options":{"mirostat":1}})", limits))
            .param == "options.mirostat");
  CHECK(
      refused(read_ollama_generate(R"({"model":"t","prompt":"p","keep_alive":0})", limits)).param ==
      "keep_alive");
}

TEST_CASE("a long job's body has an id and a priority beside") {
  const auto read = read_job_wish(
      R"({"id":"0198c6f2-0000-7000-8000-000000000001","priority":"background","model":"t",
          "prompt":"p","max_tokens":3})",
      limits);
  REQUIRE(std::holds_alternative<job_wish>(read));
  const job_wish& wish = std::get<job_wish>(read);
  CHECK(wish.id.size() == 16);
  CHECK(wish.job.priority() == proto::PRIORITY_BACKGROUND);
  CHECK(wish.job.job().tokens_max() == 3);
  const auto param = [](const char* body) {
    const auto wrong = read_job_wish(body, limits);
    return std::holds_alternative<api_error>(wrong) ? std::get<api_error>(wrong).param : "";
  };
  CHECK(param(R"({"id":"x","model":"t","prompt":"p"})") == "id");
  CHECK(param(R"({"priority":"high","model":"t","prompt":"p"})") == "priority");
  CHECK(param(R"({"model":"t","prompt":"p","stream":true})") == "stream");
  CHECK(param(R"({"model":"t","prompt":"p","n":2})") == "n");
  CHECK(param(R"({"model":"t","prompt":"p","logprobs":0})") == "logprobs");
}
