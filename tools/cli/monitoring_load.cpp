#include "tools/cli/monitoring_load.hpp"

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "cluster/client/observing.hpp"
#include "cluster/client/troupe.hpp"
#include "tools/cli/measured_node.hpp"

namespace troupe::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds token_wait{60'000}, look_wait{2'000};
constexpr milliseconds warm_up{300}, look_every{500};

status start(measured_node& node, const monitoring_load_wish& wish, bool monitored) {
  measured_node_wish mine{.daemon = wish.daemon, .model = wish.model};
  mine.settings = "inference:\n  threads: 1\n  sequences_max: " + std::to_string(wish.streams) +
                  "\nmonitoring:\n  enabled: " + (monitored ? "true" : "false") + "\n";
  return node.start(mine);
}

// Jobs one after the other until told to stop; each with a prompt of its own, so that no cache has
// its answer. Ends early, with `failed`, where one fails.
void keep_busy(const monitoring_load_wish& wish, const std::string& at, std::uint32_t stream,
               std::atomic<std::uint64_t>& tokens, std::atomic<bool>& stopping,
               std::atomic<bool>& failed) {
  auto cluster = client::cluster::connect(at);
  for (std::uint32_t round = 0; cluster && !stopping && !failed; ++round) {
    client::job job;
    job.model = "load";
    job.prompt = "Stream " + std::to_string(stream) + ", story " + std::to_string(round) + ".";
    job.tokens_max = wish.tokens_max;
    job.ignore_end = true;
    job.cache_bypass = true;
    auto answer = (*cluster)->submit(job);
    if (!answer) break;
    for (;;) {
      const auto next = (*answer)->next(token_wait);
      if (!next) failed = true;
      if (!next || !*next || stopping) break;
      ++tokens;
    }
  }
  if (!stopping) failed = true;
}

void keep_looking(const std::string& at, std::atomic<bool>& stopping) {
  auto eye = client::observer::open(at);
  while (eye && !stopping) {
    (void)(*eye)->picture(look_wait).ok();
    std::this_thread::sleep_for(look_every);
  }
}

result<load_figures> measure(const monitoring_load_wish& wish, const measured_node& node,
                             std::uint32_t window, bool watched) {
  std::atomic<std::uint64_t> tokens = 0;
  std::atomic<bool> stopping = false, failed = false;
  load_figures out;
  {
    std::vector<std::jthread> threads;
    for (std::uint32_t i = 0; i < wish.streams; ++i)
      threads.emplace_back([&, i] {
        keep_busy(wish, node.at(), window * wish.streams + i, tokens, stopping, failed);
      });
    if (watched) threads.emplace_back([&] { keep_looking(node.at(), stopping); });
    std::this_thread::sleep_for(warm_up);
    const auto began = steady_clock::now();
    const std::uint64_t tokens_before = tokens;
    const double cpu_before = node.cpu_seconds();
    std::this_thread::sleep_for(wish.measured);
    const auto count = static_cast<double>(tokens - tokens_before);
    const double cpu = node.cpu_seconds() - cpu_before;
    out.tokens_per_second =
        count / std::chrono::duration<double>(steady_clock::now() - began).count();
    if (count > 0) out.cpu_us_per_token = cpu / count * 1e6;
    stopping = true;
  }
  if (failed || out.tokens_per_second == 0)
    return error{error_code::unavailable, "a job failed while the load was measured",
                 "try the model with `troupe generate` first"};
  return out;
}

// The nodes stand side by side and are loaded in turn, a second each: what the machine does
// meanwhile meets all alike.
status measure_round(const monitoring_load_wish& wish, std::vector<load_round>& out) {
  std::array<measured_node, std::tuple_size_v<load_round>> nodes;
  for (std::size_t kind = 0; kind < nodes.size(); ++kind)
    if (status fine = start(nodes[kind], wish, kind > 0); !fine) return fine;
  for (std::uint32_t window = 0; window < wish.windows; ++window) {
    load_round figures;
    for (std::size_t i = 0; i < figures.size(); ++i) {
      const std::size_t kind = (i + window) % figures.size();  // each is first in turn
      auto got = measure(wish, nodes[kind], window, kind == 2);
      if (!got) return got.failure();
      figures[kind] = *got;
    }
    out.push_back(figures);
  }
  return {};
}

}  // namespace

result<std::vector<load_round>> bench_monitoring_load(const monitoring_load_wish& wish) {
  std::vector<load_round> out;
  for (std::uint32_t round = 0; round < wish.rounds; ++round)
    if (status fine = measure_round(wish, out); !fine) return fine.failure();
  return out;
}

}  // namespace troupe::cli
