// Which jobs are answered from the best logits alone, and that nobody can tell.
#include <doctest/doctest.h>

#include <bit>
#include <functional>
#include <numeric>

#include "actors/inference/sequence_messages.hpp"
#include "tests/unit/actors/fakes.hpp"

using namespace troupe;
using namespace troupe::fakes;

namespace {

// A job's answer from whole rows, one token a step: what the core must give.
struct answer {
  std::vector<kernels::token_id> ids;
  std::vector<float> log_probabilities;
  std::vector<std::string> alternatives;
};

answer from_whole_rows(const proto::StartSequence& job) {
  prf_engine engine(64, 128);
  std::vector<kernels::block_id> blocks(8);
  std::iota(blocks.begin(), blocks.end(), 0);
  const auto parameters = parameters_of(job.sampling());
  std::vector<kernels::token_id> all(job.prompt_ids().begin(), job.prompt_ids().end());
  const std::vector<kernels::token_id> prompt = all;
  answer out;
  for (std::uint32_t i = 0; i < job.tokens_max(); ++i) {
    const kernels::sequence_step step{.tokens = all, .blocks = blocks};
    const auto logits = engine.step({&step, 1});
    REQUIRE(logits.ok());
    const auto drawn = kernels::sample(logits->values, parameters, prompt, out.ids, i);
    REQUIRE(drawn.ok());
    out.ids.push_back(drawn->id);
    out.log_probabilities.push_back(drawn->log_probability);
    proto::TokenAlternatives others;
    for (const auto& one : kernels::top_log_probabilities(logits->values, job.alternatives())) {
      others.add_ids(one.id);
      others.add_log_probabilities(one.log_probability);
    }
    if (job.alternatives() > 0) out.alternatives.push_back(others.SerializeAsString());
    all.push_back(drawn->id);
  }
  return out;
}

// How many of the answer's 12 tokens came from the best alone.
std::uint64_t best_rows_of(const job_wish& job,
                           const std::function<void(proto::SamplingParameters&)>& change) {
  const auto message = std::make_shared<proto::Envelope>(*start_message(job));
  change(*message->mutable_start_sequence()->mutable_sampling());
  bench b;
  b.add_model("model", 64, 128);
  b.say(message);
  b.run();
  CHECK(b.refusals.empty());
  const heard& got = b.of(job);
  const answer wanted = from_whole_rows(message->start_sequence());
  CHECK(got.ids == wanted.ids);
  CHECK(got.log_probabilities == wanted.log_probabilities);
  CHECK(got.alternatives == wanted.alternatives);
  return b.engines.at("model")->best_rows;
}

const auto as_it_is = [](proto::SamplingParameters&) {};

}  // namespace

TEST_CASE("greedy and small top-k jobs are answered from the best logits with the rows' bits") {
  CHECK(best_rows_of({.tokens_max = 12}, as_it_is) == 12);
  CHECK(best_rows_of({.tokens_max = 12, .alternatives = 5}, as_it_is) == 12);
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const job_wish warm{.tokens_max = 12, .temperature = 1.2f, .seed = seed, .alternatives = 3};
    CHECK(best_rows_of(warm, [](auto& s) { s.set_top_k(8); }) == 12);
    CHECK(best_rows_of(warm, [](auto& s) { s.set_top_k(2), s.set_top_p(0.8f); }) == 12);
  }
}

TEST_CASE("jobs whose draw can reach any token are answered from whole rows") {
  const job_wish warm{.tokens_max = 12, .temperature = 1.2f, .seed = 3};
  CHECK(best_rows_of(warm, as_it_is) == 0);
  CHECK(best_rows_of(warm, [](auto& s) { s.set_top_p(0.5f); }) == 0);
  CHECK(best_rows_of({.tokens_max = 12}, [](auto& s) { s.set_repetition_penalty(1.3f); }) == 0);
  CHECK(best_rows_of({.tokens_max = 12, .bias = {{3, 2.0f}}}, as_it_is) == 0);
}

TEST_CASE("a constrained job is answered from whole rows, a greedy one beside it is not") {
  bench b;
  b.add_model("model", 64, 128);
  const job_wish held{
      .id = "held", .tokens_max = 12, .ignore_end = false, .schema = R"({"type": "boolean"})"};
  const job_wish free{.id = "free", .tokens_max = 12};
  b.say(start_message(held));
  b.say(start_message(free));
  b.run();
  CHECK(b.refusals.empty());
  CHECK(b.of(free).ids.size() == 12);
  CHECK(b.of(held).ended());
  CHECK(b.engines.at("model")->best_rows == 12);
}

TEST_CASE("an engine that returns no best where they were asked for fails the sequence") {
  bench b;
  b.add_model("model", 64, 128);
  const job_wish job{.tokens_max = 4};
  b.say(start_message(job));
  const auto batch = b.core.plan(b.now);
  REQUIRE(batch.has_value());
  auto logits = b.engines.at("model")->step(batch->steps);
  REQUIRE(logits.ok());
  logits->best = {};
  b.take(b.core.absorb(*batch, logits, b.now));
  REQUIRE(b.of(job).failed);
  CHECK(b.of(job).failed->error().code() == proto::Error::INTERNAL);
}
