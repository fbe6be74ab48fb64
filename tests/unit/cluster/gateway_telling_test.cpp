// What the gateway tells monitoring of a job, as the story that comes of it.
#include <doctest/doctest.h>

#include "actors/monitoring/span_ids.hpp"
#include "actors/monitoring/story_spans.hpp"
#include "cluster/gateway/held_steps.hpp"
#include "gateway_stage.hpp"

using namespace troupe;
using namespace troupe::cluster;
using E = proto::Envelope;

namespace {

std::vector<member> two_nodes() {
  return {node_with("away", proto::READY), node_with("home", proto::READY, true)};
}

// Monitoring, which hears everything that the gateway told.
class listener {
 public:
  explicit listener(gateway_stage& stage) : stage_(stage) {}
  const job_story* story(char id) {
    hear();
    return stories_.find(std::string(16, id));
  }
  std::vector<proto::Span> spans(char id) {
    const job_story* found = story(id);
    REQUIRE(found != nullptr);
    return spans_of(*found, static_cast<std::uint64_t>(stage_.now.count()), 0);
  }

 private:
  void hear() {
    for (const envelope_ptr& message : stage_.told)
      stories_.step(message->observe_step(), message->trace());
    stage_.told.clear();
    while (const envelope_ptr message = stage_.next(E::kObserveJob))
      stories_.ended(message->observe_job().finished(), message->observe_job().model(), stage_.now);
  }
  gateway_stage& stage_;
  job_stories stories_{"home", std::chrono::seconds(30), {}};
};

std::vector<std::string> names_of(const std::vector<proto::Span>& spans) {
  std::vector<std::string> out;
  for (const proto::Span& span : spans) out.push_back(span.name());
  return out;
}

}  // namespace

