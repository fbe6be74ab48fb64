// A request's conversation with the gateway, and what its client reads.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "actors/running_hash.hpp"
#include "cluster/http/base64.hpp"
#include "cluster/http/ollama_request.hpp"
#include "cluster/http/openai_request.hpp"
#include "cluster/http/request_core.hpp"

using namespace troupe;
using namespace troupe::http;
using nlohmann::json;

namespace {

asked_work read(work_or_error work) {
  REQUIRE(std::holds_alternative<asked_work>(work));
  return std::get<asked_work>(std::move(work));
}

asked_work completion(const std::string& more) {
  return read(read_completion(R"({"model":"tiny","prompt":"hi","max_tokens":4)" + more + "}", {}));
}

// The test speaks for the gateway: token i of job k has the id 10 * k + i.
struct stage {
  explicit stage(asked_work work)
      : jobs(work.jobs.size()), core(std::move(work), ids(jobs), {"http/1", "n", "me"}, 1000) {}

  static std::vector<std::string> ids(std::size_t count) {
    std::vector<std::string> out;
    for (std::size_t i = 0; i < count; ++i) out.emplace_back(16, static_cast<char>('a' + i));
    return out;
  }
  void accept(std::size_t job) {
    proto::Envelope e;
    e.mutable_job_accepted()->set_job_id(ids(jobs)[job]);
    e.mutable_job_accepted()->set_model_digest(std::string(64, 'd'));
    core.take(e);
  }
  void tokens(std::size_t job, std::uint32_t first, std::uint32_t count, const std::string& text) {
    proto::Envelope e;
    proto::JobTokens& t = *e.mutable_job_tokens();
    t.set_job_id(ids(jobs)[job]);
    t.set_first_index(first);
    t.set_attempt(1);
    t.set_text(text);
    t.set_worker_node("w");
    t.set_queue_us(7'000);
    std::uint64_t hash = running_hash_start;
    for (std::uint32_t i = 0; i < first + count; ++i) {
      const auto id = static_cast<std::int32_t>(10 * job + i);
      hash = running_hash_next(hash, id);
      if (i < first) continue;
      t.add_ids(id);
      t.add_log_probabilities(-0.5F);
      t.add_alternatives()->add_ids(id);
      t.mutable_alternatives(t.alternatives_size() - 1)->add_log_probabilities(-0.5F);
      t.mutable_alternatives(t.alternatives_size() - 1)->add_token_bytes(bytes_of(id));
      t.add_token_bytes(bytes_of(id));
    }
    t.set_running_hash(hash);
    core.take(e);
  }
  // 0 and 1 share the two bytes of an e with an accent, others are a letter.
  static std::string bytes_of(std::int32_t id) {
    return id == 0 ? "\xc3" : id == 1 ? "\xa9" : std::string(1, static_cast<char>('a' + id % 26));
  }
  void finish(std::size_t job, std::uint32_t count, proto::FinishReason why = proto::LENGTH,
              const std::string& tail = {}) {
    proto::Envelope e;
    proto::JobFinished& f = *e.mutable_job_finished();
    f.set_job_id(ids(jobs)[job]);
    f.set_reason(why);
    f.set_prompt_tokens(3);
    f.set_answer_tokens(count);
    f.set_text_tail(tail);
    f.mutable_provenance()->set_worker_node("w");
    f.mutable_provenance()->set_gateway_node("n");
    f.mutable_provenance()->set_attempts(1);
    f.mutable_provenance()->set_prefix_tokens(2);
    core.take(e);
  }
  // The JSON of each event that waits, without [DONE].
  std::vector<json> events() {
    std::vector<json> out;
    std::string text = core.take_output();
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = text.find("\n\n", at);
      const std::string line = text.substr(at, end - at);
      if (line.starts_with("data: {")) out.push_back(json::parse(line.substr(6)));
      if (line == "data: [DONE]") closed = true;
      at = end + 2;
    }
    return out;
  }

  std::size_t jobs;
  request_core core;
  bool closed = false;
};

}  // namespace

