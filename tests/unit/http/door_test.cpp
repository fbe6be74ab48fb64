// Requests out of bytes, routes, response heads, readiness, metrics.
#include <doctest/doctest.h>

#include "actors/monitoring/job_metrics.hpp"
#include "cluster/http/cluster_documents.hpp"
#include "cluster/http/http_reply.hpp"
#include "cluster/http/metrics_text.hpp"
#include "cluster/http/routes.hpp"

using namespace troupe;
using namespace troupe::http;

namespace {

using state = request_reader::state;

state fed(request_reader& reader, std::string_view bytes) {
  reader.feed(bytes);
  return reader.now();
}

}  // namespace

TEST_CASE("a request is read whole, in one piece or byte by byte, and what follows it is left") {
  const std::string bytes =
      "POST /v1/completions?from=3 HTTP/1.1\r\nHost: localhost:1\r\nContent-Length: 2\r\n"
      "Authorization: Bearer k\r\n\r\n{}";
  request_reader whole({});
  CHECK(whole.feed(bytes + "GET /") == bytes.size());
  REQUIRE(whole.now() == state::complete);
  const http_request request = whole.take();
  CHECK(request.method == "POST");
  CHECK(request.path == "/v1/completions");
  CHECK(request.query == "from=3");
  CHECK(request.body == "{}");
  CHECK(request.authorization == "Bearer k");
  CHECK(request.keep_alive);

  request_reader slow({});
  std::string held;
  for (const char c : bytes) {
    CHECK(slow.now() != state::complete);
    held += c;
    held.erase(0, slow.feed(held));
  }
  REQUIRE(slow.now() == state::complete);
  CHECK(slow.take().body == "{}");

  request_reader chunked({});
  CHECK(fed(chunked,
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
            "0\r\n\r\n") == state::complete);
  CHECK(chunked.take().body == "abc");
}

