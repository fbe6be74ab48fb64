// What a job may wish beside its tokens: biases, constraints, alternatives, an embedding, a chat.
#include <doctest/doctest.h>

#include <cmath>

#include "gateway_stage.hpp"

using namespace troupe;
using namespace troupe::cluster;
using E = proto::Envelope;
using J = proto::JobSpecification;

namespace {

proto::SubmitJob job_where(auto change, char id = 'j', std::uint32_t tokens_max = 8) {
  proto::SubmitJob job = job_with(id, tokens_max);
  change(*job.mutable_job());
  return job;
}

void add_bias(J& job, std::int32_t id, float bias) {
  proto::LogitBias& one = *job.mutable_sampling()->add_logit_bias();
  one.set_id(id);
  one.set_bias(bias);
}

// The frame of frame_of, with one alternative for each token: its index.
proto::SequenceTokens with_alternatives(proto::SequenceTokens frame) {
  for (int i = 0; i < frame.ids_size(); ++i) {
    proto::TokenAlternatives& one = *frame.add_alternatives();
    one.add_ids(static_cast<std::int32_t>(frame.first_index()) + i);
    one.add_log_probabilities(-1);
  }
  return frame;
}

std::string key_of(gateway_stage& stage, const proto::SubmitJob& job) {
  stage.submit(job);
  stage.prompt_prepared();
  const auto asked = stage.next(E::kLookUpAnswer);
  return asked ? asked->look_up_answer().key().SerializeAsString() : std::string();
}

}  // namespace

TEST_CASE("wishes outside their bounds are refused with what is allowed") {
  gateway_stage stage;
  const auto refused = [&](const std::string& says, auto change) {
    stage.sent.clear();
    stage.submit(job_where(change));
    const auto error = stage.next(E::kError);
    REQUIRE(error);
    CHECK(error->error().code() == proto::Error::INVALID_ARGUMENT);
    const std::string text = error->error().message() + " " + error->error().mend();
    CHECK_MESSAGE(text.find(says) != std::string::npos, text);
    CHECK(stage.core.known_jobs() == 0);
  };
  refused("0 to 20", [](J& job) { job.set_alternatives(21); });
  refused("at most 1024", [](J& job) {
    for (int i = 0; i < 1025; ++i) add_bias(job, i, 1);
  });
  refused("token -1 has no token", [](J& job) { add_bias(job, -1, 1); });
  refused("token 3 is given twice", [](J& job) {
    add_bias(job, 3, 1);
    add_bias(job, 3, 2);
  });
  refused("-100 to 100", [](J& job) { add_bias(job, 3, 100.5f); });
  refused("token 3 is nan", [](J& job) { add_bias(job, 3, std::nanf("")); });
  refused("no form", [](J& job) { job.mutable_sampling()->mutable_constraint(); });
  refused("no form",
          [](J& job) { job.mutable_sampling()->mutable_constraint()->set_json_object(false); });
  refused("at most 65536", [](J& job) {
    job.mutable_sampling()->mutable_constraint()->set_json_schema(std::string(65537, ' '));
  });
  refused("no messages", [](J& job) { job.mutable_chat(); });
  refused("1048576", [](J& job) {
    job.mutable_chat()->set_messages_json(std::string(1 << 19, ' '));
    job.mutable_chat()->set_tools_json(std::string((1 << 19) + 1, ' '));
  });
  const auto embed_with = [&](const std::string& says, auto change) {
    refused("gives " + says, [&](J& job) {
      job.set_embed(true);
      change(job);
    });
  };
  embed_with("stop texts", [](J& job) { job.add_stop("x"); });
  embed_with("alternatives", [](J& job) { job.set_alternatives(1); });
  embed_with("token_bytes", [](J& job) { job.set_token_bytes(true); });
  embed_with("logit_bias", [](J& job) { add_bias(job, 3, 1); });
  embed_with("a constraint",
             [](J& job) { job.mutable_sampling()->mutable_constraint()->set_json_object(true); });
}

