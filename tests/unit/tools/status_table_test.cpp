// What `troupe status` and `troupe submit` show, from documents alone.
#include "tools/cli/status_table.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tools/cli/answer_document.hpp"
#include "tools/cli/command.hpp"
#include "tools/cli/text_table.hpp"

using namespace troupe;
using namespace troupe::cli;

TEST_CASE("columns are as wide as their widest cell, numbers stand to the right") {
  text_table table({"name", ">count"});
  table.add({"a", "10000000"});
  table.add({"größer", "7"});
  CHECK(table.text(" ") ==
        " name       count\n"
        " a       10000000\n"
        " größer         7\n");
  table.add({"line\nend\x1b[2J", "1", "surplus"});
  CHECK(table.text().find('\x1b') == std::string::npos);
  CHECK(table.text().find("surplus") == std::string::npos);
}

TEST_CASE("sizes and times are told in the unit that reads well") {
  CHECK(size_text(512) == "512 B");
  CHECK(size_text(1536) == "1.5 KiB");
  CHECK(size_text(3.0 * (1ull << 40)) == "3.0 TiB");
  CHECK(time_text(17) == "17 s");
  CHECK(time_text(725) == "12m 5s");
  CHECK(time_text(90000) == "1d 1h");
}

TEST_CASE("the status tells who has which layers of a model in parts, and who cannot load one") {
  const auto table = status_table(R"({
    "gateway_node": "mainpc",
    "nodes": [
      {"node": "mainpc", "up": true, "models": [{"name": "big", "state": "ready", "digest": "aa",
       "stages": [{"node": "pc2", "layers": 20}]}]},
      {"node": "pc2", "up": true, "models": [{"name": "mine", "state": "on_disk", "digest": "aa",
       "load_refusal": "too_large", "failure": "a long reason"}],
       "stages": [{"head": "mainpc", "model_digest": "aa", "layer_first": 12, "layer_end": 32,
                   "weight_bytes": 2048}]}]
  })");
  REQUIRE(table.ok());
  for (const char* part : {"ready, 20 layers at pc2", "on_disk, too large for this node",
                           "layers 12 to 31 for mainpc", "2.0 KiB"})
    CHECK_MESSAGE(table->find(part) != std::string::npos, part);
  CHECK(table->find("a long reason") == std::string::npos);
}

TEST_CASE("the status names every node, actor, model, cache and link") {
  const auto table = status_table(R"({
    "gateway_node": "mainpc",
    "nodes": [{
      "node": "mainpc", "address": "tcp://127.0.0.1:7411", "uptime_ms": 61000, "up": true, "memory_bytes": 2048,
      "memory_bytes_used": 1024, "engine": "cpu", "numerics_class": "cpu-1", "variant": "avx2",
      "actors": [{"name": "gateway", "alive": true, "mailbox_depth": 3, "messages": 42, "busy_share": 0.125, "restarts": 1}],
      "models": [{"name": "demo", "state": "ready", "quantization": "q8_0", "parameters": 1500000, "digest": "0123456789abcdef"}],
      "cache": {"tiers": [{"name": "redis", "enabled": true, "available": false, "hits": 9}]},
      "links": [{"peer": "pc2", "up": true, "address": "tcp://127.0.0.1:7412", "round_trip_us": 150},
                {"peer": "client-gone", "up": false}, {"peer": "client-here", "up": true}],
      "jobs": {"finished": 5, "first_token_seconds": {"count": 5, "p50": 0.012, "p95": 0.034}}
    }, {"node": "pc2", "up": false}, {"node": "pc3", "up": true, "breaker": {"state": "breaker_open", "failures": 5}}]
  })");
  REQUIRE(table.ok());
  for (const char* part : {"asked at mainpc", "1m 1s", "cpu cpu-1 avx2", "1.0 KiB of 2.0 KiB",
                           "12.0/34.0", "gateway", "12.5 %", "42", "q8_0", "1.5 M",
                           "0123456789ab\n", "redis", "away", "pc2", "0.15", "down", "failing"})
    CHECK_MESSAGE(table->find(part) != std::string::npos, part);
  CHECK(table->find("client-here") != std::string::npos);
  CHECK(table->find("client-gone") == std::string::npos);
  CHECK(table->find("and 1 that has ended") != std::string::npos);
}