TEST_CASE("a request past its bounds, or none at all, is refused") {
  request_reader head({.header_bytes_max = 200});
  CHECK(fed(head, "GET / HTTP/1.1\r\nX: " + std::string(300, 'a')) == state::refused);
  CHECK(head.refusal().status == 431);
  request_reader body({.body_bytes_max = 10});
  CHECK(fed(body, "POST / HTTP/1.1\r\nContent-Length: 11\r\n\r\n") == state::refused);
  CHECK(body.refusal().status == 413);
  request_reader chunks({.body_bytes_max = 4});
  CHECK(fed(chunks, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabcdefghi\r\n") ==
        state::refused);
  CHECK(chunks.refusal().status == 413);
  for (const char* bytes : {"\x16\x03\x01\x02", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n",
                            "GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"}) {
    request_reader none({});
    CAPTURE(bytes);
    CHECK(fed(none, bytes) == state::refused);
    CHECK(none.refusal().status == 400);
  }
}

TEST_CASE("a request's head is known before its body has come") {
  request_reader reader({});
  reader.feed(
      "POST /v1/jobs?x HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer k\r\nContent-Length: "
      "9\r\n\r\n{");
  REQUIRE(reader.now() == state::body);
  const http_request head = reader.head();
  CHECK(head.method == "POST");
  CHECK(head.path == "/v1/jobs");
  CHECK(head.authorization == "Bearer k");
  CHECK(head.body.empty());
  CHECK(fed(reader, "12345678") == state::complete);
  CHECK(reader.take().body == "{12345678");
}

TEST_CASE("a header that is sent twice is told as one that is none") {
  request_reader reader({});
  reader.feed(
      "GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\nAuthorization: Bearer a\r\n"
      "Authorization: Bearer b\r\n\r\n");
  REQUIRE(reader.now() == state::complete);
  const http_request request = reader.take();
  CHECK(request.host == "localhost, evil");
  CHECK(request.authorization == "Bearer a, Bearer b");
}

TEST_CASE("a client that waits for 100 Continue is told once") {
  request_reader reader({});
  reader.feed("POST / HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  CHECK(reader.takes_continue());
  CHECK_FALSE(reader.takes_continue());
  CHECK(fed(reader, "ab") == state::complete);
}

TEST_CASE("paths lead to routes; unknown ones and wrong methods are told apart") {
  const auto kind = [](const char* method, const char* path) {
    const auto found = find_route(method, path);
    return std::holds_alternative<route>(found) ? static_cast<int>(std::get<route>(found).kind)
                                                : -std::get<api_error>(found).status;
  };
  CHECK(kind("POST", "/v1/chat/completions") == static_cast<int>(route_kind::chat));
  CHECK(kind("HEAD", "/healthz") == static_cast<int>(route_kind::health));
  CHECK(kind("GET", "/v1/jobs/x/stream") == static_cast<int>(route_kind::job_stream));
  CHECK(kind("DELETE", "/v1/monitoring/jobs/x") == static_cast<int>(route_kind::any_job_cancel));
  CHECK(kind("DELETE", "/v1/jobs/x") == static_cast<int>(route_kind::job_cancel));
  CHECK(kind("GET", "/v1/chat/completions") == -405);
  CHECK(kind("PUT", "/v1/jobs/x") == -405);
  CHECK(kind("GET", "/v2") == -404);
  CHECK(kind("GET", "/v1/models/a/b") == -404);
  CHECK(kind("GET", "/v1/models/%zz") == -400);
  CHECK(std::get<route>(find_route("GET", "/v1/models/a%20b")).name == "a b");
  CHECK(query_number("a=1&from=12", "from", 0) == 12);
  CHECK(query_number("", "from", 5) == 5);
  CHECK(query_number("from=x", "from", 5) == std::nullopt);
  CHECK(query_number("from=-1", "from", 5) == std::nullopt);
}

TEST_CASE("loopback is known by name") {
  for (const char* host : {"127.0.0.1", "127.0.0.1:80", "localhost:1", "[::1]:8", "127.1.2.3"})
    CHECK(names_loopback(host));
  for (const char* host : {"", "127.0.0.1.evil.com", "evil.com:127", "10.0.0.1", "[::2]", "127.",
                           "localhost.evil.com", "0.0.0.0"})
    CHECK_FALSE(names_loopback(host));
}

TEST_CASE("a header's value cannot become a header") {
  reply_head head;
  head.headers = {{"troupe-node", "a\r\nevil: yes"}};
  head.length = 0;
  const std::string text = text_of(head);
  CHECK(text.find("\r\nevil") == std::string::npos);
  CHECK(text.find("content-length: 0\r\n") != std::string::npos);
  CHECK(chunk_of(std::string(26, 'x')).starts_with("1a\r\n"));
  CHECK(chunk_of("").empty());
  reply_head old{.http_1_0 = true};
  CHECK(text_of(old).find("chunked") == std::string::npos);
  CHECK(text_of(old).find("connection: close") != std::string::npos);
  CHECK(refusal(wrong_request(401, "no"), false, true).find("www-authenticate") !=
        std::string::npos);
}

TEST_CASE("readiness names its reasons") {
  proto::ClusterStatus status;
  CHECK_FALSE(readiness_of(status, false).ready);
  proto::NodeStatus& node = *status.add_nodes();
  node.set_node("a");
  node.set_up(true);
  proto::ModelDescription& model = *node.add_models();
  model.set_name("tiny");
  model.set_digest("d");
  model.set_state(proto::LOADING);
  CHECK(readiness_of(status, false).ready);
  CHECK(readiness_of(status, false).document.find("model loading: tiny at node a") !=
        std::string::npos);
  CHECK_FALSE(readiness_of(status, true).ready);
  status.add_nodes()->set_node("b");
  CHECK(readiness_of(status, false).document.find("node b is down") != std::string::npos);
  CHECK(openai_models(status, 5).find("\"id\":\"tiny\"") != std::string::npos);
  CHECK(openai_model(status, "d", 5).has_value());
  CHECK_FALSE(openai_model(status, "none", 5).has_value());
}

TEST_CASE("metrics are Prometheus' text: histograms add up, labels cannot break out") {
  proto::NodeMetrics node;
  proto::ModelMetrics& model = *node.add_models();
  model.set_model("a\"b\\c\nd");
  model.set_prompt_tokens(10);
  model.set_ended_abort(2);
  for (const histogram_kind& kind : job_histograms())
    model.add_histograms()->mutable_counts()->Resize(static_cast<int>(kind.edges.size()) + 1, 1);
  model.mutable_histograms(0)->set_sum(3.5);
  proto::EngineMetrics& engine = *node.add_engines();
  engine.set_model_digest("d");
  engine.set_running(3);
  engine.set_kv_blocks(8);
  engine.set_kv_blocks_used(2);
  node.add_engines()->set_model_digest("unnamed");
  proto::ModelDescription& known = *node.mutable_status()->add_models();
  known.set_digest("d");
  known.set_name("tiny");
  engine.set_steps(40);
  engine.set_steps_replayed(30);
  engine.set_host_blocks(10);
  engine.set_host_blocks_used(7);
  engine.set_host_block_bytes(100);
  engine.set_host_blocks_copied_out(9);
  engine.set_host_blocks_restored(2);
  engine.set_host_blocks_dropped(1);
  engine.set_prefix_tokens_restored(32);
  proto::StageShown& stage = *node.mutable_status()->add_stages();
  stage.set_head("mainpc");
  stage.set_model_digest("d");
  stage.set_weight_bytes(700);
  stage.set_kv_bytes(24);
  stage.set_steps(9);
  stage.set_step_us(2'500'000);
  node.mutable_status()->mutable_jobs()->set_refused(4);
  live_counts door;
  door.refused[static_cast<std::size_t>(refusal_reason::queue_full)] = 5;
  const std::string text = metrics_text(node, door);
  const auto told = [&](const std::string& line) {
    CHECK_MESSAGE(text.find("\n" + line + "\n") != std::string::npos, line);
  };
  const std::string name = R"({model_name="a\"b\\c\nd")";
  told("troupe_prompt_tokens_total" + name + "} 10");
  told("troupe_request_success_total" + name + ",finished_reason=\"abort\"} 2");
  told("troupe_time_to_first_token_seconds_bucket" + name + ",le=\"0.001\"} 1");
  told("troupe_time_to_first_token_seconds_bucket" + name + ",le=\"0.005\"} 2");
  told("troupe_time_to_first_token_seconds_bucket" + name + ",le=\"+Inf\"} 22");
  told("troupe_time_to_first_token_seconds_count" + name + "} 22");
  told("troupe_time_to_first_token_seconds_sum" + name + "} 3.5");
  told("troupe_num_requests_running{model_name=\"tiny\"} 3");
  told("troupe_num_requests_running{model_name=\"unnamed\"} 0");
  told("troupe_kv_cache_usage_perc{model_name=\"tiny\"} 0.25");
  told("troupe_engine_steps_total{model_name=\"tiny\"} 40");
  told("troupe_engine_steps_replayed_total{model_name=\"tiny\"} 30");
  told("troupe_kv_host_bytes{model_name=\"tiny\"} 700");
  told("troupe_kv_host_blocks{model_name=\"tiny\"} 7");
  told("troupe_kv_host_blocks_max{model_name=\"tiny\"} 10");
  told("troupe_kv_host_blocks_copied_out_total{model_name=\"tiny\"} 9");
  told("troupe_kv_host_blocks_restored_total{model_name=\"tiny\"} 2");
  told("troupe_kv_host_blocks_dropped_total{model_name=\"tiny\"} 1");
  told("troupe_kv_host_restored_tokens_total{model_name=\"tiny\"} 32");
  told("troupe_stage_memory_bytes{head=\"mainpc\",model_name=\"tiny\"} 724");
  told("troupe_stage_steps_total{head=\"mainpc\",model_name=\"tiny\"} 9");
  told("troupe_stage_step_seconds_total{head=\"mainpc\",model_name=\"tiny\"} 2.5");
  told("troupe_jobs_refused_total 4");
  told("troupe_http_requests_refused_total{reason=\"queue_full\"} 5");
  told("troupe_http_requests_refused_total{reason=\"wrong_key\"} 0");
}