TEST_CASE("a document waits for every answer and tells usage once for each prompt") {
  stage s(completion(R"(,"n":2)"));
  const auto sent = s.core.submissions();
  REQUIRE(sent.size() == 2);
  CHECK(sent[0].sender().node() == "http/1");
  CHECK(sent[0].target().actor() == "gateway");
  CHECK(sent[0].submit_job().tenant() == "me");
  CHECK(sent[1].correlation() == 2);
  for (std::size_t job : {0, 1}) {
    s.accept(job);
    s.tokens(job, 0, 2, job == 0 ? "one" : "two");
  }
  CHECK_FALSE(s.core.begun());
  s.finish(1, 2, proto::END_OF_TEXT, "!");
  CHECK_FALSE(s.core.done());
  s.finish(0, 2);
  REQUIRE(s.core.done());
  const json out = json::parse(s.core.take_output());
  CHECK(out["object"] == "text_completion");
  CHECK(out["choices"][0]["text"] == "one");
  CHECK(out["choices"][0]["finish_reason"] == "length");
  CHECK(out["choices"][1]["text"] == "two!");
  CHECK(out["choices"][1]["finish_reason"] == "stop");
  CHECK(out["choices"][1]["index"] == 1);
  CHECK(out["usage"] == json::parse(R"({"prompt_tokens":3,"completion_tokens":4,"total_tokens":7,
                                        "prompt_tokens_details":{"cached_tokens":2}})"));
  CHECK(out["created"] == 1000);
  bool told = false;
  for (const auto& [name, value] : s.core.headers()) told |= name == "troupe-node" && value == "w";
  CHECK(told);
}

TEST_CASE("a stream tells each piece with its index") {
  stage s(completion(R"(,"n":2,"stream":true,"stream_options":{"include_usage":true})"));
  CHECK(s.core.submissions()[0].submit_job().credit_tokens() == request_core::credit_tokens);
  s.accept(0);
  s.accept(1);
  CHECK_FALSE(s.core.begun());
  s.tokens(1, 0, 2, "two");
  REQUIRE(s.core.begun());
  auto events = s.events();
  REQUIRE(events.size() == 1);
  CHECK(events[0]["choices"][0]["index"] == 1);
  CHECK(events[0]["choices"][0]["text"] == "two");
  CHECK(events[0]["choices"][0]["finish_reason"].is_null());
  s.tokens(0, 0, 1, "one");  // comes while the first piece is on its way
  CHECK(s.core.written().empty());
  const auto again = s.core.credit();
  REQUIRE(again.size() == 2);
  CHECK(again[0].grant_job_credit().limit() == request_core::credit_tokens);
  CHECK(again[1].grant_job_credit().limit() == request_core::credit_tokens + 2);
  s.finish(0, 1);
  s.finish(1, 2, proto::STOP_TEXT);
  events = s.events();
  REQUIRE(events.size() == 4);
  CHECK(events[0]["choices"][0]["text"] == "one");
  CHECK(events[1]["choices"][0]["finish_reason"] == "length");
  CHECK(events[2]["choices"][0]["finish_reason"] == "stop");
  CHECK(events[3]["choices"].empty());
  CHECK(events[3]["usage"]["completion_tokens"] == 3);
  CHECK(s.closed);
}

TEST_CASE("credit comes back half a window at a time, for what was written") {
  const std::uint32_t half = request_core::credit_tokens / 2;
  stage s(completion(R"(,"n":2,"stream":true)"));
  s.accept(0);
  s.accept(1);
  s.tokens(1, 0, half - 1, "many");
  s.tokens(0, 0, 1, "one");
  CHECK(s.core.written().empty());
  s.events();
  CHECK(s.core.written().empty());
  s.tokens(1, half - 1, 1, "more");
  s.events();
  s.tokens(1, half, 3, "comes while that is on its way");
  auto credit = s.core.written();
  REQUIRE(credit.size() == 1);
  CHECK(credit[0].grant_job_credit().job_id() == stage::ids(2)[1]);
  CHECK(credit[0].grant_job_credit().limit() == half + request_core::credit_tokens);
  CHECK(s.core.written().empty());
  s.tokens(1, half + 3, half, "a frame of many tokens");
  s.events();
  credit = s.core.written();
  REQUIRE(credit.size() == 1);
  CHECK(credit[0].grant_job_credit().limit() == 2 * half + 3 + request_core::credit_tokens);
  s.tokens(1, 2 * half + 3, half, "the last");
  s.finish(1, 3 * half + 3);
  s.events();
  CHECK(s.core.written().empty());
}

