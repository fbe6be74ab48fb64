#include "tools/cli/monitoring_load.hpp"

#include <signal.h>
#include <time.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "cluster/client/observing.hpp"
#include "cluster/client/troupe.hpp"
#include "tools/local/processes.hpp"

namespace troupe::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds ready_wait{60'000}, token_wait{60'000}, end_wait{10'000}, look_wait{2'000};
constexpr milliseconds warm_up{300}, look_every{500};

double cpu_seconds(int pid) {
  clockid_t clock = 0;
  timespec used{};
  if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0) return 0;
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9;
}

// One node with one model, for one measurement.
class loaded_node {
 public:
  status start(const monitoring_load_wish& wish, bool monitored) {
    const std::filesystem::path& folder = folder_.path();
    const int port = local::free_port();
    at_ = "127.0.0.1:" + std::to_string(port);
    std::error_code failed;
    std::filesystem::create_directories(folder / "models", failed);
    std::filesystem::create_symlink(std::filesystem::absolute(wish.model),
                                    folder / "models" / "load.gguf", failed);
    const std::string yaml = "node:\n  name: load\n  state_dir: state\nlink:\n  listen: tcp://" +
                             at_ +
                             "\nmodels:\n  directories: [models]\n  preload: [load]\n"
                             "inference:\n  threads: 1\n  sequences_max: " +
                             std::to_string(wish.streams) +
                             "\nmonitoring:\n  enabled: " + (monitored ? "true" : "false") + "\n";
    if (folder.empty() || failed || !local::write_file(folder / "node.yaml", yaml))
      return error{error_code::unavailable, "no folder for the node could be made", "set TMPDIR"};
    process_ = std::make_unique<local::child_process>(
        std::vector<std::string>{wish.daemon.string(), "--config", (folder / "node.yaml").string()},
        folder / "errors");
    const auto line = process_->line(ready_wait);
    if (!line || !line->starts_with("ready "))
      return error{error_code::unavailable,
                   "the node did not start: " + local::content_of(folder / "errors"),
                   "is " + wish.daemon.string() + " of the same build?"};
    return {};
  }
  ~loaded_node() {
    if (!process_) return;
    process_->signal(SIGTERM);
    process_->wait(end_wait);
  }
  const std::string& at() const { return at_; }
  int pid() const { return process_->pid(); }

 private:
  local::scratch_folder folder_;
  std::string at_;
  std::unique_ptr<local::child_process> process_;
};

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

result<load_figures> measure(const monitoring_load_wish& wish, const loaded_node& node,
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
    const double cpu_before = cpu_seconds(node.pid());
    std::this_thread::sleep_for(wish.measured);
    const auto count = static_cast<double>(tokens - tokens_before);
    const double cpu = cpu_seconds(node.pid()) - cpu_before;
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
  std::array<loaded_node, std::tuple_size_v<load_round>> nodes;
  for (std::size_t kind = 0; kind < nodes.size(); ++kind)
    if (status fine = nodes[kind].start(wish, kind > 0); !fine) return fine;
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
