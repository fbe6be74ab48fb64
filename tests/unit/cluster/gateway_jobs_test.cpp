// A job's way through the gateway, as scripts of messages in and out.
#include <doctest/doctest.h>

#include <cmath>

#include "gateway_stage.hpp"

using namespace troupe;
using namespace troupe::cluster;
using E = proto::Envelope;

namespace {

std::vector<std::int32_t> tokens_upto(std::uint32_t count) {
  std::vector<std::int32_t> out;
  for (std::uint32_t i = 0; i < count; ++i) out.push_back(token_at(i));
  return out;
}

}  // namespace

TEST_CASE("a computed job: pinned, looked up, started, streamed, stored, told") {
  gateway_stage stage;
  stage.submit(job_with('j'));
  REQUIRE(stage.count(E::kPreparePrompt) == 1);
  CHECK(stage.sent.back()->target().node() == "home");
  CHECK(stage.count(E::kJobAccepted) == 0);
  stage.prompt_prepared();
  const auto accepted = stage.next(E::kJobAccepted);
  REQUIRE(accepted);
  CHECK(accepted->correlation() == 500);
  CHECK(accepted->target().node() == "alice");
  CHECK(accepted->job_accepted().model_digest() == digest_a);
  CHECK(accepted->job_accepted().prompt_tokens() == 3);
  CHECK(accepted->job_accepted().tokens_max() == 8);
  CHECK(accepted->job_accepted().sampling().seed() == 0);  // greedy draws nothing
  CHECK(!accepted->job_accepted().attached());
  stage.answer_missing();
  const auto start = stage.next(E::kStartSequence);
  REQUIRE(start);
  CHECK(start->target().actor() == "inference");
  CHECK(start->start_sequence().fence().gateway_epoch() == 3);
  CHECK(start->start_sequence().fence().attempt() == 1);
  CHECK(start->start_sequence().fence().worker_incarnation() == 1);
  CHECK(start->start_sequence().credit_tokens() == 8);  // never more than the answer may have
  CHECK(start->start_sequence().prompt_ids_size() == 3);
  CHECK(stage.core.counters().running == 1);

  stage.tokens("home", frame_of(start->start_sequence(), 0, 3));
  stage.tokens("home", frame_of(start->start_sequence(), 3, 5));
  CHECK(stage.delivered() == tokens_upto(8));
  CHECK(stage.text == "<0+3><3+5>");
  CHECK(stage.count(E::kJobFinished) == 0);
  stage.now += milliseconds(5);
  stage.finished("home", end_of(start->start_sequence(), 8));
  const auto end = stage.next(E::kJobFinished);
  REQUIRE(end);
  CHECK(end->job_finished().reason() == proto::LENGTH);
  CHECK(end->job_finished().answer_tokens() == 8);
  CHECK(end->job_finished().running_hash() == running_hash_of(tokens_upto(8)));
  CHECK(end->job_finished().provenance().source() == proto::COMPUTED);
  CHECK(end->job_finished().provenance().attempts() == 1);
  CHECK(end->job_finished().provenance().worker_node() == "home");
  CHECK(end->job_finished().provenance().total_us() == 5000);
  const auto store = stage.next(E::kStoreAnswer);
  REQUIRE(store);
  CHECK(store->store_answer().answer().text() == "<0+3><3+5>");
  CHECK(store->store_answer().key().numerics_class() == "cpu-1");
  CHECK(stage.count(E::kObserveJob) == 1);
  CHECK(stage.core.counters().running == 0);
  CHECK(stage.core.waiting_requests() == 0);
}

