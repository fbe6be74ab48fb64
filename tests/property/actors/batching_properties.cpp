// What batching and shared KV promise, by number.
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "tests/property/actors/random_jobs.hpp"

using namespace troupe;
using namespace troupe::fakes;

namespace {

// Jobs whose prompts have no block in common.
std::vector<job_wish> different_jobs(int count, std::uint32_t tokens_max) {
  std::vector<job_wish> jobs;
  for (int i = 0; i < count; ++i) {
    jobs.push_back({.id = "job-" + std::to_string(i), .tokens_max = tokens_max});
    jobs.back().prompt = *rc::gen::container<std::vector<kernels::token_id>>(
        pick<std::size_t>(1, 40), rc::gen::inRange(1, 32));
    jobs.back().prompt.front() = 1 + i;
  }
  return jobs;
}

// A stream of overlapping jobs, after which the engine is idle and knows that company comes.
void learn_company(bench& b, const std::string& name) {
  for (int i = 0; i < 24; ++i) {
    b.say(start_message({.id = name + std::to_string(i), .tokens_max = 2}));
    b.now += std::chrono::milliseconds{1};
  }
  b.run();
}

}  // namespace

TEST_CASE("property 5: sequences of one model that are ready share a step, models never do") {
  CHECK(rc::check("batched together", [] {
    inference_settings settings;
    settings.batch_sequences_max = pick<std::uint32_t>(1, 12);
    bench b{settings};
    for (const char* model : {"a", "b"}) b.add_model(model, 64, context);
    std::map<std::string, std::uint32_t> count;
    for (job_wish& job : different_jobs(pick(1, 12), 8)) {
      job.digest = *rc::gen::element<std::string>("a", "b");
      ++count[job.digest];
      b.say(start_message(job));
    }
    b.run();
    for (const auto& [model, jobs] : count)
      RC_ASSERT(b.engines[model]->largest_batch == std::min(jobs, settings.batch_sequences_max));
  }));
}

TEST_CASE("property 6: an idle engine begins when the batch is full or the wait is over") {
  CHECK(rc::check("size or time", [] {
    inference_settings settings;
    settings.batch_sequences_max = pick<std::uint32_t>(2, 6);
    settings.batch_wait = std::chrono::milliseconds{pick(60, 101)};
    bench b{settings};
    b.add_model("model", 64, context);
    learn_company(b, "before-");
    const time_point_us came = b.now;
    const auto arrivals = pick<std::uint32_t>(1, settings.batch_sequences_max + 1);
    for (std::uint32_t i = 0; i < arrivals; ++i)
      b.say(start_message({.id = "now-" + std::to_string(i), .tokens_max = 2}));
    RC_ASSERT(b.core.has_work());
    const auto first = b.core.plan(came);
    if (arrivals == settings.batch_sequences_max) {
      RC_ASSERT(first.has_value());
      RC_ASSERT(first->steps.size() == arrivals);
      return;
    }
    RC_ASSERT(!first.has_value());
    const auto until = b.core.held_until();
    RC_ASSERT(until.has_value());
    RC_ASSERT(*until > came);
    RC_ASSERT(*until <= came + settings.batch_wait);
    RC_ASSERT(!b.core.plan(*until - time_point_us{1}).has_value());
    const auto batch = b.core.plan(*until);
    RC_ASSERT(batch.has_value());
    RC_ASSERT(batch->steps.size() == arrivals);
  }));
}

TEST_CASE("property 7: batches grow with the load, and a client alone is never kept waiting") {
  CHECK(rc::check("adaptive", [] {
    inference_settings settings;
    settings.batch_wait = std::chrono::milliseconds{50};
    bench b{settings};
    b.add_model("model", 256, context);
    for (int i = 0; i < 8; ++i) {  // one after another, however fast
      b.now += time_point_us{pick(0, 3000)};
      b.say(start_message({.id = "alone-" + std::to_string(i), .tokens_max = 2}));
      RC_ASSERT(!b.core.held_until());
      b.run();
    }
    RC_ASSERT(b.engines["model"]->largest_batch == 1u);
    const auto jobs = different_jobs(pick(2, 30), 40);
    for (const job_wish& job : jobs) b.say(start_message(job));
    b.run();
    RC_ASSERT(b.engines["model"]->largest_batch == jobs.size());
  }));
}