TEST_CASE("biases are pinned in rising id, none of them zero, and inside the vocabulary") {
  gateway_stage stage;
  const auto start = stage.started(job_where([](J& job) {
    add_bias(job, 40, -100);
    add_bias(job, 7, 0);
    add_bias(job, 3, 2.5f);
  }));
  REQUIRE(start.sampling().logit_bias_size() == 2);
  CHECK(start.sampling().logit_bias(0).id() == 3);
  CHECK(start.sampling().logit_bias(0).bias() == 2.5f);
  CHECK(start.sampling().logit_bias(1).id() == 40);
  stage.submit(job_where([](J& job) { add_bias(job, 50, 1); }, 'k'));
  stage.prompt_prepared();  // a vocabulary of 50
  const auto error = stage.next(E::kError);
  REQUIRE(error);
  CHECK(error->error().mend().find("0 to 49") != std::string::npos);
}

TEST_CASE("biases and constraints are part of the cache's key, in one form for one meaning") {
  gateway_stage stage;
  const std::string plain = key_of(stage, job_with('a'));
  REQUIRE(!plain.empty());
  CHECK(key_of(stage, job_where([](J& job) { add_bias(job, 3, 0); }, 'b')) == plain);
  const std::string biased = key_of(stage, job_where(
                                               [](J& job) {
                                                 add_bias(job, 3, 1);
                                                 add_bias(job, 4, 2);
                                               },
                                               'c'));
  CHECK(biased != plain);
  CHECK(key_of(stage, job_where(
                          [](J& job) {
                            add_bias(job, 4, 2);
                            add_bias(job, 3, 1);
                          },
                          'd')) == biased);
  const std::string object = key_of(
      stage,
      job_where([](J& job) { job.mutable_sampling()->mutable_constraint()->set_json_object(true); },
                'e'));
  CHECK(object != plain);
  const std::string schema = key_of(
      stage,
      job_where([](J& job) { job.mutable_sampling()->mutable_constraint()->set_json_schema("{}"); },
                'f'));
  CHECK(schema != object);
  CHECK(!schema.empty());
}

TEST_CASE("alternatives are kept with their tokens, cut with them, and never cached") {
  gateway_stage stage({node_with("away", proto::READY), node_with("home", proto::READY, true)});
  proto::SubmitJob job = job_where([](J& j) { j.set_alternatives(2); });
  job.set_credit_tokens(2);
  stage.submit(job);
  stage.prompt_prepared();
  CHECK(stage.count(E::kLookUpAnswer) == 0);
  const auto asked = stage.next(E::kStartSequence);
  REQUIRE(asked);
  const proto::StartSequence& start = asked->start_sequence();
  CHECK(start.alternatives() == 2);
  SUBCASE("cut by credit, and kept over a failover") {
    stage.tokens("home", with_alternatives(frame_of(start, 0, 3)));
    const auto first = stage.next(E::kJobTokens);
    REQUIRE(first);
    REQUIRE(first->job_tokens().alternatives_size() == 2);
    CHECK(first->job_tokens().alternatives(1).ids(0) == 1);
    stage.take(stage.core.actor_restarted("home", "inference", stage.now));
    stage.model_loaded();
    const auto again = stage.next(E::kStartSequence);
    REQUIRE(again);
    REQUIRE(again->target().node() == "away");
    stage.tokens("away", with_alternatives(frame_of(again->start_sequence(), 3, 5)));
    stage.finished("away", end_of(again->start_sequence(), 8));
    stage.credit(std::string(16, 'j'), 10);
    std::int32_t index = 2;
    while (const auto more = stage.next(E::kJobTokens))
      for (const auto& one : more->job_tokens().alternatives()) CHECK(one.ids(0) == index++);
    CHECK(index == 8);
    CHECK(stage.count(E::kJobFinished) == 1);
    CHECK(stage.count(E::kStoreAnswer) == 0);
  }
  SUBCASE("a worker that leaves them out cannot be trusted") {
    stage.tokens("home", frame_of(start, 0, 3));
    CHECK(stage.count(E::kJobTokens) == 0);
    CHECK(stage.core.counters().frames_contradicting == 1);
  }
  SUBCASE("nor one that gives more than was asked for") {
    proto::SequenceTokens frame = with_alternatives(frame_of(start, 0, 1));
    for (int i = 0; i < 2; ++i) {
      frame.mutable_alternatives(0)->add_ids(i);
      frame.mutable_alternatives(0)->add_log_probabilities(-2);
    }
    stage.tokens("home", frame);
    CHECK(stage.core.counters().frames_contradicting == 1);
  }
}

