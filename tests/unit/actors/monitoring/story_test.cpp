#include <doctest/doctest.h>

#include <algorithm>

#include "actors/monitoring/span_ids.hpp"
#include "actors/monitoring/story_spans.hpp"

using namespace troupe;

namespace {

constexpr std::chrono::microseconds slow{30'000'000};

std::string id_of(int n) {
  std::string id(16, '\x21');
  id[14] = static_cast<char>(n >> 8);
  id[15] = static_cast<char>(n);
  return id;
}

proto::ObserveStep step_at(const std::string& job, proto::StepKind kind, std::uint64_t at,
                           const std::string& node = {}, std::uint32_t attempt = 0) {
  proto::ObserveStep out;
  out.set_job_id(job);
  out.set_kind(kind);
  out.set_at_us(at);
  out.set_node(node);
  out.set_attempt(attempt);
  return out;
}

proto::JobFinished ending(const std::string& job, proto::FinishReason reason = proto::LENGTH) {
  proto::JobFinished out;
  out.set_job_id(job);
  out.set_reason(reason);
  out.set_prompt_tokens(7);
  out.set_answer_tokens(40);
  out.mutable_provenance()->set_worker_node("b");
  out.mutable_provenance()->set_numerics_class("cpu-1");
  out.mutable_provenance()->set_attempts(1);
  if (reason == proto::FAILED) out.mutable_error()->set_message("no luck");
  return out;
}

proto::ObserveStep attempt_ended(const std::string& job, std::uint64_t at, std::uint32_t attempt) {
  proto::ObserveStep out = step_at(job, proto::STEP_ATTEMPT_ENDED, at, "b", attempt);
  out.set_tokens(40);
  proto::WorkerTimes& worker = *out.mutable_worker();
  worker.set_queue_us(1'000);
  worker.set_prefill_us(5'000);
  worker.set_decode_us(30'000);
  worker.set_prefix_tokens(16);
  worker.set_numerics_class("cpu-1");
  worker.set_batches(12);
  worker.set_batch_mean(2.5f);
  return out;
}

// A job that is served at its first node.
void tell_plain(job_stories& stories, const std::string& job, std::uint64_t t = 1'000'000) {
  const proto::TraceContext trace = context_of_job({}, job);
  proto::ObserveStep taken = step_at(job, proto::STEP_TAKEN, t);
  taken.set_model("m");
  taken.set_tenant("me");
  stories.step(taken, trace);
  stories.step(step_at(job, proto::STEP_TOKENISE, t + 100, "a"), trace);
  proto::ObserveStep accepted = step_at(job, proto::STEP_ACCEPTED, t + 600);
  accepted.set_tokens(7);
  stories.step(accepted, trace);
  proto::ObserveStep routed = step_at(job, proto::STEP_ROUTED, t + 600, "b");
  routed.set_because("b: model ready");
  stories.step(routed, trace);
  stories.step(step_at(job, proto::STEP_LOOK_UP, t + 700, "a"), trace);
  stories.step(step_at(job, proto::STEP_CACHE_MISSED, t + 900, "a"), trace);
  stories.step(step_at(job, proto::STEP_ATTEMPT, t + 1'000, "b", 1), trace);
  stories.step(step_at(job, proto::STEP_FIRST_TOKEN, t + 9'000, "b", 1), trace);
  stories.step(attempt_ended(job, t + 40'000, 1), trace);
  stories.ended(ending(job), "m", time_point_us{static_cast<std::int64_t>(t) + 40'000});
}

const proto::Span* named(const std::vector<proto::Span>& spans, const std::string& name,
                         int which = 0) {
  for (const proto::Span& span : spans)
    if (span.name() == name && which-- == 0) return &span;
  return nullptr;
}

std::string text_of(const proto::Span& span, const std::string& key) {
  for (const proto::SpanAttribute& attribute : span.attributes())
    if (attribute.key() == key)
      return attribute.value_case() == proto::SpanAttribute::kNumber
                 ? std::to_string(attribute.number())
                 : attribute.text();
  return {};
}

std::vector<proto::Span> spans_of_job(const job_stories& stories, const std::string& job,
                                      std::uint64_t now = 0) {
  const job_story* story = stories.find(job);
  REQUIRE(story != nullptr);
  return spans_of(*story, now, 0);
}

}  // namespace

TEST_CASE("property 19: each request has one root span, from when it was taken to its end") {
  job_stories stories("a", slow, {});
  tell_plain(stories, id_of(1));
  const auto spans = spans_of_job(stories, id_of(1));
  CHECK(spans[0].name() == "request");
  CHECK(spans[0].parent() == 0);
  CHECK(spans[0].duration_us() == 40'000);
  CHECK_FALSE(spans[0].lasts());
  CHECK(std::count_if(spans.begin(), spans.end(),
                      [](const auto& span) { return span.parent() == 0; }) == 1);
}

TEST_CASE("property 20: each step of the way is a child span, inside its parent") {
  job_stories stories("a", slow, {});
  tell_plain(stories, id_of(1));
  const auto spans = spans_of_job(stories, id_of(1));
  for (const char* name : {"tokenise", "route", "cache", "attempt"}) {
    REQUIRE_MESSAGE(named(spans, name), name);
    CHECK(named(spans, name)->parent() == spans[0].id());
  }
  const proto::Span& attempt = *named(spans, "attempt");
  for (const char* name : {"link", "queue", "prefill", "decode"}) {
    REQUIRE_MESSAGE(named(spans, name), name);
    const proto::Span& part = *named(spans, name);
    CHECK(part.parent() == attempt.id());
    CHECK(part.start_us() >= attempt.start_us());
    CHECK(part.start_us() + part.duration_us() <= attempt.start_us() + attempt.duration_us());
  }
  // The worker's 6 ms of the 8 before the first token; the rest is the way there.
  CHECK(named(spans, "link")->duration_us() == 2'000);
  CHECK(named(spans, "decode")->start_us() == 1'009'000);
}

TEST_CASE("property 21: spans name model, node, numerics class and tokens") {
  job_stories stories("a", slow, {});
  tell_plain(stories, id_of(1));
  const auto spans = spans_of_job(stories, id_of(1));
  CHECK(text_of(spans[0], "gen_ai.request.model") == "m");
  CHECK(text_of(spans[0], "gen_ai.usage.input_tokens") == "7");
  CHECK(text_of(spans[0], "gen_ai.usage.output_tokens") == "40");
  const proto::Span& attempt = *named(spans, "attempt");
  CHECK(text_of(attempt, "troupe.node") == "b");
  CHECK(text_of(attempt, "troupe.numerics_class") == "cpu-1");
  CHECK(text_of(attempt, "gen_ai.usage.output_tokens") == "40");
  CHECK(text_of(attempt, "troupe.batches") == "12");
  CHECK(text_of(*named(spans, "prefill"), "troupe.prefix_tokens") == "16");
  CHECK(text_of(*named(spans, "route"), "troupe.because") == "b: model ready");
  CHECK(text_of(*named(spans, "cache"), "troupe.cache") == "miss");
}

TEST_CASE("property 22: spans tell how long they lasted and whether they went well") {
  job_stories stories("a", slow, {});
  tell_plain(stories, id_of(1));
  for (const proto::Span& span : spans_of_job(stories, id_of(1))) {
    CHECK(span.error().empty());
    CHECK_FALSE(span.lasts());
  }
  stories.step(step_at(id_of(2), proto::STEP_TAKEN, 5'000'000), context_of_job({}, id_of(2)));
  const auto running = spans_of_job(stories, id_of(2), 5'700'000);
  CHECK(running[0].lasts());
  CHECK(running[0].duration_us() == 700'000);
}

TEST_CASE("property 23: what failed is in the spans, and the attempt after it is told apart") {
  job_stories stories("a", slow, {});
  const std::string job = id_of(3);
  const proto::TraceContext trace = context_of_job({}, job);
  stories.step(step_at(job, proto::STEP_TAKEN, 1'000), trace);
  stories.step(step_at(job, proto::STEP_ATTEMPT, 2'000, "b", 1), trace);
  stories.step(step_at(job, proto::STEP_FIRST_TOKEN, 3'000, "b", 1), trace);
  proto::ObserveStep failed = step_at(job, proto::STEP_ATTEMPT_FAILED, 10'000, "b", 1);
  failed.mutable_error()->set_message("node b is down");
  failed.set_tokens(12);
  stories.step(failed, trace);
  stories.step(step_at(job, proto::STEP_ATTEMPT, 12'000, "c", 2), trace);
  stories.step(step_at(job, proto::STEP_FIRST_TOKEN, 25'000, "c", 2), trace);
  stories.step(attempt_ended(job, 60'000, 2), trace);
  stories.ended(ending(job), "m", time_point_us{61'000});
  const auto spans = spans_of_job(stories, job);
  const proto::Span *first = named(spans, "attempt", 0), *second = named(spans, "attempt", 1);
  REQUIRE(first);
  REQUIRE(second);
  CHECK(first->error() == "node b is down");
  CHECK(first->node() == "b");
  CHECK(second->error().empty());
  CHECK(second->node() == "c");
  CHECK(first->id() == attempt_span_id(job, 1));
  CHECK(second->id() == attempt_span_id(job, 2));
  const proto::Span* recovery = named(spans, "recovery");
  REQUIRE(recovery);
  CHECK(recovery->start_us() == 10'000);
  CHECK(recovery->duration_us() == 15'000);  // from the loss to the next token
  CHECK(spans[0].error().empty());           // the client saw none of it
  stories.step(step_at(id_of(4), proto::STEP_TAKEN, 1'000), trace);
  stories.ended(ending(id_of(4), proto::FAILED), "m", time_point_us{2'000});
  CHECK(spans_of_job(stories, id_of(4))[0].error() == "no luck");
}

TEST_CASE(
    "property 24: a client's trace goes on in the job's spans, and a job without one has its own") {
  proto::TraceContext brought;
  brought.set_trace_high(0xaaaa);
  brought.set_trace_low(0xbbbb);
  brought.set_span(0xcccc);
  brought.set_flags(1);
  job_stories stories("a", slow, {});
  proto::ObserveStep taken = step_at(id_of(5), proto::STEP_TAKEN, 1'000);
  taken.set_parent_span(brought.span());
  stories.step(taken, context_of_job(brought, id_of(5)));
  const auto spans = spans_of_job(stories, id_of(5), 2'000);
  CHECK(spans[0].trace_high() == 0xaaaa);
  CHECK(spans[0].trace_low() == 0xbbbb);
  CHECK(spans[0].parent() == 0xcccc);
  CHECK(spans[0].id() == span_id(id_of(5), 0));
  const proto::TraceContext own = context_of_job({}, id_of(6));
  CHECK(own.trace_high() != 0);
  CHECK(own.trace_low() != context_of_job({}, id_of(7)).trace_low());
}

TEST_CASE("stories are bounded, and failed, slow and moved ones are not washed out by good ones") {
  std::size_t told = 0;
  job_stories stories("a", slow, [&](const job_story&) { ++told; });
  const std::string moved = id_of(9'999);
  stories.step(step_at(moved, proto::STEP_TAKEN, 1'000), {});
  stories.step(step_at(moved, proto::STEP_ATTEMPT_FAILED, 2'000, "b", 1), {});
  stories.ended(ending(moved), "m", time_point_us{3'000});
  for (int n = 0; n < 2'000; ++n)
    tell_plain(stories, id_of(n), 10'000 + static_cast<std::uint64_t>(n));
  CHECK(told == 2'001);
  CHECK(stories.kept() <= 1 + telemetry::stories_ended_max);
  CHECK(stories.find(moved) != nullptr);
  CHECK(stories.find(id_of(0)) == nullptr);
  for (int n = 0; n < 3'000; ++n)
    stories.step(step_at(id_of(n), proto::STEP_TAKEN, 50'000'000 + static_cast<std::uint64_t>(n)),
                 {});
  CHECK(stories.kept() <= telemetry::stories_running_max + 2 * telemetry::stories_ended_max);
  for (int n = 0; n < 10'000; ++n)
    stories.step(step_at(id_of(2'999), proto::STEP_WAITING, 60'000'000), {});
  CHECK(stories.find(id_of(2'999))->steps.size() <= telemetry::story_steps_max);
  CHECK(stories.find(id_of(2'999))->steps_left_out > 9'000);
}