TEST_CASE(
    "property 8: lengths may differ in a batch: no answer changes and no padding is computed") {
  CHECK(rc::check("lengths", [] {
    bench b;
    b.add_model("model", 256, context);
    const auto jobs = different_jobs(pick(1, 10), pick<std::uint32_t>(1, 30));
    std::size_t needed = 0;
    for (const job_wish& job : jobs) {
      b.say(start_message(job));
      needed += job.prompt.size() + job.tokens_max - 1;
    }
    b.run();
    for (const job_wish& job : jobs) check_same(b.of(job), alone(job, 64, context));
    RC_ASSERT(b.engines["model"]->tokens_seen == needed);
  }));
}

TEST_CASE("property 9: without batching one sequence runs at a time, with the same answers") {
  CHECK(rc::check("off", [] {
    inference_settings settings;
    settings.batching = false;
    settings.batch_wait = std::chrono::milliseconds{50};
    bench b{settings};
    b.add_model("model", 64, context);
    const auto jobs = different_jobs(pick(1, 8), 12);
    for (const job_wish& job : jobs) b.say(start_message(job));
    while (b.core.has_work()) {
      RC_ASSERT(b.turn());
      RC_ASSERT(b.core.count().running <= 1u);
    }
    RC_ASSERT(b.engines["model"]->largest_batch == 1u);
    for (const job_wish& job : jobs) check_same(b.of(job), alone(job, 64, context));
  }));
}

TEST_CASE("property 10: every model reuses the blocks of a prompt that it has computed") {
  CHECK(rc::check("reuse", [] {
    bench b;
    for (const char* model : {"a", "b"}) b.add_model(model, 64, context);
    job_wish job;
    job.prompt = *rc::gen::container<std::vector<kernels::token_id>>(pick<std::size_t>(1, 80),
                                                                     rc::gen::inRange(1, 32));
    for (const char* model : {"a", "b"}) {
      job.digest = model;
      job.id = std::string{"first-"} + model;
      b.say(start_message(job));
      b.run();
      RC_ASSERT(b.of(job).finished->prefix_tokens() == 0u);
      const heard first = b.of(job);
      job.id = std::string{"again-"} + model;
      b.say(start_message(job));
      b.run();
      RC_ASSERT(b.of(job).finished->prefix_tokens() == (job.prompt.size() - 1) / 16 * 16);
      check_same(b.of(job), first);
    }
  }));
}

TEST_CASE("property 11: each turn of a conversation reuses the turns before it, bit for bit") {
  CHECK(rc::check("turns", [] {
    bench b;
    b.add_model("model", 64, 400);
    job_wish turn{.tokens_max = 12, .temperature = 0.8f};
    turn.prompt = random_prompt();
    std::size_t computed = 0;
    for (int i = 0; i < 4; ++i) {
      turn.id = "turn-" + std::to_string(i);
      turn.seed = static_cast<std::uint64_t>(i);
      b.say(start_message(turn));
      b.run();
      const heard& h = b.of(turn);
      check_same(h, alone(turn, 64, 400));
      RC_ASSERT(h.finished->prefix_tokens() >= computed / 16 * 16);
      computed = turn.prompt.size() + h.ids.size() - 1;  // the last token was never computed
      turn.prompt.insert(turn.prompt.end(), h.ids.begin(), h.ids.end());
      for (const auto id : random_prompt()) turn.prompt.push_back(id);
    }
    RC_ASSERT(b.refusals.empty());
  }));
}

TEST_CASE("property 12: memory stays within its limit; what was used last is still there") {
  CHECK(rc::check("eviction", [] {
    bench b;
    const auto blocks = pick<std::uint32_t>(8, 20);
    b.add_model("model", blocks, context);
    job_wish last;
    for (job_wish& job : different_jobs(12, 4)) {
      job.prompt.resize(50, 9);
      b.say(start_message(job));
      b.run();
      RC_ASSERT(b.of(job).finished.has_value());
      RC_ASSERT(b.core.engines().at("model").kv_blocks == blocks);
      RC_ASSERT(b.core.engines().at("model").kv_blocks_used == 0u);
      RC_ASSERT(b.core.engines().at("model").kv_blocks_reusable <= blocks);
      last = job;
    }
    last.id = "again";
    b.say(start_message(last));
    b.run();
    RC_ASSERT(b.of(last).finished->prefix_tokens() == 48u);
    RC_ASSERT(b.refusals.empty());
  }));
}