TEST_CASE("a cached answer streams within the client's credit and starts no sequence") {
  gateway_stage stage;
  stage.submit(job_with('j', 8, 3));
  stage.prompt_prepared();
  const auto look_up = stage.next(E::kLookUpAnswer);
  REQUIRE(look_up);
  proto::Envelope reply;
  reply.mutable_answer_found()->set_tier(proto::SHARED_CACHE);
  proto::CachedAnswer& answer = *reply.mutable_answer_found()->mutable_answer();
  for (std::uint32_t i = 0; i < 5; ++i) {
    answer.add_ids(token_at(i));
    answer.add_text_ends(i + 1);
  }
  answer.set_text("abcdetail");
  answer.set_reason(proto::END_OF_TEXT);
  answer.set_numerics_class("cpu-1");
  answer.set_worker_node("elsewhere");

  SUBCASE("whole and consistent") {
    answer.set_running_hash(running_hash_of(tokens_upto(5)));
    stage.answer(look_up, reply);
    CHECK(stage.delivered() == tokens_upto(3));
    CHECK(stage.count(E::kJobFinished) == 0);
    stage.credit(std::string(16, 'j'), 10);
    CHECK(stage.delivered(3).size() == 2);
    CHECK(stage.text == "abcde");
    const auto end = stage.next(E::kJobFinished);
    REQUIRE(end);
    CHECK(end->job_finished().text_tail() == "tail");
    CHECK(end->job_finished().provenance().source() == proto::SHARED_CACHE);
    CHECK(end->job_finished().provenance().worker_node() == "elsewhere");
    CHECK(stage.count(E::kStoreAnswer) == 0);
    CHECK(stage.count(E::kStartSequence) == 0);
  }
  SUBCASE("with a wrong hash it counts as missing") {
    answer.set_running_hash(1);
    stage.answer(look_up, reply);
    CHECK(stage.delivered().empty());
    CHECK(stage.count(E::kStartSequence) == 1);
  }
  SUBCASE("of another numerics class it counts as missing") {
    answer.set_running_hash(running_hash_of(tokens_upto(5)));
    answer.set_numerics_class("cuda-sm90-1");
    stage.answer(look_up, reply);
    CHECK(stage.count(E::kStartSequence) == 1);
  }
}

