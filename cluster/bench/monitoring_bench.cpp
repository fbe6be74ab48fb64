#include "cluster/bench/monitoring_bench.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>

#include "actors/monitoring/job_stories.hpp"
#include "actors/monitoring/log_ring.hpp"
#include "actors/monitoring/sliding_sketch.hpp"
#include "actors/shell/current_actor.hpp"
#include "actors/shell/gauge.hpp"
#include "cluster/profile/heap_sampler.hpp"

namespace troupe::cluster {
namespace {

using std::chrono::steady_clock;

recording_cost measured(std::string what, std::string when, std::uint32_t rounds,
                        std::uint32_t times, const std::function<void(std::uint32_t)>& one) {
  std::vector<double> took;
  for (std::uint32_t round = 0; round < std::max(rounds, 1u); ++round) {
    const auto begin = steady_clock::now();
    for (std::uint32_t n = 0; n < std::max(times, 1u); ++n) one(n);
    const std::chrono::duration<double, std::nano> passed = steady_clock::now() - begin;
    took.push_back(passed.count() / std::max(times, 1u));
  }
  std::sort(took.begin(), took.end());
  return {std::move(what), std::move(when), took[took.size() / 2], took.back() - took.front()};
}

std::shared_ptr<proto::Envelope> step_message(std::uint32_t n) {
  auto message = std::make_shared<proto::Envelope>();
  message->mutable_sender()->set_node("node-a");
  message->mutable_sender()->set_actor("gateway");
  message->mutable_target()->set_node("node-a");
  message->mutable_target()->set_actor("monitoring");
  proto::ObserveStep& step = *message->mutable_observe_step();
  step.set_job_id("0123456789ab" + std::to_string(1000 + n % 512));
  step.set_kind(proto::STEP_ROUTED);
  step.set_at_us(n);
  step.set_because("node-b: model ready, 1 of 8 places taken; no other node can");
  return message;
}

}  // namespace

std::vector<recording_cost> bench_monitoring(std::uint32_t rounds, std::uint32_t times) {
  std::vector<recording_cost> out;
  actor_gauge gauge;
  out.push_back(
      measured("an actor's message, counted", "every message", rounds, times, [&](std::uint32_t) {
        const working_for name{"gateway"};
        gauge.busy_us.fetch_add(1, std::memory_order_relaxed);
        gauge.handled.fetch_add(1, std::memory_order_release);
      }));
  out.push_back(measured("a job's step, told by its gateway", "about 10 times a job, never a token",
                         rounds, times, [&](std::uint32_t n) { (void)step_message(n); }));
  job_stories stories("node-a", std::chrono::seconds(30), {});
  out.push_back(measured("a job's step, taken by monitoring", "beside the job, on another thread",
                         rounds, times, [&](std::uint32_t n) {
                           const auto message = step_message(n);
                           stories.step(message->observe_step(), message->trace());
                         }));
  sliding_sketch sketch{std::chrono::minutes(1)};
  out.push_back(measured(
      "a value, into the percentiles", "three times a job, on another thread", rounds, times,
      [&](std::uint32_t n) { sketch.add(0.001 * (n % 977 + 1), time_point_us{n}); }));
  log_ring ring("node-a", 1);
  out.push_back(measured("a log line, kept", "every log line", rounds, times, [&](std::uint32_t n) {
    ring.add({proto::LEVEL_INFO, std::uint64_t{n} * 100'000, "gateway",
              "job_finished job=0198c6f2 reason=LENGTH tokens=24"});
  }));
  log_ring flooded("node-a", 1);
  out.push_back(measured("a log line of a flood, sampled away", "every log line", rounds, times,
                         [&](std::uint32_t) {
                           flooded.add({proto::LEVEL_INFO, 1'000'000, "gateway",
                                        "job_finished job=0198c6f2 reason=LENGTH tokens=24"});
                         }));
  const auto allocate = [](std::uint32_t) {
    void* memory = std::malloc(64);
    asm volatile("" : : "r"(memory) : "memory");
    std::free(memory);
  };
  const auto watched = [](std::uint32_t) {
    void* memory = profile::heap::watched(std::malloc(64), 64);
    asm volatile("" : : "r"(memory) : "memory");
    profile::heap::forgotten(memory);
    std::free(memory);
  };
  out.push_back(measured("64 bytes allocated and freed, by malloc alone", "to compare with", rounds,
                         times, allocate));
  out.push_back(measured("the same as the daemon does it, no heap profile",
                         "every operator new and delete", rounds, times, watched));
  const bool operators_here = profile::heap::operators_here.exchange(true);  // as these calls are
  if (profile::begin_heap_sampling()) {
    out.push_back(measured("the same while a heap profile is taken",
                           "every operator new and delete, for its seconds", rounds, times,
                           watched));
    (void)profile::end_heap_sampling();
  }
  profile::heap::operators_here = operators_here;
  return out;
}

}  // namespace troupe::cluster