TEST_CASE("property 14: tokens asked for and found are counted") {
  CHECK(rc::check("counted", [] {
    bench b;
    b.add_model("model", 256, context);
    std::uint64_t asked = 0, found = 0;
    for (int i = 0; i < 10; ++i) {
      job_wish job{.id = "job-" + std::to_string(i), .tokens_max = 3};
      job.prompt = random_prompt();
      b.say(start_message(job));
      b.run();
      asked += job.prompt.size();
      found += b.of(job).finished->prefix_tokens();
    }
    RC_ASSERT(b.core.engines().at("model").prefix_tokens_asked == asked);
    RC_ASSERT(b.core.engines().at("model").prefix_tokens_hit == found);
    RC_ASSERT(b.engines["model"]->tokens_seen == asked - found + 10 * 2);
  }));
}

TEST_CASE("tenants that all wait get equal shares, within what one choice can give") {
  CHECK(rc::check("fair", [] {
    inference_settings settings;
    settings.sequences_running_max = pick<std::uint32_t>(1, 4);
    settings.prefill_chunk_max = pick<std::uint32_t>(4, 60);
    bench b{settings};
    b.add_model("model", 256, context);
    std::map<std::string, std::vector<job_wish>> open;
    std::map<std::string, double> got;
    int number = 0;
    const auto count = [&](const std::string& tenant, const job_wish& job) {
      const heard& h = b.of(job);
      if (h.ids.empty()) return;
      got[tenant] += static_cast<double>(job.prompt.size() + h.ids.size()) -
                     (h.finished ? h.finished->prefix_tokens() : 0);
    };
    const auto keep_waiting = [&](const std::string& tenant) {
      // Each always has jobs in the line: one many, one few, one long ones.
      std::erase_if(open[tenant], [&](const job_wish& job) {
        if (!b.of(job).ended()) return false;
        count(tenant, job);
        return true;
      });
      while (open[tenant].size() < (tenant == "many" ? 8u : 2u) + settings.sequences_running_max) {
        job_wish job{.id = std::to_string(number++), .tenant = tenant};
        job.prompt.assign(tenant == "long" ? 60 : 10, 1 + number % 31);
        job.prompt.front() = 1 + number / 31 % 31;
        job.tokens_max = tenant == "long" ? 30 : 10;
        open[tenant].push_back(job);
        b.say(start_message(job));
      }
    };
    for (int i = 0; i < 200; ++i) {
      for (const char* tenant : {"many", "few", "long"}) keep_waiting(tenant);
      b.turn();
    }
    for (const auto& [tenant, jobs] : open)
      for (const job_wish& job : jobs) count(tenant, job);
    const double largest_job = 90;
    for (const auto& [tenant, tokens] : got)
      for (const auto& [other, others] : got)
        RC_ASSERT(tokens - others <= 2 * largest_job * settings.sequences_running_max);
  }));
}

TEST_CASE("a background job ends within a bound, however many urgent ones keep coming") {
  CHECK(rc::check("no starvation", [] {
    inference_settings settings;
    settings.sequences_running_max = pick<std::uint32_t>(1, 4);
    settings.ageing = std::chrono::milliseconds{pick(10, 60)};
    bench b{settings};
    b.add_model("model", pick<std::uint32_t>(6, 30), context);
    job_wish patient{.id = "patient", .tokens_max = 20, .tenant = "one"};
    patient.prompt = random_prompt();
    patient.priority = proto::PRIORITY_BACKGROUND;
    int number = 0;
    std::vector<job_wish> urgent;
    const auto flood = [&] {
      while (b.core.count().waiting < 20) {
        job_wish job{.id = "urgent-" + std::to_string(number++), .tokens_max = 10};
        job.tenant = *rc::gen::element<std::string>("one", "two");
        job.prompt = random_prompt();
        job.priority = proto::PRIORITY_URGENT;
        b.say(start_message(job));
      }
    };
    flood();
    b.say(start_message(patient));
    int turns = 0;
    for (; turns < 2000 && !b.of(patient).ended(); ++turns) {
      flood();
      b.turn();
    }
    // 120 ms until it stands as high as any, at most 20 before it, each with 60 + 10 tokens, then
    // its own.
    RC_ASSERT(b.of(patient).finished.has_value());
    RC_ASSERT(turns <= 120 + 24 * 20 + 60);
    RC_ASSERT(b.refusals.empty());
  }));
}