TEST_CASE("a cache that stays silent, or is away, costs time and no answer") {
  gateway_stage stage;
  stage.submit(job_with('j'));
  stage.prompt_prepared();
  const auto look_up = stage.next(E::kLookUpAnswer);
  REQUIRE(look_up);
  SUBCASE("silent") {
    stage.wait(milliseconds(1'500));
  }
  SUBCASE("away") {
    stage.answer(look_up, *refuse(*look_up, proto::Error::UNAVAILABLE, "away"));
  }
  SUBCASE("started again") {
    stage.take(stage.core.actor_restarted("home", "cache_tier", stage.now));
  }
  CHECK(stage.count(E::kStartSequence) == 1);
}

TEST_CASE("cache_bypass asks no cache") {
  gateway_stage stage;
  proto::SubmitJob job = job_with('j');
  job.set_cache_bypass(true);
  stage.submit(job);
  stage.prompt_prepared();
  CHECK(stage.count(E::kLookUpAnswer) == 0);
  CHECK(stage.count(E::kStartSequence) == 1);
}

TEST_CASE("a model that is on disk is loaded first, and then the cache is asked for its class") {
  gateway_stage stage({node_with("home", proto::ON_DISK, true)});
  stage.submit(job_with('j'));
  stage.prompt_prepared();
  CHECK(stage.count(E::kLookUpAnswer) == 0);
  REQUIRE(stage.count(E::kLoadModel) == 1);
  stage.model_loaded();
  CHECK(stage.count(E::kStartSequence) == 0);
  stage.answer_missing();
  CHECK(stage.count(E::kStartSequence) == 1);
  CHECK(stage.count(E::kLoadModel) == 0);
}

TEST_CASE("a job for a file that is still being read waits for its digest, within its deadline") {
  const member unread = node_with("home", proto::ON_DISK, true, "tiny", "");
  gateway_stage stage({unread});
  stage.submit(job_with('j'));
  stage.submit(job_with('k'), "alice", 50);
  stage.wait(milliseconds(20));
  CHECK(stage.sent.empty());
  CHECK(stage.core.counters().running == 2);
  stage.wait(milliseconds(40));
  const auto late = stage.next(E::kError);
  REQUIRE(late);
  CHECK(late->error().code() == proto::Error::DEADLINE_EXCEEDED);
  CHECK(stage.core.counters().running == 1);
  stage.show({node_with("home", proto::ON_DISK, true)});
  CHECK(stage.count(E::kPreparePrompt) == 1);
  stage.prompt_prepared();
  CHECK(stage.count(E::kJobAccepted) == 1);

  gateway_stage broken({unread});
  broken.submit(job_with('j'));
  broken.show({node_with("home", proto::MODEL_FAILED, true, "tiny", "")});
  const auto refused = broken.next(E::kError);
  REQUIRE(refused);
  CHECK(refused->error().code() == proto::Error::UNSUPPORTED);
  CHECK(broken.core.known_jobs() == 0);
}

TEST_CASE("the same id attaches from where the client stands; another content is refused") {
  gateway_stage stage;
  const auto start = stage.started(job_with('j'));
  stage.tokens("home", frame_of(start, 0, 4));
  CHECK(stage.delivered().size() == 4);
  SUBCASE("running, from the same session") {
    proto::SubmitJob again = job_with('j');
    again.set_from_index(2);
    stage.next(E::kJobAccepted);
    stage.submit(again);
    const auto accepted = stage.next(E::kJobAccepted);
    REQUIRE(accepted);
    CHECK(accepted->job_accepted().attached());
    CHECK(stage.delivered(2).size() == 2);
    CHECK(stage.contiguous);
  }
  SUBCASE("from another session, which takes the stream over") {
    stage.submit(job_with('j'), "bob");
    const auto farewell = stage.next(E::kError);
    REQUIRE(farewell);
    CHECK(farewell->target().node() == "alice");
    CHECK(stage.delivered().size() == 4);
    stage.tokens("home", frame_of(start, 4, 1));
    const auto more = stage.next(E::kJobTokens);
    REQUIRE(more);
    CHECK(more->target().node() == "bob");
  }
  SUBCASE("finished") {
    stage.tokens("home", frame_of(start, 4, 4));
    stage.finished("home", end_of(start, 8));
    const auto first_end = stage.next(E::kJobFinished);
    stage.sent.clear();
    stage.submit(job_with('j'), "bob");
    CHECK(stage.delivered() == tokens_upto(8));
    const auto end = stage.next(E::kJobFinished);
    REQUIRE(end);
    CHECK(end->job_finished().SerializeAsString() == first_end->job_finished().SerializeAsString());
    CHECK(stage.count(E::kStartSequence) == 0);
  }
  SUBCASE("another content") {
    stage.submit(job_with('j', 9));
    const auto refused = stage.next(E::kError);
    REQUIRE(refused);
    CHECK(refused->error().code() == proto::Error::ALREADY_EXISTS);
  }
}

TEST_CASE("a seed that is absent is drawn once for a job, and reported") {
  proto::SubmitJob job = job_with('j');
  job.mutable_job()->mutable_sampling()->set_temperature(1);
  const auto seed_of = [](const proto::SubmitJob& submitted, std::uint64_t salt) {
    gateway_settings settings = gateway_stage::plain_settings();
    settings.seed_salt = salt;
    gateway_stage stage({node_with("home", proto::READY, true)}, settings);
    const auto start = stage.started(submitted);
    const auto accepted = stage.next(E::kJobAccepted);
    CHECK(accepted->job_accepted().sampling().seed() == start.sampling().seed());
    return start.sampling().seed();
  };
  CHECK(seed_of(job, 1) == seed_of(job, 1));
  CHECK(seed_of(job, 1) != seed_of(job, 2));
  proto::SubmitJob other = job;
  other.set_job_id(std::string(16, 'k'));
  CHECK(seed_of(job, 1) != seed_of(other, 1));
  job.mutable_job()->mutable_sampling()->set_seed(77);
  CHECK(seed_of(job, 1) == 77);
}

TEST_CASE("wrong submissions are refused with what is allowed") {
  gateway_stage stage;
  const auto refused = [&](const proto::SubmitJob& job, proto::Error::Code code,
                           const std::string& says) {
    stage.sent.clear();
    stage.submit(job);
    const auto error = stage.next(E::kError);
    REQUIRE(error);
    CHECK(error->correlation() == 500);
    CHECK(error->error().code() == code);
    const std::string text = error->error().message() + " " + error->error().mend();
    CHECK_MESSAGE(text.find(says) != std::string::npos, text);
    CHECK(stage.sent.empty());
    CHECK(stage.core.known_jobs() == 0);
  };
  const auto invalid = proto::Error::INVALID_ARGUMENT;
  const auto with_sampling = [](auto change) {
    proto::SubmitJob job = job_with('j');
    change(*job.mutable_job()->mutable_sampling());
    return job;
  };
  proto::SubmitJob job = job_with('j');
  job.set_job_id("short");
  refused(job, invalid, "a UUID has 16");
  job = job_with('j', 0);
  refused(job, invalid, "tokens_max is 0");
  job = job_with('j', 70000);
  refused(job, invalid, "65536");
  job = job_with('j');
  job.mutable_job()->set_text("caf\xe9!");
  refused(job, invalid, "byte 3");
  job.mutable_job()->set_text(std::string((1 << 20) + 1, 'x'));
  refused(job, invalid, "1048576");
  job = job_with('j');
  job.mutable_job()->clear_prompt();
  refused(job, invalid, "no prompt");
  job = job_with('j');
  for (int i = 0; i < 17; ++i) job.mutable_job()->add_stop("s");
  refused(job, invalid, "at most 16");
  job = job_with('j');
  job.mutable_job()->add_stop(std::string(257, 's'));
  refused(job, invalid, "1 to 256");
  job = job_with('j');
  job.mutable_job()->set_model("other");
  refused(job, proto::Error::NOT_FOUND, "known models: tiny");
  job = job_with('j');
  job.set_from_index(9);
  refused(job, invalid, "at most 8");

  job = job_with('j');
  job.set_tenant(std::string(129, 't'));
  refused(job, invalid, "at most 128 bytes");
  job = job_with('j');
  job.set_priority(static_cast<proto::JobPriority>(7));
  refused(job, invalid, "priority is 7");

  using P = proto::SamplingParameters;
  refused(with_sampling([](P& p) { p.set_temperature(std::nanf("")); }), invalid, "temperature");
  refused(with_sampling([](P& p) { p.set_temperature(-0.5f); }), invalid, "0 to 100");
  refused(with_sampling([](P& p) { p.set_temperature(INFINITY); }), invalid, "temperature is inf");
  refused(with_sampling([](P& p) { p.set_top_p(0); }), invalid, "top_p is 0");
  refused(with_sampling([](P& p) { p.set_top_p(1.5f); }), invalid, "top_p");
  refused(with_sampling([](P& p) { p.set_min_p(-1); }), invalid, "min_p");
  refused(with_sampling([](P& p) { p.set_repetition_penalty(0); }), invalid, "repetition_penalty");
  refused(with_sampling([](P& p) { p.set_presence_penalty(NAN); }), invalid, "presence_penalty");
  refused(with_sampling([](P& p) { p.set_frequency_penalty(11); }), invalid, "-10 to 10");
}

TEST_CASE("a prompt that the model cannot take is refused before the job is accepted") {
  gateway_stage stage;
  const auto prepared_with = [&](int tokens, std::uint32_t context) {
    stage.sent.clear();
    stage.submit(job_with('j', 50));
    const auto request = stage.next(E::kPreparePrompt);
    REQUIRE(request);
    proto::Envelope reply;
    reply.mutable_prompt_prepared()->set_model_digest(digest_a);
    reply.mutable_prompt_prepared()->set_context_tokens(context);
    reply.mutable_prompt_prepared()->set_vocabulary_size(50);
    for (int i = 0; i < tokens; ++i) reply.mutable_prompt_prepared()->add_ids(i % 50);
    stage.answer(request, reply);
  };
  prepared_with(100, 100);
  REQUIRE(stage.count(E::kError) == 1);
  CHECK(stage.next(E::kError)->error().mend().find("100") != std::string::npos);
  CHECK(stage.core.known_jobs() == 0);
  prepared_with(0, 100);
  CHECK(stage.count(E::kError) == 1);
  prepared_with(90, 100);
  const auto accepted = stage.next(E::kJobAccepted);
  REQUIRE(accepted);
  CHECK(accepted->job_accepted().tokens_max() == 10);  // what the context leaves
}

TEST_CASE("jobs_max bounds the jobs that run") {
  gateway_settings settings = gateway_stage::plain_settings();
  settings.jobs_max = 2;
  gateway_stage stage({node_with("home", proto::READY, true)}, settings);
  const auto first = stage.started(job_with('a', 1));
  (void)stage.started(job_with('b'));
  stage.submit(job_with('c'));
  const auto refused = stage.next(E::kError);
  REQUIRE(refused);
  CHECK(refused->error().code() == proto::Error::RESOURCE_EXHAUSTED);
  stage.tokens("home", frame_of(first, 0, 1));
  stage.finished("home", end_of(first, 1));
  stage.submit(job_with('c'));
  CHECK(stage.count(E::kError) == 0);
}

TEST_CASE("tenant_jobs_max bounds what one tenant runs, and nobody else") {
  gateway_settings settings = gateway_stage::plain_settings();
  settings.tenant_jobs_max = 1;
  gateway_stage stage({node_with("home", proto::READY, true)}, settings);
  const auto of = [](char id, const std::string& tenant) {
    proto::SubmitJob job = job_with(id, 1);
    job.set_tenant(tenant);
    return job;
  };
  const auto first = stage.started(of('a', "shop"));
  CHECK(first.tenant() == "shop");
  stage.submit(of('b', "shop"));
  const auto refused = stage.next(E::kError);
  REQUIRE(refused);
  CHECK(refused->error().code() == proto::Error::RESOURCE_EXHAUSTED);
  CHECK(refused->error().message().find("shop") != std::string::npos);
  const auto other = stage.started(of('c', ""));  // counts to its session
  CHECK(other.tenant() == "alice");
  stage.submit(of('d', "alice"));
  CHECK(stage.count(E::kError) == 1);
  stage.tokens("home", frame_of(first, 0, 1));
  stage.finished("home", end_of(first, 1));
  stage.sent.clear();
  stage.submit(of('b', "shop"));
  CHECK(stage.count(E::kError) == 0);
}

TEST_CASE("cancelling ends the job at once, twice is harmless, and late frames are dropped") {
  gateway_stage stage;
  const auto start = stage.started(job_with('j'));
  stage.tokens("home", frame_of(start, 0, 2));
  stage.cancel(start.job_id());
  const auto stop = stage.next(E::kStopSequence);
  REQUIRE(stop);
  CHECK(stop->stop_sequence().fence().attempt() == 1);
  const auto end = stage.next(E::kJobFinished);
  REQUIRE(end);
  CHECK(end->job_finished().reason() == proto::CANCELLED_BY_CLIENT);
  CHECK(end->job_finished().answer_tokens() == 2);
  CHECK(stage.core.counters().running == 0);
  stage.sent.clear();
  stage.cancel(start.job_id());
  stage.tokens("home", frame_of(start, 2, 2));
  CHECK(stage.sent.empty());
  CHECK(stage.core.counters().frames_fenced == 1);
  stage.cancel(std::string(16, 'x'));
  REQUIRE(stage.count(E::kError) == 1);
  CHECK(stage.next(E::kError)->error().code() == proto::Error::NOT_FOUND);
}

TEST_CASE("credit that comes after a cancelled job's end brings nothing") {
  gateway_stage stage;
  const auto start = stage.started(job_with('j', 8, 2));
  stage.tokens("home", frame_of(start, 0, 4));
  CHECK(stage.delivered().size() == 2);
  stage.cancel(start.job_id());
  REQUIRE(stage.next(E::kJobFinished));
  stage.sent.clear();
  stage.credit(start.job_id(), 8);
  CHECK(stage.count(E::kJobTokens) == 0);
  CHECK(stage.sent.empty());
}

TEST_CASE("a client's session that ends frees its running jobs") {
  gateway_stage stage;
  const auto start = stage.started(job_with('j'));
  stage.take(stage.core.node_lost("alice", stage.now));
  CHECK(stage.count(E::kStopSequence) == 1);
  CHECK(stage.core.known_jobs() == 0);
  CHECK(stage.core.counters().running == 0);
  CHECK(stage.core.waiting_requests() == 0);
  stage.submit(job_with('j'), "alice-again");  // the id is free: the answer is computed again
  CHECK(stage.count(E::kPreparePrompt) == 1);
}

TEST_CASE("the job's deadline ends it, before acceptance and after") {
  gateway_stage stage;
  stage.submit(job_with('j'), "alice", 100);
  stage.wait(milliseconds(150));
  const auto refused = stage.next(E::kError);
  REQUIRE(refused);
  CHECK(refused->error().code() == proto::Error::DEADLINE_EXCEEDED);
  CHECK(stage.core.known_jobs() == 0);

  stage.submit(job_with('k'), "alice", 100);
  stage.sent.erase(stage.sent.begin());
  stage.submit(job_with('l'), "alice", 100);
  stage.prompt_prepared();
  stage.answer_missing();
  CHECK(stage.count(E::kStartSequence) == 1);
  stage.wait(milliseconds(150));
  CHECK(stage.count(E::kStopSequence) == 1);
  const auto end = stage.next(E::kJobFinished);
  REQUIRE(end);
  CHECK(end->job_finished().error().code() == proto::Error::DEADLINE_EXCEEDED);
}

TEST_CASE("finished jobs are forgotten by count and by age") {
  gateway_settings settings = gateway_stage::plain_settings();
  settings.finished_jobs_kept = 2;
  gateway_stage stage({node_with("home", proto::READY, true)}, settings);
  for (const char id : {'a', 'b', 'c', 'd'}) {
    const auto start = stage.started(job_with(id, 1));
    stage.tokens("home", frame_of(start, 0, 1));
    stage.finished("home", end_of(start, 1));
    stage.wait(milliseconds(10));
  }
  CHECK(stage.core.known_jobs() == 2);
  stage.wait(milliseconds(400'000));
  CHECK(stage.core.known_jobs() == 0);
}

TEST_CASE("reading the cluster: nodes that are down or silent are shown as such") {
  member gone = node_with("gone", proto::READY);
  gone.up = false;
  gateway_stage stage(
      {gone, node_with("home", proto::READY, true), node_with("mute", proto::READY)});
  proto::Envelope question;
  question.mutable_read_cluster();
  question.set_correlation(9);
  stage.say("alice", "client", question);
  REQUIRE(stage.count(E::kReadStatus) == 2);
  const auto own = stage.next(E::kReadStatus);
  CHECK(own->target().node() == "home");
  proto::Envelope reply;
  reply.mutable_node_status()->set_cores(2);
  stage.answer(own, reply);
  CHECK(stage.count(E::kClusterStatus) == 0);
  stage.wait(milliseconds(2'000));
  const auto status = stage.next(E::kClusterStatus);
  REQUIRE(status);
  CHECK(status->correlation() == 9);
  const proto::ClusterStatus& cluster = status->cluster_status();
  REQUIRE(cluster.nodes_size() == 3);
  CHECK(cluster.nodes(0).node() == "gone");
  CHECK(!cluster.nodes(0).up());
  CHECK(cluster.nodes(1).up());
  CHECK(cluster.nodes(1).cores() == 2);
  CHECK(!cluster.nodes(2).up());
}

TEST_CASE("a gateway that stops takes no new jobs, and ends those that run when told so") {
  gateway_stage stage;
  const auto start = stage.started(job_with('j'));
  stage.take(stage.core.stop_accepting(false, stage.now));
  stage.submit(job_with('k'));
  REQUIRE(stage.count(E::kError) == 1);
  CHECK(stage.next(E::kError)->error().code() == proto::Error::UNAVAILABLE);
  stage.tokens("home", frame_of(start, 0, 1));
  CHECK(stage.delivered().size() == 1);
  stage.take(stage.core.stop_accepting(true, stage.now));
  const auto end = stage.next(E::kJobFinished);
  REQUIRE(end);
  CHECK(end->job_finished().error().code() == proto::Error::UNAVAILABLE);
  CHECK(stage.core.counters().running == 0);
}

TEST_CASE("a gateway that has just begun does not know yet what the others have") {
  gateway_settings settings = gateway_stage::plain_settings();
  settings.settle_wait = milliseconds(2'000);
  gateway_stage stage({member{}}, settings);
  stage.submit(job_with('j'));
  stage.wait(milliseconds(1'000));
  CHECK(stage.count(E::kError) == 0);
  SUBCASE("a node that has the model comes up") {
    stage.show({node_with("away", proto::READY)});
    CHECK(stage.next(E::kPreparePrompt));
  }
  SUBCASE("none does") {
    stage.wait(milliseconds(1'000));
    const auto refused = stage.next(E::kError);
    REQUIRE(refused);
    CHECK(refused->error().code() == proto::Error::NOT_FOUND);
    stage.submit(job_with('k'));
    CHECK(stage.count(E::kError) == 1);
  }
}
