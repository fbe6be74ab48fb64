#include <doctest/doctest.h>

#include "actors/monitoring/monitoring_actor.hpp"
#include "tests/unit/actors/fakes.hpp"

using namespace troupe;
using namespace troupe::fakes;

namespace {

envelope_ptr observed(proto::FinishReason reason, std::uint64_t first_us = 1000,
                      std::uint64_t total_us = 10'000, std::uint32_t tokens = 10,
                      proto::AnswerSource source = proto::COMPUTED) {
  auto message = letter("here", "gateway", "monitoring");
  auto& job = *message->mutable_observe_job()->mutable_finished();
  job.set_reason(reason);
  job.set_prompt_tokens(3);
  job.set_answer_tokens(tokens);
  job.mutable_provenance()->set_first_token_us(first_us);
  job.mutable_provenance()->set_total_us(total_us);
  job.mutable_provenance()->set_source(source);
  return message;
}

envelope_ptr read_status(std::uint64_t correlation = 5) {
  auto message = letter("asker", "gateway", "monitoring", correlation);
  message->mutable_read_status();
  return message;
}

}  // namespace

TEST_CASE("property 15: jobs are counted by how they ended") {
  monitoring_settings settings;
  settings.node = "here";
  monitoring_core core{settings};
  const time_point_us now{1'000'000};
  (void)core.step(observed(proto::LENGTH), now);
  (void)core.step(observed(proto::END_OF_TEXT, 1000, 2000, 5, proto::SHARED_CACHE), now);
  (void)core.step(observed(proto::CANCELLED_BY_CLIENT), now);
  (void)core.step(observed(proto::FAILED), now);
  const proto::JobCounters jobs = core.status(now).jobs();
  CHECK(jobs.finished() == 2);
  CHECK(jobs.cancelled() == 1);
  CHECK(jobs.failed() == 1);
  CHECK(jobs.from_cache() == 1);
  CHECK(jobs.prompt_tokens() == 12);
  CHECK(jobs.answer_tokens() == 35);
  CHECK(jobs.first_token_seconds().count() == 3);
  CHECK(jobs.inter_token_seconds().max() == doctest::Approx(0.001));
}