TEST_CASE(
    "properties 19 and 20: a job that is served tells a root span and a child for each step") {
  gateway_stage stage(two_nodes());
  listener monitoring(stage);
  const auto start = stage.started(job_with('j'));
  stage.wait(milliseconds(40));
  stage.tokens("home", frame_of(start, 0, 8));
  proto::SequenceFinished end = end_of(start, 8);
  end.set_queue_us(1'000);
  end.set_prefill_us(20'000);
  end.set_decode_us(5'000);
  stage.finished("home", end);
  const auto spans = monitoring.spans('j');
  CHECK(names_of(spans) == std::vector<std::string>{"request", "tokenise", "route", "cache",
                                                    "attempt", "link", "queue", "prefill",
                                                    "decode"});
  CHECK_FALSE(spans[0].lasts());
  CHECK(monitoring.story('j')->finished->reason() == proto::LENGTH);
}

TEST_CASE("property 24: the worker gets the client's trace, with the attempt as its parent") {
  gateway_stage stage;
  proto::Envelope message;
  *message.mutable_submit_job() = job_with('j');
  message.set_correlation(500);
  message.mutable_trace()->set_trace_high(0xaa);
  message.mutable_trace()->set_trace_low(0xbb);
  message.mutable_trace()->set_span(0xcc);
  stage.say("alice", "client", message);
  stage.prompt_prepared();
  stage.answer_missing();
  const envelope_ptr start = stage.next(E::kStartSequence);
  REQUIRE(start);
  CHECK(start->trace().trace_high() == 0xaa);
  CHECK(start->trace().trace_low() == 0xbb);
  CHECK(start->trace().span() == attempt_span_id(std::string(16, 'j'), 1));
  const envelope_ptr accepted = stage.next(E::kJobAccepted);
  REQUIRE(accepted);
  CHECK(accepted->trace().span() == span_id(std::string(16, 'j'), 0));
  listener monitoring(stage);
  CHECK(monitoring.spans('j')[0].parent() == 0xcc);
}

TEST_CASE(
    "property 23: a lost worker is an attempt with its error, and a gap until the next token") {
  gateway_stage stage(two_nodes());
  listener monitoring(stage);
  const auto first = stage.started(job_with('j'));
  stage.tokens("home", frame_of(first, 0, 3));
  stage.wait(milliseconds(100));
  auto members = two_nodes();
  members[1].up = false;
  stage.show(members);
  stage.take(stage.core.node_lost("home", stage.now));
  stage.model_loaded();
  const envelope_ptr second = stage.next(E::kStartSequence);
  REQUIRE(second);
  stage.wait(milliseconds(250));
  stage.tokens("away", frame_of(second->start_sequence(), 3, 5));
  stage.finished("away", end_of(second->start_sequence(), 8));
  const auto spans = monitoring.spans('j');
  std::vector<proto::Span> attempts, gaps;
  for (const proto::Span& span : spans) {
    if (span.name() == "attempt") attempts.push_back(span);
    if (span.name() == "recovery") gaps.push_back(span);
  }
  REQUIRE(attempts.size() == 2);
  CHECK(attempts[0].node() == "home");
  CHECK_FALSE(attempts[0].error().empty());
  CHECK(attempts[1].node() == "away");
  CHECK(attempts[1].error().empty());
  REQUIRE(gaps.size() == 1);
  CHECK(gaps[0].duration_us() == 250'000);
  CHECK(spans[0].error().empty());
}

TEST_CASE("property 23: a refused job's story ends with why") {
  gateway_stage stage;
  listener monitoring(stage);
  proto::SubmitJob job = job_with('j');
  job.mutable_job()->set_model("unheard-of");
  stage.submit(job);
  const auto spans = monitoring.spans('j');
  CHECK(spans[0].error().find("unheard-of") != std::string::npos);
  CHECK_FALSE(spans[0].lasts());
}

TEST_CASE("a route says what spoke for the node, and what decided against the next best") {
  gateway_stage stage(two_nodes());
  listener monitoring(stage);
  (void)stage.started(job_with('j'));
  std::string because;
  for (const proto::Span& span : monitoring.spans('j'))
    for (const auto& attribute : span.attributes())
      if (span.name() == "route" && attribute.key() == "troupe.because") because = attribute.text();
  CHECK(because == "home: model ready, 0 of 4 places taken; is here, else equal to away");
}

TEST_CASE("a gateway shows its running jobs to its node's monitoring, and to nobody else") {
  gateway_stage stage;
  const auto start = stage.started(job_with('j', 8));
  stage.tokens("home", frame_of(start, 0, 3));
  proto::Envelope question;
  question.set_correlation(9);
  question.mutable_read_jobs();
  stage.say("home", "monitoring", question);
  const envelope_ptr shown = stage.next(E::kJobsShown);
  REQUIRE(shown);
  REQUIRE(shown->jobs_shown().jobs_size() == 1);
  const proto::JobShown& job = shown->jobs_shown().jobs(0);
  CHECK(job.state() == proto::JOB_RUNNING);
  CHECK(job.worker() == "home");
  CHECK(job.answer_tokens() == 3);
  CHECK(job.tokens_max() == 8);
  stage.say("alice", "client", question);
  const envelope_ptr refused = stage.next(E::kError);
  REQUIRE(refused);
  CHECK(refused->error().code() == proto::Error::PERMISSION_DENIED);
}

TEST_CASE("jobs shown are bounded, the oldest first") {
  gateway_settings settings = gateway_stage::plain_settings();
  settings.jobs_max = 400;
  gateway_stage stage({node_with("home", proto::READY, true)}, settings);
  for (int n = 0; n < 300; ++n) {
    proto::SubmitJob job = job_with('j');
    std::string id(16, 'j');
    id[0] = static_cast<char>(n >> 8);
    id[1] = static_cast<char>(n);
    job.set_job_id(id);
    stage.submit(job);
    stage.wait(milliseconds(1));
  }
  proto::Envelope question;
  question.set_correlation(9);
  question.mutable_read_jobs();
  stage.say("home", "monitoring", question);
  const envelope_ptr shown = stage.next(E::kJobsShown);
  REQUIRE(shown);
  CHECK(shown->jobs_shown().jobs_size() == 256);
  CHECK(shown->jobs_shown().left_out() == 44);
  CHECK(shown->jobs_shown().jobs(0).job_id()[1] == '\0');
}

TEST_CASE("a gateway whose node wants no monitoring tells nothing of a job, and serves it") {
  gateway_settings quiet = gateway_stage::plain_settings();
  quiet.tells = false;
  gateway_stage stage(two_nodes(), quiet);
  const auto start = stage.started(job_with('j'));
  stage.tokens("home", frame_of(start, 0, 8));
  stage.finished("home", end_of(start, 8));
  CHECK(stage.next(E::kJobFinished));
  CHECK(stage.told.empty());
  CHECK_FALSE(stage.next(E::kObserveJob));
}

TEST_CASE(
    "steps are told in one go: as a story begins or ends, with the jobs shown, or at a tick") {
  const auto step_of_kind = [](proto::StepKind kind) {
    auto message = std::make_shared<proto::Envelope>();
    message->mutable_observe_step()->set_kind(kind);
    return message;
  };
  held_steps held;
  std::vector<envelope_ptr> messages;
  held.hold({step_of_kind(proto::STEP_TAKEN)});
  CHECK(held.before(messages).size() == 1);  // who asks for it now finds it
  held.hold({step_of_kind(proto::STEP_LOOK_UP), step_of_kind(proto::STEP_ROUTED)});
  CHECK(held.before(messages).empty());

  auto end = std::make_shared<proto::Envelope>();
  end->mutable_observe_job();
  auto other = std::make_shared<proto::Envelope>();
  other->mutable_job_finished();
  messages = {end, other};
  const auto told = held.before(messages);
  REQUIRE(told.size() == 3);
  CHECK(told[0]->observe_step().kind() == proto::STEP_LOOK_UP);
  CHECK(told[2]->has_observe_job());
  CHECK(messages == std::vector<envelope_ptr>{other});
  CHECK(held.take().empty());

  held.hold({step_of_kind(proto::STEP_ROUTED)});
  auto shown = std::make_shared<proto::Envelope>();
  shown->mutable_jobs_shown();
  messages = {shown};
  CHECK(held.before(messages).size() == 1);
  CHECK(messages.size() == 1);

  messages.clear();
  held.hold({step_of_kind(proto::STEP_REFUSED)});
  CHECK(held.before(messages).size() == 1);
  held.hold({step_of_kind(proto::STEP_ROUTED)});
  CHECK(held.take().size() == 1);
  for (std::size_t i = 0; i + 1 < held_steps::held_max; ++i)
    held.hold({step_of_kind(proto::STEP_ROUTED)});
  CHECK(held.before(messages).empty());
  held.hold({step_of_kind(proto::STEP_ROUTED)});
  CHECK(held.before(messages).size() == held_steps::held_max);
}