TEST_CASE("tokens' bytes come with them, for every token or the worker cannot be trusted") {
  gateway_stage stage;
  proto::SubmitJob job = job_where([](J& j) { j.set_token_bytes(true); });
  job.set_credit_tokens(2);
  stage.submit(job);
  stage.prompt_prepared();
  CHECK(stage.count(E::kLookUpAnswer) == 0);
  const auto asked = stage.next(E::kStartSequence);
  REQUIRE(asked);
  CHECK(asked->start_sequence().token_bytes());
  proto::SequenceTokens frame = frame_of(asked->start_sequence(), 0, 3);
  SUBCASE("cut by credit") {
    for (const char* text : {"a", "", "\xff"}) frame.add_token_bytes(text);
    frame.set_queue_us(1234);
    stage.tokens("home", frame);
    const auto first = stage.next(E::kJobTokens);
    REQUIRE(first);
    REQUIRE(first->job_tokens().token_bytes_size() == 2);
    CHECK(first->job_tokens().worker_node() == "home");
    CHECK(first->job_tokens().queue_us() == 1234);
    stage.credit(std::string(16, 'j'), 10);
    const auto rest = stage.next(E::kJobTokens);
    REQUIRE(rest);
    CHECK(rest->job_tokens().token_bytes(0) == "\xff");
  }
  SUBCASE("left out") {
    stage.tokens("home", frame);
  }
  SUBCASE("of the alternatives alone") {
    frame.add_token_bytes("a");
    stage.tokens("home", frame);
  }
  CHECK(stage.core.counters().frames_contradicting == (frame.token_bytes_size() == 3 ? 0 : 1));
}

TEST_CASE("an embedding comes with the end; a lost worker means a fresh start") {
  gateway_stage stage({node_with("away", proto::READY), node_with("home", proto::READY, true)});
  stage.submit(job_where([](J& job) { job.set_embed(true); }, 'j', 0));
  stage.prompt_prepared();
  CHECK(stage.count(E::kLookUpAnswer) == 0);
  const auto first = stage.next(E::kStartSequence);
  REQUIRE(first);
  CHECK(first->start_sequence().embed());
  CHECK(first->start_sequence().tokens_max() == 0);
  stage.take(stage.core.actor_restarted("home", "inference", stage.now));
  stage.model_loaded();
  const auto second = stage.next(E::kStartSequence);
  REQUIRE(second);
  CHECK(second->start_sequence().forced_ids_size() == 0);
  proto::SequenceFinished end = end_of(second->start_sequence(), 0);
  end.set_prefix_tokens(2);
  SUBCASE("it reaches the client, and no cache") {
    end.add_embedding(0.6f);
    end.add_embedding(-0.8f);
    stage.finished("away", end);
    const auto told = stage.next(E::kJobFinished);
    REQUIRE(told);
    CHECK(told->job_finished().reason() == proto::LENGTH);
    REQUIRE(told->job_finished().embedding_size() == 2);
    CHECK(told->job_finished().embedding(1) == -0.8f);
    CHECK(told->job_finished().answer_tokens() == 0);
    CHECK(told->job_finished().provenance().prefix_tokens() == 2);
    CHECK(stage.count(E::kStoreAnswer) == 0);
    const auto observed = stage.next(E::kObserveJob);
    REQUIRE(observed);
    CHECK(observed->observe_job().finished().embedding_size() == 0);
  }
  SUBCASE("none, or one that is not of unit length, is no end") {
    stage.finished("away", end);
    CHECK(stage.count(E::kJobFinished) == 0);
    CHECK(stage.core.counters().frames_contradicting == 1);
  }
  SUBCASE("NaN is no length") {
    end.add_embedding(std::nanf(""));
    stage.finished("away", end);
    CHECK(stage.core.counters().frames_contradicting == 1);
  }
}

