#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "tests/property/actors/random_jobs.hpp"

using namespace troupe;
using namespace troupe::fakes;

TEST_CASE("however sequences interleave, each answers as if it were alone, and memory returns") {
  std::uint64_t preempted = 0, found = 0;
  CHECK(rc::check("interleaving", [&] {
    bench b{random_settings()};
    const auto blocks = pick<std::uint32_t>(4, 16);
    b.add_model("model", blocks, context);
    const auto count = pick(1, 8);
    std::vector<job_wish> jobs;
    std::map<std::string, std::uint64_t> granted;
    int started = 0;
    for (int guard = 0; guard < 5000; ++guard) {
      const int choice = pick(0, 4);
      if (choice == 0 && started < count) {
        jobs.push_back(random_job(started++));
        granted[jobs.back().id] = jobs.back().credit;
        b.say(start_message(jobs.back()));
      } else if (choice == 1 && !jobs.empty()) {
        const job_wish& job = jobs[pick<std::size_t>(0, jobs.size())];
        const auto limit = pick<std::uint64_t>(0, granted[job.id] + 6);  // or an old one, late
        granted[job.id] = std::max(granted[job.id], limit);
        b.say(grant_message(job, limit));
      } else {
        b.turn();
      }
      for (const job_wish& job : jobs) RC_ASSERT(b.of(job).ids.size() <= granted[job.id]);
      if (guard > 60) break;
    }
    for (const job_wish& job : jobs) b.say(grant_message(job, 1000));
    b.run();
    RC_ASSERT(!b.core.has_work());
    for (const job_wish& job : jobs) {
      const heard& got = b.of(job);
      RC_ASSERT(got.broken.empty());
      RC_ASSERT(got.ended());
      if (got.failed) {  // only what can never fit
        RC_ASSERT(got.failed->error().code() == proto::Error::RESOURCE_EXHAUSTED);
        RC_ASSERT(kernels::blocks_for(job.prompt.size() +
                                      (job.embed || job.score ? 0 : job.tokens_max)) > blocks);
        continue;
      }
      check_same(got, alone(job, 16, context));
    }
    RC_ASSERT(b.refusals.empty());
    preempted += b.core.engines().at("model").preemptions;
    found += b.core.engines().at("model").prefix_tokens_hit;
    RC_ASSERT(b.core.blocks_of("model") == std::make_pair(blocks, blocks));
    RC_ASSERT(b.core.count().running + b.core.count().waiting == 0u);
  }));
  CHECK(preempted > 0);
  CHECK(found > 0);
}

TEST_CASE("a conversation's memory is released when it ends, however it ends") {
  CHECK(rc::check("release", [] {
    bench b{random_settings()};
    b.add_model("model", 16, context);
    std::vector<job_wish> jobs;
    for (int i = 0; i < 6; ++i) {
      jobs.push_back(random_job(i));
      b.say(start_message(jobs.back()));
      for (int turns = pick(0, 6); turns > 0; --turns) b.turn();
    }
    for (int guard = 0; b.core.count().running + b.core.count().waiting > 0; ++guard) {
      if (guard > 500)  // while shrinking, the same choice may come for ever
        for (const char* gateway : {"gate-1", "gate-2"}) b.take(b.core.lose_node(gateway, b.now));
      job_wish job = jobs[pick<std::size_t>(0, jobs.size())];
      switch (pick(0, 6)) {
        case 0:
          b.say(stop_message(job));
          break;
        case 1:
          b.take(b.core.lose_node(job.gateway, b.now));
          break;
        case 2:
          b.now += std::chrono::seconds{301};
          b.take(b.core.tick(b.now));
          break;
        case 3:
          b.engines["model"]->fail_next = true;
          b.turn();
          b.engines["model"]->fail_next = false;
          break;
        case 4:
          job.attempt = 2;
          b.say(start_message(job));
          break;
        default:
          b.say(grant_message(job, b.of(job).ids.size() + 8));
          b.turn();
      }
    }
    RC_ASSERT(b.core.blocks_of("model") == std::make_pair(16u, 16u));
  }));
}

