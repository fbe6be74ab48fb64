#include "tests/sim/plan.hpp"

#include <algorithm>
#include <numeric>

#include "actors/inference/sequence_messages.hpp"
#include "cluster/gateway/job_checks.hpp"
#include "kernels/sampler/sampler.hpp"

namespace troupe::sim {
namespace {

using std::chrono::milliseconds;

constexpr std::uint32_t context_tokens = 96;

std::string id_of(std::uint64_t seed, std::size_t number) {
  dice d(seed * 1'000 + number);
  std::string id;
  while (id.size() < 16) {
    const std::uint64_t word = d.next();
    id.append(reinterpret_cast<const char*>(&word), 8);
  }
  id[6] = static_cast<char>((id[6] & 0x0f) | 0x70);  // UUIDv7, as the gateway wants it
  id[8] = static_cast<char>((id[8] & 0x3f) | 0x80);
  return id;
}

void plan_cluster(run_plan& plan, dice d, std::size_t wanted) {
  const std::size_t count = wanted > 0 ? wanted : 2 + d.below(d.chance(200) ? 6 : 3);
  const std::size_t models = 1 + d.below(2);
  for (std::size_t m = 0; m < models; ++m)
    plan.models.push_back(fakes::digest_of(static_cast<char>('a' + m)));
  for (std::size_t n = 0; n < count; ++n) {
    node_plan one;
    one.name = "node" + std::to_string(n);
    one.address = "tcp://127.0.0.1:" + std::to_string(7000 + n);
    one.computes = n < 2 || d.chance(800);
    one.uses_redis = d.chance(900);
    one.kv_blocks = static_cast<std::uint32_t>(d.between(7, 16));
    one.step_min = d.between(1'000, 8'000);
    one.step_max = one.step_min + d.between(1'000, 30'000);
    plan.nodes.push_back(one);
    std::vector<std::size_t> holds;
    for (std::size_t m = 0; m < models; ++m)
      if (n == m || d.chance(500)) holds.push_back(m);
    plan.models_at.push_back(holds);
  }
  // Some know one address, and learn the others.
  plan.cores.membership.learns_peers = d.chance(400);
  for (std::size_t n = 1; plan.cores.membership.learns_peers && n < count; ++n)
    plan.nodes[n].dials.push_back(plan.nodes[0].address);
  for (std::size_t a = 0; !plan.cores.membership.learns_peers && a < count; ++a)
    for (std::size_t b = a + 1; b < count; ++b) {
      const std::uint64_t who = d.below(3);
      if (who != 1) plan.nodes[a].dials.push_back(plan.nodes[b].address);
      if (who != 0) plan.nodes[b].dials.push_back(plan.nodes[a].address);
    }
  plan.redis = d.chance(700);
  plan.cores.membership.heartbeat_interval = milliseconds(d.chance(500) ? 250 : 100);
  plan.cores.membership.pause_max = milliseconds(d.chance(500) ? 1'000 : 300);
  plan.cores.membership.down_after =
      plan.cores.membership.pause_max +
      plan.cores.membership.heartbeat_interval * static_cast<int>(d.between(4, 10));
  plan.link.silence_max = milliseconds(d.chance(500) ? 3000 : 1200);
  plan.cores.inference.sequences_running_max = static_cast<std::uint32_t>(d.between(2, 6));
  plan.cores.inference.batch_wait = milliseconds(d.chance(300) ? 3 : 0);
  plan.cores.inference.stall_grace = milliseconds(d.between(10, 250));
  plan.cores.inference.prefill_chunk_max = static_cast<std::uint32_t>(d.between(4, 64));
  plan.cores.gateway.worker_wait = milliseconds(d.between(1'000, 5'000));
  plan.cores.gateway.journal = d.chance(600);
  if (plan.cores.gateway.journal) {
    plan.cores.gateway.detach_grace = milliseconds(d.between(500, 4'000));
    plan.cores.gateway.recovery_wait = milliseconds(d.between(3'000, 8'000));
  }
  plan.cores.gateway.progress_wait = milliseconds(6'000);
  if (d.chance(500)) {
    plan.wires.loss = static_cast<unsigned>(d.below(40));
    plan.wires.repeat = static_cast<unsigned>(d.below(40));
    plan.wires.reorder = static_cast<unsigned>(d.below(30));
    plan.wires.garbage = static_cast<unsigned>(d.below(15));
  }
  plan.wires.delay_max = d.chance(700) ? d.between(50, 2'000) : d.between(2'000, 40'000);
}

void plan_jobs(run_plan& plan, dice d) {
  plan.clients = d.between(2, 4);
  const std::size_t count = d.between(10, 18);
  const std::vector<std::string> stems = {"once upon a time there was", "the quick brown fox",
                                          "ab"};
  std::vector<std::string> prompts;
  for (int i = 0; i < 5; ++i) {
    std::string text = d.one_of(stems);
    for (std::uint64_t k = d.below(12); k > 0; --k) text += static_cast<char>('a' + d.below(26));
    prompts.push_back(text);
  }
  const auto add = [&](time_us starts, bool late) {
    job_plan one;
    proto::JobSpecification& asked = one.job.asked;
    const std::size_t model = d.below(plan.models.size());
    asked.set_model("m" + std::to_string(model));
    asked.set_text(d.one_of(prompts));
    asked.set_tokens_max(static_cast<std::uint32_t>(d.between(2, 44)));
    asked.set_ignore_end(d.chance(600));
    if (d.chance(200)) asked.add_stop(std::string(1, static_cast<char>('a' + d.below(26))));
    proto::SamplingParameters& sampling = *asked.mutable_sampling();
    sampling.set_temperature(d.one_of(std::vector<float>{0, 0.7f, 1.3f}));
    sampling.set_top_k(d.chance(300) ? 8 : 0);
    sampling.set_top_p(d.chance(300) ? 0.9f : 1.0f);
    sampling.set_repetition_penalty(d.chance(300) ? 1.2f : 1.0f);
    sampling.set_seed(d.below(4));
    if (!plan.jobs.empty() && d.chance(400)) {  // what was asked before, or nearly so
      asked = d.one_of(plan.jobs).job.asked;
      if (d.chance(500)) asked.mutable_sampling()->set_seed(d.below(4));
    }
    one.job.id = id_of(plan.seed, plan.jobs.size());
    one.job.after_heal = late;
    one.client = d.below(plan.clients);
    one.starts = starts;
    one.window = static_cast<std::uint32_t>(d.between(1, 32));
    one.reads_per_tick = static_cast<std::uint32_t>(d.chance(400) ? 1 : d.between(2, 16));
    if (d.chance(150)) one.cancel_after = static_cast<std::uint32_t>(d.below(20));
    if (!late && d.chance(150)) one.leave_after = static_cast<std::uint32_t>(d.below(20));
    one.asks_twice = d.chance(100);
    one.conflicts = d.chance(100);
    one.reads_again = d.chance(200);
    if (!late && d.chance(80)) one.deadline_ms = static_cast<std::uint32_t>(d.between(200, 3'000));
    one.job.has_deadline = one.deadline_ms > 0;
    one.job.poison = !late && d.chance(25);
    solve(one.job, plan.models[static_cast<std::size_t>(asked.model()[1] - '0')]);
    plan.jobs.push_back(std::move(one));
  };
  for (std::size_t i = 0; i < count; ++i) add(1'200'000 + d.below(plan.heal_at - 1'500'000), false);
  for (int i = 0; i < 3; ++i) add(plan.heal_at + 4'000'000 + d.below(500'000), true);
}

void plan_faults(run_plan& plan, dice d) {
  using k = fault_kind;
  std::vector<k> kinds = {k::kill,         k::kill,       k::power_cut,       k::stop,
                          k::stop,         k::cut,        k::cut_off,         k::client_cut,
                          k::reset,        k::slow_wires, k::gateway_restart, k::inference_restart,
                          k::node_restart, k::overflow,   k::engine_failure,  k::lies};
  if (plan.redis)
    kinds.insert(kinds.end(), {k::redis_down, k::redis_slow, k::redis_lies, k::redis_lies,
                               k::redis_emptied, k::cache_restart});
  // A seed has a few kinds of faults, often: rare sequences of one kind come up that way.
  std::vector<k> chosen;
  for (std::uint64_t i = d.between(1, 5); i > 0; --i) chosen.push_back(d.one_of(kinds));
  for (std::uint64_t i = d.between(4, 9); i > 0; --i) {
    fault_plan one;
    one.kind = d.one_of(chosen);
    one.at = 1'300'000 + d.below(plan.heal_at - 1'500'000);
    one.node = d.below(plan.nodes.size());
    one.other = d.below(plan.nodes.size());
    one.lasts = d.chance(500) ? d.between(20'000, 400'000) : d.between(400'000, 4'000'000);
    one.one_way = d.chance(400);
    one.held = d.chance(500);
    plan.faults.push_back(one);
  }
  // A gateway actor that was started again has forgotten which content came first.
  const bool forgets = !plan.cores.gateway.journal &&
                       std::find(chosen.begin(), chosen.end(), k::gateway_restart) != chosen.end();
  for (job_plan& job : plan.jobs) job.conflicts &= !forgets;
  std::sort(plan.faults.begin(), plan.faults.end(),
            [](const fault_plan& a, const fault_plan& b) { return a.at < b.at; });
}

}  // namespace

const char* name_of(fault_kind kind) {
  static constexpr const char* names[] = {"kill",
                                          "power_cut",
                                          "stop",
                                          "cut",
                                          "cut_off",
                                          "client_cut",
                                          "reset",
                                          "slow_wires",
                                          "gateway_restart",
                                          "inference_restart",
                                          "node_restart",
                                          "cache_restart",
                                          "overflow",
                                          "engine_failure",
                                          "lies",
                                          "redis_down",
                                          "redis_slow",
                                          "redis_lies",
                                          "redis_emptied"};
  return names[static_cast<std::size_t>(kind)];
}

run_plan make_plan(std::uint64_t seed, std::size_t nodes) {
  run_plan plan;
  plan.seed = seed;
  dice d(seed ^ 0x51ed'270b'7a1f'39cdu);
  plan.heal_at = d.between(4'000'000, 7'000'000);
  plan_cluster(plan, d.split(1), nodes);
  plan_jobs(plan, d.split(2));
  plan_faults(plan, d.split(3));
  return plan;
}

void solve(known_job& job, const std::string& digest) {
  const auto words = std::make_shared<fakes::letters>();
  const std::vector<kernels::token_id> prompt = *words->encode(job.asked.text(), {});
  fakes::prf_engine engine(context_tokens / kernels::kv_block_tokens, context_tokens,
                           static_cast<unsigned char>(digest[0]));
  std::vector<kernels::block_id> blocks(context_tokens / kernels::kv_block_tokens);
  std::iota(blocks.begin(), blocks.end(), 0);
  const auto parameters =
      parameters_of(cluster::pinned_sampling(job.asked.sampling(), job.asked.sampling().seed()));
  const auto most = std::min<std::size_t>(job.asked.tokens_max(), context_tokens - prompt.size());
  kernels::text_stream text(words);
  job.reason = proto::LENGTH;
  while (job.ids.size() < most) {
    std::vector<kernels::token_id> all = prompt;
    all.insert(all.end(), job.ids.begin(), job.ids.end());
    const kernels::sequence_step step{.tokens = all, .position = 0, .blocks = blocks};
    const auto logits = engine.step({&step, 1});
    const auto drawn = kernels::sample(logits->values, parameters, prompt, job.ids,
                                       static_cast<std::uint32_t>(job.ids.size()));
    if (drawn->id == 0 && !job.asked.ignore_end()) {
      job.reason = proto::END_OF_TEXT;
      break;
    }
    job.ids.push_back(drawn->id);
    job.text += text.push(drawn->id);
    const auto stop =
        job.asked.stop_size() > 0 ? job.text.find(job.asked.stop(0)) : std::string::npos;
    if (stop == std::string::npos) continue;
    job.reason = proto::STOP_TEXT;
    job.text.resize(stop);
    return;
  }
  job.text += text.finish();
}

}  // namespace troupe::sim
