#include <doctest/doctest.h>

#include "actors/monitoring/http_post.hpp"
#include "actors/monitoring/monitoring_actor.hpp"
#include "actors/monitoring/span_ids.hpp"
#include "proto/otlp_trace.pb.h"
#include "tests/unit/actors/fakes.hpp"
#include "tests/unit/actors/monitoring/tiny_server.hpp"

using namespace troupe;
using namespace troupe::fakes;
using std::chrono::milliseconds;

namespace {

envelope_ptr step_message(const std::string& job, proto::StepKind kind, std::uint64_t at,
                          const proto::TraceContext& trace) {
  auto out = letter("here", "gateway", "monitoring");
  *out->mutable_trace() = trace;
  proto::ObserveStep& step = *out->mutable_observe_step();
  step.set_job_id(job);
  step.set_kind(kind);
  step.set_at_us(at);
  step.set_node("b");
  step.set_attempt(1);
  step.set_model("m");
  if (kind == proto::STEP_TAKEN) step.set_parent_span(trace.span() ? 77 : 0);
  return out;
}

// A job that failed on the way and then ended well.
void run_job(monitoring_role& role, const std::string& job, std::int64_t at) {
  proto::TraceContext trace = context_of_job({}, job);
  const auto us = static_cast<std::uint64_t>(at);
  role.receive(step_message(job, proto::STEP_TAKEN, us, trace), time_point_us{at});
  role.receive(step_message(job, proto::STEP_ATTEMPT, us + 10, trace), time_point_us{at});
  auto failed = std::make_shared<proto::Envelope>(
      *step_message(job, proto::STEP_ATTEMPT_FAILED, us + 500, trace));
  failed->mutable_observe_step()->mutable_error()->set_message("node b is down");
  role.receive(failed, time_point_us{at});
  auto ended = letter("here", "gateway", "monitoring");
  proto::JobFinished& finished = *ended->mutable_observe_job()->mutable_finished();
  finished.set_job_id(job);
  finished.set_reason(proto::LENGTH);
  finished.set_answer_tokens(9);
  role.receive(ended, time_point_us{at + 1'000});
}

monitoring_settings exporting_to(const std::string& url) {
  monitoring_settings settings;
  settings.node = "here";
  settings.traces.collector = url;
  return settings;
}

}  // namespace

TEST_CASE("property 24: an export by OTLP/HTTP carries the trace, its parents and its errors") {
  tiny_server collector;
  kept_posts office;
  monitoring_role role{exporting_to(collector.url("/v1/traces")), office, {}};
  const std::string job = "0123456789abcdef";
  run_job(role, job, 1'000'000);
  role.tick(time_point_us{5'000'000});
  const auto bodies = collector.bodies(1);
  REQUIRE(bodies.size() == 1);
  CHECK(collector.head().find("POST /v1/traces HTTP/1.1") == 0);
  CHECK(collector.head().find("Content-Type: application/x-protobuf") != std::string::npos);
  otlp::ExportTraceServiceRequest request;
  REQUIRE(request.ParseFromString(bodies[0]));
  REQUIRE(request.resource_spans_size() == 1);
  CHECK(request.resource_spans(0).resource().attributes(0).value().string_value() == "troupe");
  const auto& spans = request.resource_spans(0).scope_spans(0).spans();
  REQUIRE(spans.size() == 3);  // request, attempt, recovery
  CHECK(spans[0].name() == "request");
  CHECK(spans[0].trace_id() == job);  // a job without a client's trace is one
  CHECK(spans[0].span_id().size() == 8);
  CHECK(spans[0].kind() == otlp::SPAN_KIND_SERVER);
  CHECK(spans[0].status().code() == otlp::STATUS_CODE_OK);
  CHECK(spans[0].end_time_unix_nano() - spans[0].start_time_unix_nano() == 1'000'000);
  CHECK(spans[1].name() == "attempt");
  CHECK(spans[1].parent_span_id() == spans[0].span_id());
  CHECK(spans[1].status().code() == otlp::STATUS_CODE_ERROR);
  CHECK(spans[1].status().message() == "node b is down");
}

TEST_CASE("spans are sampled at the head by their trace, and the bad and slow ones always kept") {
  trace_settings settings;
  settings.ratio = 0.1;
  trace_batch batch("here", "1", settings);
  std::size_t kept = 0;
  for (std::uint64_t n = 0; n < 10'000; ++n) {
    job_story story;
    story.id = "0123456789abcdef";
    story.trace.set_trace_low(mixed(n + 1));
    story.began_us = 1;
    story.ended_us = 1'000;
    kept += batch.keeps(story);
    CHECK(batch.keeps(story) == trace_batch("there", "1", settings).keeps(story));
    story.ended_us = 40'000'000;
    REQUIRE(batch.keeps(story));  // slow
    story.ended_us = 1'000;
    story.finished.emplace().set_reason(proto::FAILED);
    REQUIRE(batch.keeps(story));
    story.finished.reset();
    story.trace.set_flags(1);
    REQUIRE(batch.keeps(story));  // its client wants it
  }
  CHECK(kept > 800);
  CHECK(kept < 1'200);
}

TEST_CASE("property 38: alerts reach the webhook and Alertmanager's interface as configured") {
  tiny_server webhook, manager;
  monitoring_settings settings;
  settings.node = "here";
  settings.alerts.webhook = webhook.url("/hook");
  settings.alerts.alertmanager = manager.url();
  kept_posts office;
  monitoring_role role{settings, office, {}};
  role.notice(nodes_seen({{"here", true}, {"b", true}}), time_point_us{1'000'000});
  role.tick(time_point_us{2'000'000});
  role.notice(nodes_seen({{"here", true}, {"b", false}}), time_point_us{3'000'000});
  role.tick(time_point_us{4'000'000});
  const auto told = webhook.bodies(1), managed = manager.bodies(1);
  REQUIRE(told.size() == 1);
  REQUIRE(managed.size() == 1);
  CHECK(told[0].find("\"name\":\"node_down\"") != std::string::npos);
  CHECK(told[0].find("\"subject\":\"b\"") != std::string::npos);
  CHECK(manager.head().find("POST /api/v2/alerts ") == 0);
  CHECK(managed[0].find("\"alertname\":\"troupe_node_down\"") != std::string::npos);
}

TEST_CASE(
    "property 59: a collector that is dead, hangs or refuses delays no observation and no reader") {
  int port_of_nobody = 0;
  {
    tiny_server gone;
    port_of_nobody = std::stoi(gone.url().substr(gone.url().rfind(':') + 1));
  }
  tiny_server hanging(tiny_server::manner::hangs), refusing(tiny_server::manner::refuses);
  for (const std::string& url :
       {"http://127.0.0.1:" + std::to_string(port_of_nobody), hanging.url(), refusing.url(),
        std::string("http://nowhere.invalid:4318/v1/traces"), std::string("no address at all")}) {
    kept_posts office;
    monitoring_settings settings = exporting_to(url);
    settings.alerts.webhook = url;
    settings.traces.batch_spans_max = 4;
    monitoring_role role{settings, office, {}};
    for (int n = 0; n < 2'000; ++n) {
      std::string job = "0123456789ab" + std::to_string(1000 + n);
      run_job(role, job, 1'000'000 + n * 10'000);
      role.tick(time_point_us{1'000'000 + n * 10'000});
    }
    auto asked = letter("client-1", "client", "monitoring", 3);
    asked->mutable_read_picture()->set_own_only(true);
    role.receive(asked, time_point_us{90'000'000});
    role.tick(time_point_us{91'000'000});
    REQUIRE_FALSE(office.posts.empty());
    const envelope_ptr answer = office.posts.back();
    REQUIRE(answer->has_cluster_picture());
    const proto::MonitoringCost& cost = answer->cluster_picture().nodes(0).cost();
    CHECK(cost.spans_kept() == 6'000);
    CHECK(cost.spans_exported() == 0);
    CHECK(cost.observations() == 8'000);
  }  // ends without waiting for anybody
}

TEST_CASE("an outbound lane is bounded, counts what it loses, and ends while its place hangs") {
  tiny_server hanging(tiny_server::manner::hangs);
  outbound_settings settings;
  settings.queue_max = 8;
  settings.post_wait = std::chrono::seconds(60);
  auto lane = outbound_lane::to(hanging.url(), "text/plain", settings);
  REQUIRE(lane);
  int taken = 0;
  for (int n = 0; n < 1'000; ++n) taken += (*lane)->offer("x");
  CHECK(taken <= 9);
  CHECK((*lane)->dropped() >= 991);
  CHECK((*lane)->waiting() <= 8);
}

TEST_CASE("addresses to post to are read, or refused with what is wrong") {
  const auto place = http_place_of("http://collector.example:4318/v1/traces");
  REQUIRE(place);
  CHECK(place->host == "collector.example");
  CHECK(place->port == "4318");
  CHECK(place->path == "/v1/traces");
  CHECK(http_place_of("http://[::1]:80/x")->host == "::1");
  CHECK(http_place_of("http://h")->path == "/");
  for (const char* wrong : {"https://h", "h:80", "http://", "http://h:0", "http://h:70000",
                            "http://h:x/", "http://h/a b", "http://h/\r\nX: y"})
    CHECK_FALSE_MESSAGE(http_place_of(wrong).ok(), wrong);
}