TEST_CASE("what is no status is refused, and odd values do no harm") {
  CHECK_FALSE(status_table("").ok());
  CHECK_FALSE(status_table("[]").ok());
  CHECK_FALSE(status_table("{\"nodes\": 1}").ok());
  CHECK(status_table("{\"nodes\": [1, {\"node\": 5, \"actors\": {\"a\": 1}, \"models\": [null]}]}")
            .ok());
}

TEST_CASE("an answer is told as a line and as a document") {
  served_answer answer;
  answer.tokens = {{7, 0, "Hi", -0.5F, {}}, {8, 1, " you", -0.25F, {}}, {9, 2, "", -0.125F, {}}};
  answer.text = "Hi you";
  answer.first_token = std::chrono::milliseconds(20);
  answer.last_token = std::chrono::milliseconds(220);
  answer.report.worker_node = "pc2";
  answer.report.numerics_class = "cpu-1";
  CHECK(tokens_per_second(answer) == doctest::Approx(10));
  answer.report.source = client::answer_source::shared_cache;
  answer.report.reason = client::finish_reason::length;
  CHECK(tokens_per_second(answer) == doctest::Approx(3 / 0.22));
  const std::string line = answer_line(answer);
  for (const char* part : {"node=pc2", "class=cpu-1", "source=shared_cache", "first_token_ms=20.0",
                           "tokens=3", "tokens_per_second=13.6", "finish=length"})
    CHECK_MESSAGE(line.find(part) != std::string::npos, part);
  auto document = nlohmann::json::parse(answer_document(answer));
  CHECK(document["ids"] == nlohmann::json({7, 8, 9}));
  CHECK(document["text"] == "Hi you");
  CHECK(document["source"] == "shared_cache");
  CHECK(document["error"].is_null());
  answer.failure = error{error_code::not_found, "no model named x", "try y"};
  document = nlohmann::json::parse(answer_document(answer));
  CHECK(document["error"]["code"] == "not_found");
  answer.report.source = client::answer_source::computed;
  answer.tokens.resize(1);
  CHECK(tokens_per_second(answer) == 0);
  answer.tokens.clear();
  CHECK(tokens_per_second(answer) == 0);
}

TEST_CASE("exit codes tell scripts what to do next") {
  const auto code = [](std::vector<const char*> words) {
    words.insert(words.begin(), "troupe");
    return run(static_cast<int>(words.size()), words.data());
  };
  CHECK(code({"--version"}) == exit_fine);
  CHECK(code({"model", "make", "--help"}) == exit_fine);
  CHECK(code({}) == exit_usage);
  CHECK(code({"submitt"}) == exit_usage);
  CHECK(code({"config", "explain", "--jsonn"}) == exit_usage);
  CHECK(code({"submit", "--at", "127.0.0.1:1", "--model", "m", "--prompt", "p", "--max-tokens",
              "-3"}) == exit_usage);
  CHECK(code({"model", "make", "--shape", "huge", "--out", "f"}) == exit_usage);
  CHECK(code({"config", "explain", "link"}) == exit_fine);
  CHECK(code({"config", "explain", "nonsense"}) == exit_input);
  CHECK(code({"config", "check", "/no/such/file.yaml"}) == exit_input);
  CHECK(code({"model", "inspect", "/no/such/file.gguf"}) == exit_input);
  CHECK(code({"generate", "--model", "/no/such/file.gguf", "--prompt", "p"}) == exit_input);
}

TEST_CASE("every error has an exit code of its kind") {
  for (const error_row& row : error_table) {
    CAPTURE(std::string(row.name));
    const int code = exit_code_of(row.code);
    CHECK((code == exit_fine) == (row.code == error_code::ok));
    CHECK(code <= exit_job_failed);
    if (row.retry == retry_by::caller_later) CHECK(code == exit_unavailable);
  }
}