TEST_CASE("what jobs took is counted by model, in bounded memory") {
  job_metrics metrics;
  proto::JobFinished job = observed(proto::LENGTH, 30'000, 500'000, 5)->observe_job().finished();
  job.mutable_provenance()->set_decode_us(400'000);
  metrics.job_ended("m", job);
  job.mutable_provenance()->set_source(proto::LOCAL_CACHE);
  metrics.job_ended("m", job);
  metrics.job_ended("m", observed(proto::FAILED)->observe_job().finished());
  metrics.job_ended("m", observed(proto::CANCELLED_BY_CLIENT)->observe_job().finished());
  for (int i = 0; i < 100; ++i) metrics.job_ended("more-" + std::to_string(i), job);
  proto::NodeMetrics out;
  metrics.write(out);
  REQUIRE(out.models_size() == static_cast<int>(job_metrics::models_max) + 1);
  const auto row_of = [&](const std::string& model) {
    for (const proto::ModelMetrics& row : out.models())
      if (row.model() == model) return row;
    return proto::ModelMetrics();
  };
  CHECK(row_of("other").ended_length() == 37);
  const proto::ModelMetrics m = row_of("m");
  CHECK(m.ended_length() == 2);
  CHECK(m.ended_error() == 1);
  CHECK(m.ended_abort() == 1);
  CHECK(m.prompt_tokens() == 12);
  const auto kinds = job_histograms();
  REQUIRE(m.histograms_size() == static_cast<int>(kinds.size()));
  const auto histogram = [&](const std::string& name, std::uint64_t count, double sum) {
    for (std::size_t i = 0; i < kinds.size(); ++i) {
      if (kinds[i].name != name) continue;
      const proto::Histogram& held = m.histograms(static_cast<int>(i));
      REQUIRE(held.counts_size() == static_cast<int>(kinds[i].edges.size()) + 1);
      std::uint64_t all = 0;
      for (const std::uint64_t some : held.counts()) all += some;
      CHECK_MESSAGE(all == count, name);
      CHECK(held.sum() == doctest::Approx(sum));
      return held;
    }
    FAIL("no histogram " << name);
    return proto::Histogram();
  };
  CHECK(histogram("time_to_first_token_seconds", 2, 0.06).counts(4) == 2);  // up to 40 ms
  histogram("inter_token_latency_seconds", 4, 0.4);
  histogram("request_time_per_output_token_seconds", 1, 0.1);
  histogram("request_decode_time_seconds", 1, 0.4);
  histogram("e2e_request_latency_seconds", 2, 1.0);
  CHECK(histogram("request_generation_tokens", 2, 10).counts(2) == 2);  // 5 is not above its edge
}

TEST_CASE(
    "a status asks loader and cache once for all readers, and answers when both have spoken") {
  monitoring_settings settings;
  settings.node = "here";
  kept_posts office;
  monitoring_sources sources;
  sources.node = [](proto::NodeStatus& s) { s.set_version("v"); };
  sources.engines = [](proto::NodeMetrics& m) { m.add_engines()->set_running(2); };
  monitoring_role role{settings, office, sources};
  const time_point_us now{1'000'000};
  role.receive(read_status(5), now);
  auto metrics = letter("asker", "gateway", "monitoring", 6);
  metrics->mutable_read_metrics();
  role.receive(metrics, now);
  REQUIRE(office.posts.size() == 2);
  CHECK(office.posts[0]->target().actor() == "model_loader");
  CHECK(office.posts[1]->target().actor() == "cache_tier");
  auto models = std::make_shared<proto::Envelope>(reply_to(*office.posts[0]));
  auto& m = *models->mutable_model_list()->add_models();
  m.set_name("m");
  m.set_state(proto::READY);
  m.set_numerics_class("cpu-1");
  role.receive(models, now);
  CHECK(office.posts.size() == 2);
  auto cache = std::make_shared<proto::Envelope>(reply_to(*office.posts[1]));
  cache->mutable_cache_status()->add_tiers()->set_name("local");
  role.receive(cache, now);
  REQUIRE(office.posts.size() == 4);
  CHECK(office.posts[3]->correlation() == 6);
  CHECK(office.posts[3]->node_metrics().engines(0).running() == 2);
  CHECK(office.posts[3]->node_metrics().status().version() == "v");
  const auto& status = office.posts[2]->node_status();
  CHECK(status.models(0).name() == "m");
  CHECK(status.cache().tiers(0).name() == "local");
  CHECK(status.numerics_class() == "cpu-1");
  CHECK(status.version() == "v");
}

TEST_CASE("loader and cache that do not answer leave their last known answer") {
  monitoring_settings settings;
  settings.node = "here";
  monitoring_core core{settings};
  time_point_us now{1'000'000};
  auto asked = core.step(read_status(1), now);
  auto models = std::make_shared<proto::Envelope>(reply_to(*asked.posts[0]));
  models->mutable_model_list()->add_models()->set_name("m");
  (void)core.step(models, now);
  CHECK(core.tick(now + std::chrono::milliseconds{299}).answers.empty());
  CHECK(core.tick(now + std::chrono::milliseconds{300}).answers.size() == 1);
  CHECK(core.status(now).models(0).name() == "m");
  now += std::chrono::seconds{5};
  asked = core.step(read_status(2), now);
  CHECK(asked.posts.size() == 2);
  (void)core.step(models, now);  // a reply to the earlier question answers nothing
  const auto away = refuse(*asked.posts[0], proto::Error::UNAVAILABLE, "away");
  CHECK(core.step(away, now).answers.empty());
  CHECK(core.step(refuse(*asked.posts[1], proto::Error::UNAVAILABLE, "away"), now).answers.size() ==
        1);
  CHECK(core.status(now).models(0).name() == "m");
}

TEST_CASE("jobs that a client makes up are not counted") {
  monitoring_settings settings;
  settings.node = "here";
  monitoring_core core{settings};
  const time_point_us now{1'000'000};
  auto forged = std::make_shared<proto::Envelope>(*observed(proto::FAILED));
  forged->mutable_sender()->set_node("client-1");
  (void)core.step(forged, now);
  CHECK(core.status(now).jobs().failed() == 0);
}

TEST_CASE("readers that wait are bounded") {
  monitoring_settings settings;
  settings.readers_waiting_max = 2;
  monitoring_core core{settings};
  (void)core.step(read_status(1), time_point_us{1});
  (void)core.step(read_status(2), time_point_us{1});
  const auto third = core.step(read_status(3), time_point_us{1});
  REQUIRE(third.posts.size() == 1);
  CHECK(third.posts[0]->error().code() == proto::Error::RESOURCE_EXHAUSTED);
}

TEST_CASE("the busy share is of the last seconds") {
  monitoring_core core{{}};
  for (int second = 0; second <= 20; ++second) {
    const std::uint64_t busy = second <= 10 ? 0 : static_cast<std::uint64_t>(second - 10) * 500'000;
    core.read_gauges({{"inference", true, 2, 7, 100, busy}}, time_point_us{second * 1'000'000});
  }
  const auto actor = core.status(time_point_us{20'000'000}).actors(0);
  CHECK(actor.busy_share() == doctest::Approx(0.5));
  CHECK(actor.mailbox_depth() == 7);
  CHECK(actor.restarts() == 2);
}