TEST_CASE("a chat opens with its role, tells text in deltas and ends with a reason") {
  stage s(read(read_chat(
      R"({"model":"tiny","messages":[{"role":"user","content":"x"}],"stream":true,"logprobs":true,
          "top_logprobs":1})",
      {})));
  s.accept(0);
  s.tokens(0, 0, 1, "a");
  s.finish(0, 1, proto::END_OF_TEXT, "b");
  const auto events = s.events();
  REQUIRE(events.size() == 4);
  CHECK(events[0]["object"] == "chat.completion.chunk");
  CHECK(events[0]["choices"][0]["delta"]["role"] == "assistant");
  CHECK(events[1]["choices"][0]["delta"]["content"] == "a");
  const json& scored = events[1]["choices"][0]["logprobs"]["content"][0];
  CHECK(scored["token"] == R"(\xc3)");
  CHECK(scored["bytes"] == json::array({0xc3}));
  CHECK(scored["logprob"] == -0.5);
  CHECK(scored["top_logprobs"] ==
        json::parse(R"([{"token": "\\xc3", "logprob": -0.5, "bytes": [195]}])"));
  CHECK(events[2]["choices"][0]["delta"]["content"] == "b");
  CHECK(events[3]["choices"][0]["delta"].empty());
  CHECK(events[3]["choices"][0]["finish_reason"] == "stop");
}

TEST_CASE("a completion's log-probabilities tell tokens, scores and places in the text") {
  const json whole = json::parse(R"({"tokens": ["bytes:\\xc3", "bytes:\\xa9", "c", "d"],
    "token_logprobs": [-0.5, -0.5, -0.5, -0.5],
    "top_logprobs": [{"bytes:\\xc3": -0.5}, {"bytes:\\xa9": -0.5}, {"c": -0.5}, {"d": -0.5}],
    "text_offset": [0, 1, 1, 2]})");
  SUBCASE("as one document") {
    stage s(completion(R"(,"logprobs":1)"));
    CHECK(s.core.submissions()[0].submit_job().job().token_bytes());
    s.accept(0);
    s.tokens(0, 0, 3,
             "\xc3\xa9"
             "c");
    s.tokens(0, 3, 1, "d");
    s.finish(0, 4);
    CHECK(json::parse(s.core.take_output())["choices"][0]["logprobs"] == whole);
  }
  SUBCASE("in a stream, each choice with places of its own") {
    stage s(completion(R"(,"logprobs":1,"stream":true,"n":2)"));
    s.accept(0);
    s.accept(1);
    json joined;
    const auto read = [&](std::size_t index) {
      for (const json& event : s.events())
        if (event["choices"][0]["index"] == index)
          for (const auto& [name, values] : event["choices"][0]["logprobs"].items())
            for (const json& value : values) joined[name].push_back(value);
    };
    s.tokens(0, 0, 1, "");
    read(0);
    s.tokens(1, 0, 2, "kl");
    read(0);
    s.tokens(0, 1, 3,
             "\xc3\xa9"
             "cd");
    read(0);
    CHECK(joined == whole);
  }
  SUBCASE("a job that did not ask does not carry bytes") {
    CHECK_FALSE(stage(completion("")).core.submissions()[0].submit_job().job().token_bytes());
  }
}

TEST_CASE("a stream's head names who serves, or leaves without when it has waited too long") {
  const auto named = [](const stage& s) {
    std::string out;
    for (const auto& [name, value] : s.core.headers())
      if (name != "traceparent") out += name + "=" + value + " ";
    return out.substr(out.find("troupe-job") + 48);  // past the id
  };
  stage s(completion(R"(,"stream":true)"));
  s.accept(0);
  CHECK_FALSE(s.core.begun());
  SUBCASE("with the first tokens") {
    s.tokens(0, 0, 1, "x");
    CHECK(s.core.begun());
    CHECK(named(s) == "troupe-node=w troupe-attempts=1 troupe-queue-ms=7 ");
  }
  SUBCASE("with the end, where there are no tokens") {
    s.finish(0, 0);
    CHECK(named(s) == "troupe-node=w troupe-attempts=1 troupe-queue-ms=0 ");
  }
  SUBCASE("without") {
    s.core.begin();
    REQUIRE(s.core.begun());
    CHECK(named(s).empty());
    s.core.fail(api_error_of(error_code::unavailable, "away"));
    REQUIRE(s.events().size() == 1);  // what comes now is told in the stream
  }
}