TEST_CASE("released conversations leave nothing behind, and no answer changes by a release") {
  std::uint64_t freed = 0;
  CHECK(rc::check("release at any time", [&] {
    bench b{random_settings()};
    b.add_model("model", 24, context);
    std::vector<job_wish> jobs;
    const auto release = [&](const job_wish& job) {
      std::vector<kernels::token_id> ids = job.prompt;
      ids.insert(ids.end(), b.of(job).ids.begin(), b.of(job).ids.end());
      const auto used = b.core.engines().at("model").kv_blocks_used;
      b.others.clear();
      b.say(release_message(ids));
      RC_ASSERT(b.others.size() == 1u);
      RC_ASSERT(b.core.engines().at("model").kv_blocks_used == used);
      freed += b.others[0].blocks_released().blocks_freed();
    };
    for (int i = pick(1, 7); i > 0; --i) {
      jobs.push_back(random_job(i));
      jobs.back().credit = 1000;
      b.say(start_message(jobs.back()));
      for (int turns = pick(0, 10); turns > 0; --turns) {
        b.turn();
        if (pick(0, 4) == 0) release(jobs[pick<std::size_t>(0, jobs.size())]);
      }
    }
    b.run();
    for (const job_wish& job : jobs) check_same(b.of(job), alone(job, 24, context));
    // Beginnings that several share go with the last of them: twice over all is enough.
    for (int round = 0; round < 2; ++round)
      for (const job_wish& job : jobs) release(job);
    RC_ASSERT(b.core.engines().at("model").kv_blocks_reusable == 0u);
    RC_ASSERT(b.core.engines().at("model").kv_blocks_used == 0u);
    RC_ASSERT(b.core.prefixes(100).empty());
  }));
  CHECK(freed > 0);
}

TEST_CASE("an answer resumed anywhere is the answer that was never interrupted") {
  CHECK(rc::check("resume", [] {
    job_wish job = random_job(1);
    job.embed = job.score = false;
    const heard whole = alone(job, 16, context);
    job.forced.assign(
        whole.ids.begin(),
        whole.ids.begin() +
            pick<std::ptrdiff_t>(0, static_cast<std::ptrdiff_t>(whole.ids.size()) + 1));
    const heard rest = alone(job, 16, context);
    std::vector<kernels::token_id> joined = job.forced;
    joined.insert(joined.end(), rest.ids.begin(), rest.ids.end());
    RC_ASSERT(joined == whole.ids);
    RC_ASSERT(rest.finished->running_hash() == whole.finished->running_hash());
    RC_ASSERT(rest.finished->reason() == whole.finished->reason());
    const std::string& all = whole.whole_text();
    RC_ASSERT(all.size() >= rest.whole_text().size());
    RC_ASSERT(all.substr(all.size() - rest.whole_text().size()) == rest.whole_text());
  }));
}

TEST_CASE("stop texts: what is given out does not depend on how the text is cut") {
  CHECK(rc::check("cutting", [] {
    const auto letter = rc::gen::inRange('a', 'd');
    const auto stops = *rc::gen::container<std::vector<std::string>>(
        rc::gen::nonEmpty(rc::gen::container<std::string>(letter)));
    const auto text = *rc::gen::container<std::string>(letter);
    // The obvious twin: after each byte, look whether any stop ends here; the longest counts.
    std::string expected = text;
    bool stops_it = false;
    for (std::size_t end = 1; end <= text.size() && !stops_it; ++end) {
      std::size_t longest = 0;
      for (const auto& stop : stops)
        if (std::string_view{text}.substr(0, end).ends_with(stop))
          longest = std::max(longest, stop.size());
      if (longest == 0) continue;
      stops_it = true;
      expected = text.substr(0, end - longest);
    }
    stop_text matcher{stops};
    std::string got;
    for (std::size_t at = 0; at < text.size();) {
      const auto length = pick<std::size_t>(1, 5);
      got += matcher.push(std::string_view{text}.substr(at, length));
      RC_ASSERT(expected.starts_with(got));
      at += length;
    }
    got += matcher.flush();
    RC_ASSERT(got == expected);
    RC_ASSERT(matcher.stopped() == stops_it);
  }));
}
