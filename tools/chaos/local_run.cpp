#include "tools/chaos/local_run.hpp"

#include <algorithm>

#include "kernels/evaluate/generation.hpp"
#include "tools/chaos/cluster_view.hpp"
#include "tools/chaos/local_cluster.hpp"
#include "tools/cli/loaded_engine.hpp"

namespace troupe::chaos {
namespace {

using std::chrono::steady_clock;

constexpr milliseconds warm_wait{120'000};
constexpr milliseconds look_every{20};
constexpr const char* model_name = "chaos";

// What one engine, undisturbed, answers to each prompt.
result<std::vector<right_answer>> right_answers(const local_wish& wish) {
  const workload_plan& load = wish.plan.workload;
  auto loaded = cli::load_engine({wish.model.string(), 1, {}}, 4096);
  if (!loaded) return loaded.failure();
  std::vector<right_answer> out;
  for (std::uint32_t i = 0; i < load.prompts; ++i) {
    const client::job job = job_for(load, model_name, i);
    const auto prompt = loaded->weights->words->encode(job.prompt, {.add_beginning = true});
    if (!prompt) return prompt.failure();
    kernels::generation_request wanted;
    wanted.prompt = *prompt;
    wanted.sampling.temperature = job.sampling.temperature;
    wanted.sampling.seed = *job.sampling.seed;
    wanted.tokens_max = job.tokens_max;
    wanted.ignore_end_tokens = job.ignore_end;
    const auto answer = kernels::generate(*loaded->engine, *loaded->weights, wanted);
    if (!answer) return answer.failure();
    right_answer right;
    right.text = answer->text;
    for (const auto& token : answer->tokens) right.ids.push_back(token.id);
    out.push_back(std::move(right));
  }
  return out;
}

// Until every node that computes has the model ready, as the first gateway sees it.
status wait_until_warm(const local_wish& wish, const std::string& at,
                       const std::atomic<bool>& ended) {
  const auto until = steady_clock::now() + warm_wait;
  const auto wanted = std::count_if(wish.plan.nodes.begin(), wish.plan.nodes.end(),
                                    [](const node_plan& node) { return node.computes; });
  auto cluster = client::cluster::connect(at);
  if (!cluster) return cluster.failure();
  while (steady_clock::now() < until && !ended) {
    std::ptrdiff_t ready = 0;
    for (const seen_node& node : nodes_of(**cluster))
      ready += node.up && !node.models_ready.empty();
    if (ready >= wanted) return {};
    std::this_thread::sleep_for(look_every);
  }
  return error{error_code::unavailable, "the nodes did not have their model ready in time",
               "is the machine overloaded?"};
}

// Answer tokens that gateways gave to a second or later attempt, by their logs.
std::uint64_t forced_again(const local_cluster& cluster) {
  std::uint64_t sum = 0;
  for (const std::string& line : cluster.log_lines("attempt_started")) {
    const std::string key = "forced_tokens=";
    const std::size_t at = line.find(key);
    if (at != std::string::npos) sum += std::strtoull(line.c_str() + at + key.size(), nullptr, 10);
  }
  return sum;
}

}  // namespace

result<run_report> run_locally(const local_wish& wish, const std::atomic<bool>& ended) {
  run_report report;
  report.plan = wish.plan;
  auto answers = right_answers(wish);
  if (!answers) return answers.failure();
  report.run.answers = std::move(*answers);
  auto started = local_cluster::start(wish.plan, wish.daemon, wish.model);
  if (!started) return started.failure();
  local_cluster& cluster = **started;
  std::vector<std::string> gateways;
  for (const std::string& node : wish.plan.workload.gateways) gateways.push_back(cluster.at(node));
  if (status warm = wait_until_warm(wish, gateways.front(), ended); !warm) return warm.failure();
  workload load(wish.plan.workload, model_name, gateways);
  carry_out_under_load(schedule_of(wish.plan), cluster, load, ended, report);
  report.run.gateways = wish.plan.workload.gateways;
  report.run.clock_reads = cluster.clock_reads();
  report.judged = judge(report.run, wish.plan.floors);
  report.tokens_recomputed = forced_again(cluster);
  report.bytes_damaged = cluster.bytes_damaged();
  if (auto at_end = client::cluster::connect(gateways.front()))
    report.frames_fenced = frames_fenced(**at_end);
  return report;
}

}  // namespace troupe::chaos