TEST_CASE("bytes that are no UTF-8 are told, not passed on and not lost") {
  stage s(completion(""));
  s.accept(0);
  s.tokens(0, 0, 1, "a\xff");
  s.finish(0, 1);
  CHECK(json::parse(s.core.take_output())["choices"][0]["text"] == "a\xef\xbf\xbd");
}

TEST_CASE("what contradicts ends the request, and so does an error") {
  SUBCASE("a hole") {
    stage s(completion(""));
    s.accept(0);
    s.tokens(0, 1, 1, "x");
    REQUIRE(s.core.failure());
    CHECK(s.core.failure()->status == 500);
  }
  SUBCASE("another hash") {
    stage s(completion(R"(,"stream":true)"));
    s.accept(0);
    proto::Envelope e;
    e.mutable_job_tokens()->set_job_id(stage::ids(1)[0]);
    e.mutable_job_tokens()->add_ids(4);
    s.core.take(e);
    CHECK(s.core.failure());
  }
  SUBCASE("an end before its tokens") {
    stage s(completion(""));
    s.accept(0);
    s.finish(0, 2);
    CHECK(s.core.failure());
  }
  SUBCASE("a full gateway, before anything was said") {
    stage s(completion(R"(,"stream":true)"));
    proto::Envelope e;
    e.mutable_error()->set_code(proto::Error::RESOURCE_EXHAUSTED);
    e.mutable_error()->set_message("full");
    s.core.take(e);
    REQUIRE(s.core.failure());
    CHECK(s.core.failure()->status == 429);
    CHECK(s.core.failure()->retry_after_s > 0);
    CHECK_FALSE(s.core.begun());
  }
  SUBCASE("a failure in a stream is its last event") {
    stage s(completion(R"(,"stream":true)"));
    s.accept(0);
    s.tokens(0, 0, 1, "x");
    proto::Envelope e;
    e.mutable_job_finished()->set_job_id(stage::ids(1)[0]);
    e.mutable_job_finished()->set_reason(proto::FAILED);
    e.mutable_job_finished()->mutable_error()->set_code(proto::Error::UNAVAILABLE);
    s.core.take(e);
    const auto events = s.events();
    REQUIRE(events.size() == 2);
    CHECK(events[1]["error"]["code"] == "unavailable");
    CHECK_FALSE(s.closed);
  }
}

TEST_CASE("an embedding is told as numbers or as base64 of its bytes") {
  const float values[] = {1.0F, -2.5F};
  CHECK(base64_of_floats(values) == "AACAPwAAIMA=");
  stage s(read(read_embeddings(R"({"model":"t","input":"a"})", {})));
  s.accept(0);
  proto::Envelope e;
  e.mutable_job_finished()->set_job_id(stage::ids(1)[0]);
  e.mutable_job_finished()->set_reason(proto::LENGTH);
  e.mutable_job_finished()->set_prompt_tokens(5);
  for (const float value : values) e.mutable_job_finished()->add_embedding(value);
  s.core.take(e);
  const json out = json::parse(s.core.take_output());
  CHECK(out["data"][0]["embedding"] == json::array({1.0, -2.5}));
  CHECK(out["usage"]["total_tokens"] == 5);
}

TEST_CASE("Ollama's answers are lines of JSON, the last with the counts") {
  stage s(read(read_ollama_chat(
      R"({"model":"tiny","messages":[{"role":"user","content":"x"}],"options":{"num_predict":4}})",
      {})));
  s.accept(0);
  s.tokens(0, 0, 2, "hey");
  s.finish(0, 2, proto::LENGTH, "?");
  std::vector<json> lines;
  std::istringstream out(s.core.take_output());
  for (std::string line; std::getline(out, line);) lines.push_back(json::parse(line));
  REQUIRE(lines.size() == 3);
  CHECK(lines[0]["message"]["content"] == "hey");
  CHECK(lines[0]["done"] == false);
  CHECK(lines[1]["message"]["content"] == "?");
  CHECK(lines[2]["done"] == true);
  CHECK(lines[2]["done_reason"] == "length");
  CHECK(lines[2]["eval_count"] == 2);
  CHECK(lines[2]["prompt_eval_count"] == 3);
}