TEST_CASE("scores come with the end, one for each token of the prompt but the first") {
  gateway_stage stage;
  stage.submit(job_where([](J& job) { job.set_score(true); }, 'j', 0));
  stage.prompt_prepared();
  CHECK(stage.count(E::kLookUpAnswer) == 0);
  const auto asked = stage.next(E::kStartSequence);
  REQUIRE(asked);
  CHECK(asked->start_sequence().score());
  CHECK(asked->start_sequence().tokens_max() == 0);
  proto::SequenceFinished end = end_of(asked->start_sequence(), 0);
  end.add_prompt_log_probabilities(-0.5f);
  SUBCASE("they reach the client, and no cache") {
    end.add_prompt_log_probabilities(-3);
    stage.finished("home", end);
    const auto told = stage.next(E::kJobFinished);
    REQUIRE(told);
    REQUIRE(told->job_finished().prompt_log_probabilities_size() == 2);
    CHECK(told->job_finished().prompt_log_probabilities(1) == -3);
    CHECK(stage.count(E::kStoreAnswer) == 0);
    const auto observed = stage.next(E::kObserveJob);
    REQUIRE(observed);
    CHECK(observed->observe_job().finished().prompt_log_probabilities_size() == 0);
  }
  SUBCASE("too few are no end") {
    stage.finished("home", end);
    CHECK(stage.core.counters().frames_contradicting == 1);
  }
  SUBCASE("NaN is no probability") {
    end.add_prompt_log_probabilities(std::nanf(""));
    stage.finished("home", end);
    CHECK(stage.core.counters().frames_contradicting == 1);
  }
  SUBCASE("one above 1 is no probability") {
    end.add_prompt_log_probabilities(0.5f);
    stage.finished("home", end);
    CHECK(stage.core.counters().frames_contradicting == 1);
  }
}

TEST_CASE("a worker that stays silent over an embedding is given up") {
  gateway_settings settings = gateway_stage::plain_settings();
  settings.progress_wait = milliseconds(1'000);
  gateway_stage stage({node_with("away", proto::READY), node_with("home", proto::READY, true)},
                      settings);
  stage.submit(job_where([](J& job) { job.set_embed(true); }));
  stage.prompt_prepared();
  REQUIRE(stage.next(E::kStartSequence));
  stage.wait(milliseconds(1'500));
  CHECK(stage.core.counters().attempts_restarted == 1);
}

TEST_CASE("a chat is rendered once, at the time that was pinned when it came") {
  gateway_stage stage({node_with("away", proto::READY), node_with("home", proto::READY, true)});
  stage.core.tell_local_time(1'700'000'000);
  stage.submit(job_where([](J& job) {
    job.mutable_chat()->set_messages_json(R"([{"role":"user","content":"hi"}])");
    job.mutable_chat()->set_tools_json("[]");
  }));
  const auto asked = stage.next(E::kPreparePrompt);
  REQUIRE(asked);
  CHECK(asked->prepare_prompt().has_chat());
  CHECK(asked->prepare_prompt().chat().tools_json() == "[]");
  CHECK(asked->prepare_prompt().local_seconds() == 1'700'000'000);
  stage.core.tell_local_time(1'800'000'000);
  SUBCASE("a loader that went away: the next one is told the same time") {
    stage.answer(asked, *refuse(*asked, proto::Error::UNAVAILABLE, "gone"));
    const auto again = stage.next(E::kPreparePrompt);
    REQUIRE(again);
    CHECK(again->prepare_prompt().local_seconds() == 1'700'000'000);
  }
  SUBCASE("a worker that went away: the ids stay, nothing is rendered again") {
    stage.sent.push_back(asked);
    stage.prompt_prepared();
    stage.answer_missing();
    const auto first = stage.next(E::kStartSequence);
    REQUIRE(first);
    stage.take(stage.core.actor_restarted("home", "inference", stage.now));
    stage.model_loaded();
    const auto second = stage.next(E::kStartSequence);
    REQUIRE(second);
    CHECK(stage.count(E::kPreparePrompt) == 0);
    CHECK(second->start_sequence().prompt_ids_size() == 3);
  }
}
